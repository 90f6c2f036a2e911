"""What each command does to a ticket: pure functions, found by the command's type."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from common.errors import Refused
from rules import courses as running
from rules.words import Status
from services.router import changes as made
from services.router.commands import (
    AddNote,
    Assign,
    Cause,
    ChangeCategory,
    ChangePriority,
    ChangeQueue,
    Close,
    Command,
    EraseCustomer,
    Inform,
    MergeAway,
    MergeIn,
    NoteCompensation,
    NoteEscalation,
    NoteIncident,
    NoteRemedy,
    ReceiveMessage,
    ReceiveRating,
    RecordCallBack,
    Reopen,
    RepeatSnapshot,
    Reply,
    RequestInformation,
    Resolve,
    Terms,
)
from services.router.model import ClockFacts, Message, Remedy, Sealed, Ticket


@dataclass(frozen=True)
class Outcome:
    """The ticket after it, the change, what the history adds to the change's own fields."""

    ticket: Ticket
    change: made.Change
    facts: Mapping[str, str] = field(default_factory=dict)
    # Where it differs from the table.
    status: Status | None = None
    remedies: tuple[Remedy, ...] = ()


def with_terms(ticket: Ticket, terms: Terms, cause: Cause) -> Ticket:
    """The ticket under other terms, in effect from the cause's time where the targets differ."""
    changed = (terms.targets, terms.sla_policy, terms.policy_hash) != (
        ticket.targets,
        ticket.sla_policy,
        ticket.policy_hash,
    )
    return replace(
        ticket,
        priority=terms.priority,
        sla_policy=terms.sla_policy,
        policy_hash=terms.policy_hash,
        targets=terms.targets,
        automatic_answer_counts=terms.automatic_answer_counts,
        pause_max=terms.pause_max,
        no_answer_after=terms.no_answer_after,
        promise=terms.promise,
        due=terms.due,
        facts=replace(ticket.facts, targets_since=cause.at) if changed else ticket.facts,
    )


def _answered(ticket: Ticket, cause: Cause) -> ClockFacts:
    """A public answer. A person's is a response; an automatic one only where the policy says so."""
    facts, at, automatic = ticket.facts, cause.at, cause.actor.automatic
    courses = running.answered(facts.courses, at, automatic=automatic, automatic_counts=ticket.automatic_answer_counts)
    facts = replace(facts, courses=courses, last_answer_at=at)
    if automatic and not ticket.automatic_answer_counts:
        return facts
    return replace(facts, first_answer_at=facts.first_answer_at or at, oldest_unanswered_at=None)


def _said(ticket: Ticket, cause: Cause, message_id: str, content: Sealed, **more: Any) -> Ticket:
    message = Message(message_id, cause.at, cause.actor, content, **{"automatic": cause.actor.automatic, **more})
    return replace(ticket, messages=(*ticket.messages, message))


def _asked(ticket: Ticket) -> Ticket:
    """Nobody is waited for any more."""
    return replace(ticket, waiting_since=None, reminded_at=None)


def _linked(ticket: Ticket, other: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*ticket.linked, other)))


def _assign(ticket: Ticket, command: Assign, cause: Cause) -> Outcome:
    # A hand-over from one person to another ends no owner-less period.
    facts = replace(
        ticket.facts,
        owner_since=ticket.facts.owner_since or cause.at,
        courses=running.owned(ticket.facts.courses, cause.at),
    )
    after = replace(ticket, assignee=command.assignee, facts=facts)
    return Outcome(after, made.Assigned(command.assignee, ticket.assignee))


def _disowned(ticket: Ticket, cause: Cause) -> Ticket:
    """A new owner-less period begins, where none lasts."""
    facts = ticket.facts
    if facts.owner_since is not None:
        facts = replace(facts, owner_since=None, ownerless_since=cause.at)
    return replace(ticket, assignee="", facts=replace(facts, courses=running.disowned(facts.courses, cause.at)))


def _reply(ticket: Ticket, command: Reply, cause: Cause) -> Outcome:
    automatic = cause.actor.automatic
    said = _said(ticket, cause, command.message_id, command.content, images=command.images)
    facts = _answered(ticket, cause)
    if ticket.status is Status.PENDING:
        # The update that starts now waits for the customer, too.
        facts = replace(facts, courses=running.waiting(facts.courses, cause.at))
    after = replace(said, facts=facts, answered_topic=command.topic or ticket.answered_topic)
    # A machine's answer doesn't mean that somebody is at work.
    return Outcome(
        after, made.Replied(command.message_id, automatic, command.topic), status=ticket.status if automatic else None
    )


def _inform(ticket: Ticket, command: Inform, cause: Cause) -> Outcome:
    after = _said(ticket, cause, command.message_id, command.content, automatic=True)
    if command.reminder:
        after = replace(after, reminded_at=cause.at)
    return Outcome(after, made.Replied(command.message_id, automatic=True))


def _add_note(ticket: Ticket, command: AddNote, cause: Cause) -> Outcome:
    after = _said(ticket, cause, command.note_id, command.content, public=False)
    return Outcome(after, made.NoteAdded(command.note_id))


def _record_call_back(ticket: Ticket, command: RecordCallBack, cause: Cause) -> Outcome:
    said = _said(ticket, cause, command.note_id, command.content, public=False)
    facts = replace(ticket.facts, courses=running.called_back(ticket.facts.courses, cause.at))
    return Outcome(replace(said, facts=facts), made.NoteAdded(command.note_id, call_back=True))


def _request_information(ticket: Ticket, command: RequestInformation, cause: Cause) -> Outcome:
    facts = _answered(ticket, cause)
    facts = replace(facts, courses=running.waiting(facts.courses, cause.at))
    said = _said(ticket, cause, command.message_id, command.content)
    # A further question gives the customer his time again; the clocks have been standing since the first.
    after = replace(said, facts=facts, waiting_since=cause.at, reminded_at=None)
    return Outcome(after, made.InformationRequested(command.message_id))


def _change_priority(ticket: Ticket, command: ChangePriority, cause: Cause) -> Outcome:
    facts = {"priority": command.terms.priority.value, "sla_policy": command.terms.sla_policy}
    return Outcome(with_terms(ticket, command.terms, cause), made.PriorityChanged(ticket.priority), facts)


def _change_category(ticket: Ticket, command: ChangeCategory, cause: Cause) -> Outcome:
    after = replace(
        with_terms(ticket, command.terms, cause),
        category=command.category,
        secondary=command.secondary,
        red=command.red,
        complex=command.complex,
        joint_queues=command.joint_queues,
    )
    if command.queue != ticket.queue:
        after = replace(_disowned(after, cause), queue=command.queue)
    facts = {
        "category": command.category.value,
        "priority": command.terms.priority.value,
        "queue": command.queue,
        "sla_policy": command.terms.sla_policy,
        # What the classifier can learn from.
        "corrected_by": cause.actor.kind.value,
    }
    return Outcome(after, made.CategoryChanged(ticket.category), facts)


def _change_queue(ticket: Ticket, command: ChangeQueue, cause: Cause) -> Outcome:
    after = ticket if command.queue == ticket.queue else _disowned(ticket, cause)
    after = replace(after, queue=command.queue, joint_queues=command.joint_queues)
    facts = {"queue": command.queue, "joint_queues": ",".join(command.joint_queues)}
    return Outcome(after, made.QueueChanged(ticket.queue), {name: value for name, value in facts.items() if value})


def _resolve(ticket: Ticket, command: Resolve, cause: Cause) -> Outcome:
    remedy = command.remedy
    if remedy is not None and not ticket.order_id:
        raise Refused("a remedy of the order platform needs an order, and this ticket has none")
    facts = _answered(ticket, cause)
    facts = replace(facts, resolved_at=cause.at, courses=running.resolved(facts.courses, cause.at))
    extra = {"currency": command.currency, "amount_minor": str(command.amount)} if command.currency else {}
    if remedy is not None:
        extra |= {"remedy_id": remedy.id}
    after = replace(_asked(_said(ticket, cause, command.message_id, command.content)), facts=facts)
    return Outcome(
        after,
        made.Resolved(command.message_id, command.resolution, *_coupon(command)),
        extra,
        remedies=() if remedy is None else (remedy,),
    )


def _coupon(command: Resolve) -> tuple[str, int | None]:
    return (command.currency, command.amount) if command.resolution == "coupon" and command.amount else ("", None)


def _close(ticket: Ticket, command: Close, cause: Cause) -> Outcome:
    facts = replace(ticket.facts, closed_at=cause.at, courses=running.closed(ticket.facts.courses, cause.at))
    return Outcome(replace(_asked(ticket), facts=facts), made.Closed(command.why))


def _reopen(ticket: Ticket, command: Reopen, cause: Cause) -> Outcome:
    courses = running.reopened(ticket.facts.courses, cause.at)
    facts = replace(ticket.facts, resolved_at=None, courses=courses)
    if command.unanswered:
        facts = replace(
            facts,
            oldest_unanswered_at=facts.oldest_unanswered_at or cause.at,
            courses=running.customer_wrote(courses, cause.at),
        )
    return Outcome(replace(ticket, facts=facts), made.Reopened(command.why))


def _merge_away(ticket: Ticket, command: MergeAway, cause: Cause) -> Outcome:
    facts = replace(ticket.facts, closed_at=cause.at, courses=running.merged_away(ticket.facts.courses, cause.at))
    after = replace(_asked(ticket), merged_into=command.into, linked=_linked(ticket, command.into), facts=facts)
    return Outcome(after, made.Merged(command.into, (ticket.id,)))


def _merge_in(ticket: Ticket, command: MergeIn, cause: Cause) -> Outcome:
    courses = running.merged_in(ticket.facts.courses, command.courses)
    facts = replace(ticket.facts, courses=courses)
    if courses != ticket.facts.courses or command.targets != ticket.targets:
        # What moves a deadline breaches at the earliest now, never in the past.
        facts = replace(facts, targets_since=cause.at)
    after = replace(
        _said(ticket, cause, command.note_id, command.note, public=False),
        merged=(*ticket.merged, command.merged),
        linked=_linked(ticket, command.merged),
        promise=command.promise,
        due=command.due,
        targets=command.targets,
        facts=facts,
    )
    return Outcome(after, made.Merged(ticket.id, (command.merged,)))


def _erase(ticket: Ticket, command: EraseCustomer, cause: Cause) -> Outcome:
    messages = tuple(replace(message, content=None, images=()) for message in ticket.messages)
    return Outcome(replace(ticket, personal=None, messages=messages, images=(), channel_facts={}), made.Erased())


def _repeat(ticket: Ticket, command: RepeatSnapshot, cause: Cause) -> Outcome:
    return Outcome(ticket, made.SnapshotRepeated())


def _receive_message(ticket: Ticket, command: ReceiveMessage, cause: Cause) -> Outcome:
    # Who writes again after a machine's answer wasn't helped by it; thanks say that he was.
    hands_over = not ticket.handed_over and (command.calls_person or bool(ticket.answered_topic and not command.thanks))
    after = _said(ticket, cause, command.message_id, command.content, images=command.images)
    after = replace(after, handed_over=ticket.handed_over or hands_over)
    change = made.CustomerReplied(command.message_id, command.channel, hands_over)
    if ticket.status in (Status.RESOLVED, Status.CLOSED):
        # What else it does follows of its own: see `policy.follow_ups`.
        return Outcome(_continued(after, command.linked), change, _link_facts(command.linked))
    facts = replace(
        ticket.facts,
        oldest_unanswered_at=ticket.facts.oldest_unanswered_at or cause.at,
        courses=running.customer_wrote(ticket.facts.courses, cause.at),
    )
    after = _continued(replace(_asked(after), facts=facts), command.linked)
    return Outcome(after, change, _link_facts(command.linked))


def _continued(ticket: Ticket, by: str) -> Ticket:
    return replace(ticket, continued_by=by, linked=_linked(ticket, by)) if by else ticket


def _link_facts(other: str) -> dict[str, str]:
    return {"opened": other} if other else {}


def _receive_rating(ticket: Ticket, command: ReceiveRating, cause: Cause) -> Outcome:
    facts = replace(ticket.facts, rated_at=cause.at, courses=running.rated(ticket.facts.courses, cause.at))
    after = _continued(replace(ticket, score=command.score, facts=facts), command.linked)
    if command.comment is not None:
        after = _said(after, cause, command.rating_id, command.comment)
    # By its id intake knows a rating that is sent again.
    facts_of_it = {"rating_id": command.rating_id, **_link_facts(command.linked)}
    return Outcome(after, made.Rated(command.score, command.resolved), facts_of_it)


def _note_escalation(ticket: Ticket, command: NoteEscalation, cause: Cause) -> Outcome:
    return Outcome(ticket, made.EscalationNoted(command.escalation_id, command.metric, command.level, command.what))


def _note_compensation(ticket: Ticket, command: NoteCompensation, cause: Cause) -> Outcome:
    return Outcome(ticket, made.CompensationNoted(command.ledger_id, command.state), command.facts)


def _note_remedy(ticket: Ticket, command: NoteRemedy, cause: Cause) -> Outcome:
    return Outcome(ticket, made.RemedyNoted(command.remedy_id, command.state))


def _note_incident(ticket: Ticket, command: NoteIncident, cause: Cause) -> Outcome:
    return Outcome(ticket, made.IncidentNoted(command.incident_id, command.dimension, command.value))


EFFECTS: dict[type[Command], Callable[[Ticket, Any, Cause], Outcome]] = {
    Assign: _assign,
    Reply: _reply,
    Inform: _inform,
    AddNote: _add_note,
    RecordCallBack: _record_call_back,
    RequestInformation: _request_information,
    ChangePriority: _change_priority,
    ChangeCategory: _change_category,
    ChangeQueue: _change_queue,
    Resolve: _resolve,
    Close: _close,
    Reopen: _reopen,
    MergeAway: _merge_away,
    MergeIn: _merge_in,
    EraseCustomer: _erase,
    RepeatSnapshot: _repeat,
    ReceiveMessage: _receive_message,
    ReceiveRating: _receive_rating,
    NoteEscalation: _note_escalation,
    NoteCompensation: _note_compensation,
    NoteRemedy: _note_remedy,
    NoteIncident: _note_incident,
}
