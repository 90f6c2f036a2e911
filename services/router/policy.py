"""Decisions about a ticket: data in, data out. What may be done in which state is a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from common.errors import Conflict, Poison, Refused
from rules import courses as running
from rules import promise as promises
from rules.model import PolicySet, Promise, RoutingDecision
from rules.words import Status
from services.router.commands import (
    Arrival,
    Assign,
    Cause,
    Command,
    NoteCompensation,
    NoteEscalation,
    ReceiveMessage,
    ReceiveRating,
    Reply,
    Resolve,
    Submitted,
)
from services.router.model import (
    KINDS,
    ROUTER,
    Assigned,
    Change,
    ClockFacts,
    CompensationNoted,
    Complaint,
    CustomerReplied,
    EscalationNoted,
    Event,
    HistoryEntry,
    Message,
    Opened,
    Rated,
    Replied,
    Resolved,
    Ticket,
    Update,
    facts_of,
)

_ALWAYS = {status: status for status in Status}

TRANSITIONS: Mapping[type[Command], Mapping[Status, Status]] = {
    Assign: {
        Status.RECEIVED: Status.IN_PROGRESS,
        Status.IN_PROGRESS: Status.IN_PROGRESS,
        Status.PENDING: Status.PENDING,
    },
    Reply: {
        Status.RECEIVED: Status.IN_PROGRESS,
        Status.IN_PROGRESS: Status.IN_PROGRESS,
        Status.PENDING: Status.PENDING,
    },
    Resolve: {
        Status.RECEIVED: Status.RESOLVED,
        Status.IN_PROGRESS: Status.RESOLVED,
        Status.PENDING: Status.RESOLVED,
    },
    # The first customer message ends the waiting for him (sla.md, "Pause").
    ReceiveMessage: _ALWAYS | {Status.PENDING: Status.IN_PROGRESS},
    ReceiveRating: _ALWAYS,
    NoteEscalation: _ALWAYS,
    NoteCompensation: _ALWAYS,
}
"""Status before → status after, for each command. What isn't here is refused."""

_DOING: Mapping[type[Command], str] = {
    Assign: "can't be assigned",
    Reply: "takes no answer",
    Resolve: "can't be resolved",
}


def open_ticket(
    complaint: Complaint, decision: RoutingDecision, policies: PolicySet, now: datetime, trace: str | None = None
) -> Event:
    """The ticket of a complaint, version 1, routed at `now`.

    The event occurred when the complaint was acknowledged, not when the router got to it: a replay of the topics makes
    old events, which nobody is told about again. The promise made to the customer stays as it is; targets that intake
    armed already have held since the acknowledgement, others take effect now.
    """
    at = complaint.acknowledged_at
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
        sla_policy=decision.sla_policy,
        policy_hash=decision.policy_hash,
        promise=complaint.promise,
        due=_earlier(complaint.promise, promises.promise(policies, decision, at)),
        targets=decision.targets,
        automatic_answer_counts=policy.automatic_answer_counts,
        facts=ClockFacts(
            acknowledged_at=at,
            routed_at=now,
            ownerless_since=now,
            targets_since=at if decision.targets == complaint.targets else now,
            courses=running.routed(running.opened(at), now),
        ),
        fingerprint=complaint.fingerprint,
        personal=complaint.personal,
        notices=tuple(dict.fromkeys(who for notice in decision.notices for who in notice.notify)),
        evidence=decision.evidence,
    )
    cause = Cause(id="complaint", at=at, actor=ROUTER, content=complaint.fingerprint, trace=trace)
    return _record(ticket, Opened((decision.rule, *decision.evidence)), cause, {})


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
    status = TRANSITIONS[type(command)].get(ticket.status)
    if status is None:
        raise Refused(f"a ticket that is {ticket.status.replace('_', ' ')} {_DOING[type(command)]}")
    outcome = _EFFECTS[type(command)](ticket, command, cause)
    return _record(replace(outcome.ticket, status=outcome.status or status), outcome.change, cause, outcome.facts)


def fold(ticket: Ticket, arrivals: Sequence[Arrival]) -> Update | None:
    """All that `arrivals`, in their order, change of a ticket that exists; None if it is all known already.

    Raises Poison as `is_repeat`.
    """
    events: list[Event] = []
    present = ticket
    for arrival in arrivals:
        if isinstance(arrival, Submitted):
            is_repeat(present, arrival.complaint)
        elif event := apply(present, arrival.command, arrival.cause):
            events.append(event)
            present = event.ticket
    return Update(ticket.version, tuple(events)) if events else None


def next_due(ticket: Ticket) -> datetime | None:
    """The earliest promise that still runs: the first answer's, then the resolution's. None once resolved."""
    if ticket.status in (Status.RESOLVED, Status.CLOSED):
        return None
    answered = ticket.facts.first_answer_at is not None
    running = [ticket.due.resolve_by, None if answered else ticket.due.first_response_by]
    return min((instant for instant in running if instant is not None), default=None)


@dataclass(frozen=True)
class _Outcome:
    ticket: Ticket
    change: Change
    facts: Mapping[str, str]
    # Where it differs from the table.
    status: Status | None = None


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


def _earlier(promised: Promise, computed: Promise) -> Promise:
    """A deadline is the earlier of what was promised and the target (mechanisms.md, "One owner of a promise")."""

    def first(*instants: datetime | None) -> datetime | None:
        return min((each for each in instants if each is not None), default=None)

    return Promise(
        first(promised.first_response_by, computed.first_response_by), first(promised.resolve_by, computed.resolve_by)
    )


def _answered(ticket: Ticket, cause: Cause) -> ClockFacts:
    """A public answer. A person's is a response; an automatic one only where the policy says so."""
    facts, at, automatic = ticket.facts, cause.at, cause.actor.automatic
    courses = running.answered(facts.courses, at, automatic=automatic, automatic_counts=ticket.automatic_answer_counts)
    facts = replace(facts, courses=courses, last_answer_at=at)
    if automatic and not ticket.automatic_answer_counts:
        return facts
    return replace(facts, first_answer_at=facts.first_answer_at or at, oldest_unanswered_at=None)


def _owned(facts: ClockFacts, at: datetime) -> ClockFacts:
    """A hand-over from one person to another ends no owner-less period."""
    return replace(facts, owner_since=facts.owner_since or at, courses=running.owned(facts.courses, at))


def _said(ticket: Ticket, message: Message) -> Ticket:
    return replace(ticket, messages=(*ticket.messages, message))


def _assign(ticket: Ticket, command: Assign, cause: Cause) -> _Outcome:
    after = replace(ticket, assignee=command.assignee, facts=_owned(ticket.facts, cause.at))
    return _Outcome(after, Assigned(command.assignee, ticket.assignee), {})


def _reply(ticket: Ticket, command: Reply, cause: Cause) -> _Outcome:
    automatic = cause.actor.automatic
    message = Message(
        command.message_id, cause.at, cause.actor, command.content, automatic=automatic, images=command.images
    )
    after = replace(_said(ticket, message), facts=_answered(ticket, cause))
    # A machine's answer doesn't mean that somebody is at work.
    return _Outcome(after, Replied(command.message_id, automatic), {}, ticket.status if automatic else None)


def _resolve(ticket: Ticket, command: Resolve, cause: Cause) -> _Outcome:
    message = Message(command.message_id, cause.at, cause.actor, command.content, automatic=cause.actor.automatic)
    facts = _answered(ticket, cause)
    facts = replace(facts, resolved_at=cause.at, courses=running.resolved(facts.courses, cause.at))
    amount = {"currency": command.currency, "amount_minor": str(command.amount)} if command.currency else {}
    after = replace(_said(ticket, message), facts=facts)
    return _Outcome(after, Resolved(command.message_id, command.resolution), amount)


def _receive_message(ticket: Ticket, command: ReceiveMessage, cause: Cause) -> _Outcome:
    message = Message(command.message_id, cause.at, cause.actor, command.content, images=command.images)
    facts = replace(
        ticket.facts,
        oldest_unanswered_at=ticket.facts.oldest_unanswered_at or cause.at,
        courses=running.customer_wrote(ticket.facts.courses, cause.at),
    )
    after = replace(_said(ticket, message), facts=facts)
    return _Outcome(after, CustomerReplied(command.message_id, command.channel), {})


def _receive_rating(ticket: Ticket, command: ReceiveRating, cause: Cause) -> _Outcome:
    facts = replace(ticket.facts, rated_at=cause.at, courses=running.rated(ticket.facts.courses, cause.at))
    after = replace(ticket, score=command.score, facts=facts)
    if command.comment is not None:
        after = _said(after, Message(command.rating_id, cause.at, cause.actor, command.comment))
    return _Outcome(after, Rated(command.score, command.resolved), {})


def _note_escalation(ticket: Ticket, command: NoteEscalation, cause: Cause) -> _Outcome:
    change = EscalationNoted(command.escalation_id, command.metric, command.level, command.what)
    return _Outcome(ticket, change, {})


def _note_compensation(ticket: Ticket, command: NoteCompensation, cause: Cause) -> _Outcome:
    return _Outcome(ticket, CompensationNoted(command.ledger_id, command.state), command.facts)


_EFFECTS: Mapping[type[Command], Callable[[Ticket, Any, Cause], _Outcome]] = {
    Assign: _assign,
    Reply: _reply,
    Resolve: _resolve,
    ReceiveMessage: _receive_message,
    ReceiveRating: _receive_rating,
    NoteEscalation: _note_escalation,
    NoteCompensation: _note_compensation,
}
