"""Priority, category and queue of a ticket, changed by people. Only a supervisor loosens a promise, and the customer is
told (mechanisms.md, "One owner of a promise")."""

from collections.abc import Sequence

from common.errors import FieldProblem, NotFound
from rules.model import PolicySet
from rules.text import normalise
from rules.words import Category, Priority
from services.router.commands import ChangePriority, ChangeQueue, Command, Inform, Terms
from services.router.execution import Executor, Head, check, head_problems
from services.router.model import ActorKind, Personal, Ticket
from services.router.ports import Policies, Vault
from services.router.terms import correction, terms_for
from services.router.texts import loosened


class Corrections:
    """Each raises what the commands of `Desk` raise."""

    def __init__(self, executor: Executor, policies: Policies, vault: Vault) -> None:
        self._executor = executor
        self._policies = policies
        self._vault = vault

    async def change_priority(self, head: Head, priority: Priority | None) -> Ticket:
        """The targets of another priority, from now."""
        problems = head_problems(head)
        if priority is None:
            problems.append(FieldProblem("priority", "is needed"))
        check(problems)
        assert priority is not None

        def make(ticket: Ticket, message_id: str) -> list[Command]:
            terms = terms_for(ticket, self._of(ticket), priority, loosen=_may_loosen(head))
            return [ChangePriority(terms), *self._told(ticket, terms, message_id)]

        return (await self._executor.execute(head, "priority", (priority,), make))[0]

    async def change_category(
        self, head: Head, category: Category | None, secondary: Sequence[Category | None] = ()
    ) -> Ticket:
        """An agent's correction; priority, queues and policy follow from the routing table."""
        problems = head_problems(head)
        if category is None:
            problems.append(FieldProblem("category", "is needed"))
        known = tuple(each for each in secondary if each is not None)
        if len(known) < len(secondary):
            problems.append(FieldProblem("secondary", "has an unknown value"))
        check(problems)
        assert category is not None

        def make(ticket: Ticket, message_id: str) -> list[Command]:
            policies = self._of(ticket)
            change = correction(
                ticket,
                policies,
                category,
                known,
                angry=self._angry(ticket, policies),
                loosen=_may_loosen(head),
            )
            return [change, *self._told(ticket, change.terms, message_id)]

        return (await self._executor.execute(head, "category", (category, *known), make))[0]

    async def change_queue(self, head: Head, queue: str, joint_queues: Sequence[str] = ()) -> Ticket:
        """Another department, and those it works with; in another queue nobody owns the ticket yet."""
        check(head_problems(head))
        joint = tuple(dict.fromkeys(joint_queues))

        def make(ticket: Ticket, _: str) -> list[Command]:
            known = {each.name for each in self._of(ticket).routing.queues}
            problems = [] if queue in known else [FieldProblem("queue", "expected one of " + ", ".join(sorted(known)))]
            if not known.issuperset(joint) or queue in joint:
                problems.append(FieldProblem("joint_queues", "expected other queues of the brand"))
            check(problems)
            return [ChangeQueue(queue, joint)]

        return (await self._executor.execute(head, "queue", (queue, *joint), make))[0]

    def _of(self, ticket: Ticket) -> PolicySet:
        policies = self._policies.of(ticket.brand)
        if policies is None:
            raise NotFound("the brand of this ticket has no policies any more")
        return policies

    def _angry(self, ticket: Ticket, policies: PolicySet) -> bool:
        if ticket.personal is None:
            return False
        words = policies.keywords.match(normalise(self._vault.open(ticket.id, ticket.personal).text))
        return any(group in words for group in policies.routing.anger_keywords)

    def _told(self, ticket: Ticket, terms: Terms, message_id: str) -> list[Command]:
        if terms.promise == ticket.promise:
            return []
        brand = self._of(ticket).brand
        locale = ticket.locale or brand.default_locale
        answered = ticket.facts.first_answer_at is not None
        text = loosened(locale, brand.time_zone, terms.promise, answered)
        return [Inform(message_id, self._vault.seal(ticket.id, Personal(text=text)))]


def _may_loosen(head: Head) -> bool:
    return head.actor.kind is ActorKind.SUPERVISOR
