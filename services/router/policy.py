"""Decisions about a ticket: data in, data out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from common.errors import Conflict, Poison, Refused, Unavailable
from common.ids import deterministic_id
from rules import courses as running
from rules import promise as promises
from rules.bounds import MOST_SAID
from rules.model import PolicySet, RoutingDecision
from rules.words import Status
from services.router.answering import may_answer
from services.router.changes import KINDS, Change, Opened, facts_of
from services.router.commands import (
    AddNote,
    Answer,
    Arrival,
    Cause,
    Command,
    MergeAway,
    ReceiveMessage,
    ReceiveRating,
    RecordCallBack,
    Reopen,
    Reply,
    RequestInformation,
    Submitted,
)
from services.router.effects import EFFECTS
from services.router.listening import moves_clocks
from services.router.model import (
    ANSWERS,
    ROUTER,
    ActorKind,
    ClockFacts,
    Complaint,
    Event,
    HistoryEntry,
    Ticket,
    Understanding,
    Update,
)
from services.router.terms import earlier, kept
from services.router.transitions import permit

# How long the desk's own call has for the second half of a merging before the sweep does it.
_MERGE_GRACE = timedelta(seconds=2)
# What makes a ticket longer and doesn't end it.
_SAYING = (Reply, AddNote, RecordCallBack, RequestInformation, Reopen)


def open_ticket(
    complaint: Complaint,
    decision: RoutingDecision,
    policies: PolicySet,
    now: datetime,
    trace: str | None = None,
    understanding: Understanding | None = None,
) -> Event:
    """The ticket of a complaint, version 1, routed at `now`.

    The event occurred when the complaint was acknowledged, not when the router got to it: a replay of the topics makes
    old events, which nobody is told about again. The promise made to the customer stays as it is; targets that intake
    armed already have held since the acknowledgement, others take effect now.
    """
    at = complaint.acknowledged_at
    targets = kept(decision.targets, policies.calendars, at, complaint.promise)
    policy = next(policy for policy in policies.sla if policy.name == decision.sla_policy)
    ticket = Ticket(
        id=complaint.ticket_id,
        version=0,
        brand=complaint.brand,
        channel=complaint.channel,
        status=Status.RECEIVED,
        category=decision.category,
        secondary=decision.secondary,
        priority=decision.priority,
        queue=decision.queue,
        joint_queues=decision.joint_queues,
        customer_ref=complaint.customer_ref,
        customer_id=complaint.customer_id,
        order_id=complaint.order_id,
        region=complaint.region,
        merchant_id=complaint.merchant_id,
        product_id=complaint.product_id,
        locale=complaint.locale,
        images=complaint.images,
        channel_facts=complaint.channel_facts,
        red=decision.red,
        complex=decision.complex,
        sla_policy=decision.sla_policy,
        policy_hash=decision.policy_hash,
        promise=complaint.promise,
        due=earlier(complaint.promise, promises.promise(policies, decision, at)),
        targets=targets,
        automatic_answer_counts=policy.automatic_answer_counts,
        pause_max=policy.pause_max,
        no_answer_after=policy.no_answer_after,
        close_after=policies.routing.close_after,
        keep_personal=policies.brand.keep_personal,
        facts=ClockFacts(
            acknowledged_at=at,
            routed_at=now,
            ownerless_since=now,
            targets_since=at if targets == complaint.targets else now,
            courses=running.routed(running.opened(at), now),
        ),
        fingerprint=complaint.fingerprint,
        personal=complaint.personal,
        notices=tuple(dict.fromkeys(who for notice in decision.notices for who in notice.notify)),
        evidence=(*decision.evidence, *(understanding.features if understanding else ())),
        understanding=understanding,
    )
    cause = Cause(id="complaint", at=at, actor=ROUTER, content=complaint.fingerprint, trace=trace)
    return _record(ticket, Opened((decision.rule, *ticket.evidence)), cause, {})


def join_ticket(opened: Ticket, into: Ticket, now: datetime, trace: str | None = None) -> Event:
    """The first and last version of a ticket whose complaint belongs to another one of the same customer.

    It ends merged, and the other ticket's customer is its own: who holds its number is led on. No clock of its own goes
    on; the promise it was given is taken over by the survivor (merging.py).
    """
    at = opened.facts.acknowledged_at
    unborn = replace(
        opened,
        version=0,
        history=(),
        brand=into.brand,
        customer_ref=into.customer_ref,
        customer_id=opened.customer_id or into.customer_id,
        targets=(),
        notices=(),
        images=(),
        facts=ClockFacts(acknowledged_at=at, courses=running.opened(at)),
    )
    cause = Cause("complaint", now, ROUTER, "belongs to an open ticket", content=opened.fingerprint, trace=trace)
    event = apply(unborn, MergeAway(into.id), cause)
    assert event is not None
    return event


def is_repeat(ticket: Ticket, complaint: Complaint) -> bool:
    """True for the complaint the ticket was opened with.

    Raises Poison("idempotency_conflict") for another one under the same id: nothing is merged (mechanisms.md).
    """
    if ticket.fingerprint != complaint.fingerprint:
        raise Poison("idempotency_conflict", "another complaint under the id of this ticket")
    return True


def apply(ticket: Ticket, command: Command, cause: Cause) -> Event | None:
    """The change a command makes, or None where its cause has made it already.

    Raises Conflict: the same cause with other content. Refused, with a sentence: the ticket's status doesn't allow it.
    """
    known = ticket.entry_of(cause.id)
    if known is not None:
        if known.content != cause.content:
            raise Conflict("this idempotency key was used for something else")
        return None
    status = permit(ticket, type(command))
    _room_for(ticket, command, cause)
    outcome = EFFECTS[type(command)](ticket, command, cause)
    after = replace(outcome.ticket, status=outcome.status or status)
    event = _record(after, outcome.change, cause, outcome.facts)
    return replace(event, remedies=outcome.remedies, moves_clocks=moves_clocks(ticket, after))


def _room_for(ticket: Ticket, command: Command, cause: Cause) -> None:
    """What people and programs at the desk say has a bound; what ends a ticket is always taken, or it never would."""
    if not isinstance(command, _SAYING) or len(ticket.messages) < MOST_SAID:
        return
    if cause.actor.kind is not ActorKind.CUSTOMER and cause.actor not in (ROUTER, ANSWERS):
        raise Refused(f"a ticket with {MOST_SAID} messages takes no more of them: resolve or close it")


def perform(ticket: Ticket, command: Command, cause: Cause) -> tuple[Event, ...]:
    """`apply` and what follows of its own, in order; nothing where the cause is known. Raises as `apply`."""
    event = apply(ticket, command, cause)
    if event is None:
        return ()
    events = [event]
    for further, of in follow_ups(ticket, command, cause):
        if following := apply(events[-1].ticket, further, of):
            events.append(following)
    return tuple(events)


def follow_ups(before: Ticket, command: Command, cause: Cause) -> tuple[tuple[Command, Cause], ...]:
    """A resolved ticket is open again when the customer writes anything but thanks, or is unhappy with the result;
    unless a linked ticket was opened for his words.

    A question to an open one gets a machine's answer, where there is one and `answering.may_answer`.
    """
    if isinstance(command, ReceiveMessage) and command.answer is not None and may_answer(before):
        return (_reply(before, command.answer, cause),)
    if before.status is not Status.RESOLVED:
        return ()
    again = replace(cause, id=f"{cause.id}:reopen", content="")
    if isinstance(command, ReceiveMessage) and not command.thanks and not command.linked:
        return ((Reopen("customer_wrote", unanswered=True), again),)
    if isinstance(command, ReceiveRating) and command.unhappy:
        return ((Reopen("unhappy", unanswered=True), again),)
    return ()


def first_word(opened: Event, answer: Answer | None) -> Event | None:
    """A machine's answer to what the ticket was opened with, None where it has or may give none."""
    if answer is None or not may_answer(opened.ticket):
        return None
    cause = Cause("complaint", opened.at, opened.actor, trace=opened.trace)
    return apply(opened.ticket, *_reply(opened.ticket, answer, cause))


def _reply(ticket: Ticket, answer: Answer, question: Cause) -> tuple[Reply, Cause]:
    """By the question's cause: said once, however often that comes."""
    cause = Cause(f"{question.id}:answer", answer.at, ANSWERS, answer.topic, trace=question.trace)
    return Reply(deterministic_id("message", ticket.id, cause.id), answer.content, topic=answer.topic), cause


def fold(ticket: Ticket, arrivals: Sequence[Arrival]) -> Update | None:
    """All that `arrivals`, in their order, change of a ticket that exists; None if it is all known already.

    Raises Poison as `is_repeat`; Unavailable for what a customer said to a ticket that was closed since it was decided
    where his words belong (threads.py).
    """
    events: list[Event] = []
    present = ticket
    for arrival in arrivals:
        if isinstance(arrival, Submitted):
            is_repeat(present, arrival.complaint)
        elif present.entry_of(arrival.cause.id) is None and _belongs_elsewhere(present, arrival.command):
            raise Unavailable("the ticket was closed meanwhile")
        elif following := perform(present, arrival.command, arrival.cause):
            events += following
            present = following[-1].ticket
    return Update(ticket.version, tuple(events)) if events else None


def _belongs_elsewhere(ticket: Ticket, command: Command) -> bool:
    if ticket.status is not Status.CLOSED:
        return False
    if isinstance(command, ReceiveMessage):
        return not command.linked and not command.thanks
    if isinstance(command, ReceiveRating):
        return command.unhappy and not command.linked and not ticket.continued_by
    return False


def next_due(ticket: Ticket) -> datetime | None:
    """The earliest promise that still runs: the first answer's, then the resolution's. None once resolved."""
    if ticket.status in (Status.RESOLVED, Status.CLOSED):
        return None
    answered = ticket.facts.first_answer_at is not None
    running = [ticket.due.resolve_by, None if answered else ticket.due.first_response_by]
    return min((instant for instant in running if instant is not None), default=None)


@dataclass(frozen=True)
class Action:
    """What the router does by itself, and when."""

    at: datetime
    kind: Literal["remind", "no_answer", "close", "finish_merge", "forget"]


def next_action(ticket: Ticket) -> Action | None:
    """The next step that needs nobody: reminding a customer, closing, the second half of a merging, forgetting.

    A pause has a maximum: at its end the customer is reminded, and `no_answer_after` that, where the policy closes at
    all, the ticket ends as unanswered (sla.md, "Pause"). After an outage he still has all of that time.
    """
    facts = ticket.facts
    if ticket.merged_into and facts.closed_at is not None:
        return Action(facts.closed_at + _MERGE_GRACE, "finish_merge")
    if ticket.status is Status.PENDING and ticket.waiting_since is not None:
        if ticket.reminded_at is None:
            return Action(ticket.waiting_since + ticket.pause_max, "remind")
        closes_at = unanswered_at(ticket, ticket.reminded_at)
        return None if closes_at is None else Action(closes_at, "no_answer")
    if ticket.status is Status.RESOLVED and facts.resolved_at is not None:
        return Action(facts.resolved_at + ticket.close_after, "close")
    return forgetting(ticket)


def unanswered_at(ticket: Ticket, reminded_at: datetime) -> datetime | None:
    """When a ticket that waits for a customer reminded at `reminded_at` closes without his answer; None: never."""
    if ticket.no_answer_after is None or ticket.waiting_since is None:
        return None
    return max(ticket.waiting_since + ticket.pause_max, reminded_at + ticket.no_answer_after)


def forgetting(ticket: Ticket) -> Action | None:
    """Contact, texts and pictures of a closed ticket go after the brand's time; None where nothing is left to go."""
    closed_at = ticket.facts.closed_at
    if ticket.status is not Status.CLOSED or closed_at is None or not ticket.has_personal:
        return None
    return Action(closed_at + ticket.keep_personal, "forget")


def _record(ticket: Ticket, change: Change, cause: Cause, facts: Mapping[str, str]) -> Event:
    version = ticket.version + 1
    entry = HistoryEntry(
        at=cause.at,
        actor=cause.actor,
        kind=KINDS[type(change)],
        reason=cause.reason,
        version=version,
        cause=cause.id,
        content=cause.content,
        facts={**facts_of(change), **facts},
    )
    after = replace(ticket, version=version, history=(*ticket.history, entry))
    return Event(after, change, cause.at, cause.actor, cause.reason, cause.trace)
