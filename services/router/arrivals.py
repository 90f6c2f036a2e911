"""Kafka messages to arrivals. What lacks something it can't do without is Poison("invalid_message")."""

from collections.abc import Callable, Mapping
from datetime import datetime

from google.protobuf.message import Message as Proto
from google.protobuf.timestamp_pb2 import Timestamp

from common.errors import Poison
from common.events import Incoming
from common.masking import without_contacts
from common.words import from_timestamp, to_us, word_of
from gen.pingxi.v1 import (
    common_pb2,
    compensation_pb2,
    complaint_pb2,
    escalation_pb2,
    remedy_pb2,
    sla_event_pb2,
    surge_pb2,
    voucher_pb2,
)
from rules.number import parse
from services.router.commands import (
    Arrival,
    Cause,
    Command,
    NoteCompensation,
    NoteEscalation,
    NoteIncident,
    NoteRemedy,
    ReceiveMessage,
    ReceiveRating,
    Submitted,
    Told,
)
from services.router.model import Actor, ActorKind, Complaint, Sealed
from wire.promise import promise_from_proto, targets_from_proto
from wire.words import category_from_proto, metric_from_proto

COMPLAINT_KINDS: list[type[Proto]] = [
    complaint_pb2.ComplaintSubmitted,
    complaint_pb2.CustomerMessage,
    complaint_pb2.RatingGiven,
]
HISTORY_KINDS: list[type[Proto]] = [
    escalation_pb2.TicketEscalated,
    escalation_pb2.EscalationAcknowledged,
    escalation_pb2.EscalationClosed,
    sla_event_pb2.SlaBreached,
    sla_event_pb2.SlaMet,
    voucher_pb2.VoucherIssued,
    voucher_pb2.PointsGranted,
    compensation_pb2.LedgerRow,
    remedy_pb2.RefundDone,
    remedy_pb2.ReshipDone,
    remedy_pb2.RemedyRefused,
    surge_pb2.SurgeOpened,
    surge_pb2.SurgeUpdated,
    surge_pb2.SurgeClosed,
]
ARMED_KINDS: list[type[Proto]] = [
    sla_event_pb2.SlaArmed,
    sla_event_pb2.SlaRetargeted,
    sla_event_pb2.SlaPaused,
    sla_event_pb2.SlaResumed,
]

_CUSTOMER = Actor(ActorKind.CUSTOMER)
_SLA = Actor(ActorKind.SYSTEM, "sla")
_ORDERS = Actor(ActorKind.SYSTEM, "order platform")
# What becomes of a voucher after its promise: people take it back, the loyalty system answers.
_AFTER_THE_PROMISE = frozenset({"redeemable", "redeemed", "rejected", "reversing", "reversed"})
_REFUSED = "reversal_refused"


def arrival(message: Incoming) -> Arrival | None:
    """What a message says about a ticket; None where it says nothing the history wants. Raises Poison."""
    try:
        found = _READERS[message.type](message)
    except ValueError as error:
        raise _invalid(message, "a value out of range") from error
    if found is not None and parse(found.ticket_id) != found.ticket_id:
        raise _invalid(message, "ticket_id isn't a ticket number")
    return found


def _invalid(message: Incoming, what: str) -> Poison:
    return Poison("invalid_message", f"{message.type}: {what}")


def _instant(message: Incoming, stamp: Timestamp, name: str) -> datetime:
    instant = from_timestamp(stamp)
    if instant is None:
        raise _invalid(message, f"{name} is missing")
    return instant


def _sealed(message: Incoming, sealed: common_pb2.Sealed) -> Sealed:
    if not sealed.ciphertext:
        raise _invalid(message, "the sealed content is missing")
    return Sealed(sealed.key_id, sealed.ciphertext)


def _channel(number: int) -> str:
    return word_of(common_pb2.Channel.DESCRIPTOR, number)


def _actor(actor: common_pb2.Actor) -> Actor:
    word = word_of(common_pb2.Actor.Kind.DESCRIPTOR, actor.kind)
    return Actor(ActorKind(word) if word else ActorKind.SYSTEM, actor.id)


def _submitted(message: Incoming) -> Submitted:
    body: complaint_pb2.ComplaintSubmitted = message.body  # type: ignore[assignment]  # by its type
    complaint = Complaint(
        ticket_id=body.ticket_id,
        brand=body.brand,
        channel=_channel(body.channel),
        declared=category_from_proto(body.declared_category),
        customer_ref=body.customer_ref,
        acknowledged_at=_instant(message, body.acknowledged_at, "acknowledged_at"),
        promise=promise_from_proto(body.promise),
        targets=targets_from_proto(body.targets),
        fingerprint=body.fingerprint,
        personal=_sealed(message, body.personal),
        customer_id=body.customer_id,
        order_id=body.order_id,
        region=body.region,
        merchant_id=body.merchant_id,
        product_id=body.product_id,
        locale=body.locale,
        images=tuple(body.images),
        channel_facts=dict(body.channel_facts),
        thread_ticket=parse(body.thread_hint.ticket_id) or "",
        mail_references=tuple(body.thread_hint.mail_references),
    )
    return Submitted(complaint, message.traceparent)


def _message(message: Incoming) -> Told:
    body: complaint_pb2.CustomerMessage = message.body  # type: ignore[assignment]  # by its type
    if not body.message_id:
        raise _invalid(message, "message_id is missing")
    command = ReceiveMessage(
        body.message_id, _channel(body.channel), _sealed(message, body.personal), tuple(body.images)
    )
    at = _instant(message, body.received_at, "received_at")
    return _told(message, body.ticket_id, command, f"message:{body.message_id}", at, _CUSTOMER)


def _rating(message: Incoming) -> Told:
    body: complaint_pb2.RatingGiven = message.body  # type: ignore[assignment]  # by its type
    if not body.rating_id or not 1 <= body.score <= 5:
        raise _invalid(message, "rating_id or score is missing")
    comment = Sealed(body.comment.key_id, body.comment.ciphertext) if body.comment.ciphertext else None
    command = ReceiveRating(body.rating_id, body.score, body.resolved, comment)
    at = _instant(message, body.received_at, "received_at")
    return _told(message, body.ticket_id, command, f"rating:{body.rating_id}", at, _CUSTOMER)


def _escalated(message: Incoming) -> Told:
    body: escalation_pb2.TicketEscalated = message.body  # type: ignore[assignment]  # by its type
    command = NoteEscalation(body.escalation_id, metric_from_proto(body.metric), body.level, "escalated")
    at = _instant(message, body.escalated_at, "escalated_at")
    return _event(message, body.ticket_id, command, at, _SLA, body.reason)


def _acknowledged(message: Incoming) -> Told:
    body: escalation_pb2.EscalationAcknowledged = message.body  # type: ignore[assignment]  # by its type
    command = NoteEscalation(body.escalation_id, metric_from_proto(body.metric), body.level, "acknowledged")
    return _event(message, body.ticket_id, command, _instant(message, body.at, "at"), _actor(body.actor), "")


def _closed(message: Incoming) -> Told:
    body: escalation_pb2.EscalationClosed = message.body  # type: ignore[assignment]  # by its type
    command = NoteEscalation(body.escalation_id, metric_from_proto(body.metric), body.level, "closed")
    return _event(message, body.ticket_id, command, _instant(message, body.at, "at"), _SLA, body.why)


def _breached(message: Incoming) -> Told:
    body: sla_event_pb2.SlaBreached = message.body  # type: ignore[assignment]  # by its type
    command = NoteEscalation(body.breach_id, metric_from_proto(body.clock.metric), 0, "breached")
    at = _instant(message, body.breached_at, "breached_at")
    return _event(message, body.clock.ticket_id, command, at, _SLA, body.reason)


def _met(message: Incoming) -> Told | None:
    body: sla_event_pb2.SlaMet = message.body  # type: ignore[assignment]  # by its type
    if not body.retracts:
        return None
    command = NoteEscalation(body.retracts, metric_from_proto(body.clock.metric), 0, "retracted")
    at = _instant(message, body.met_at, "met_at")
    return _event(message, body.clock.ticket_id, command, at, _SLA, "met in time after all")


def _voucher(message: Incoming) -> Told | None:
    body: voucher_pb2.VoucherIssued = message.body  # type: ignore[assignment]  # by its type
    if not body.ticket_id:
        return None
    return _promised(message, body.voucher_id, body)


def _promised(message: Incoming, ledger_id: str, body: voucher_pb2.VoucherIssued | compensation_pb2.LedgerRow) -> Told:
    # Named by the voucher: the promise and the row that tells of it are one entry, whichever is read first.
    if not ledger_id:
        raise _invalid(message, "the voucher's id is missing")
    facts = {"currency": body.amount.currency, "amount_minor": str(body.amount.amount_minor), "why": body.reason}
    command = NoteCompensation(ledger_id, "published", facts)
    at = _instant(message, body.issued_at, "issued_at")
    return _told(message, body.ticket_id, command, f"voucher:{ledger_id}", at, _SLA, body.reason)


def _points(message: Incoming) -> Told | None:
    body: voucher_pb2.PointsGranted = message.body  # type: ignore[assignment]  # by its type
    if not body.ticket_id:
        return None
    command = NoteCompensation(body.grant_id, "published", {"points": str(body.points), "why": body.reason})
    return _event(message, body.ticket_id, command, _instant(message, body.granted_at, "granted_at"), _SLA, body.reason)


def compensated(message: Incoming) -> list[Arrival]:
    """What became of a voucher after its promise: who, when and why, from its row; none for any other message.

    A row tells all of its changes, those of the rows before it too: `ledger.v1` keeps only the newest. Raises Poison.
    """
    row = message.body
    if not isinstance(row, compensation_pb2.LedgerRow) or not row.ticket_id:
        return []
    if parse(row.ticket_id) != row.ticket_id:
        raise _invalid(message, "ticket_id isn't a ticket number")
    told: list[Arrival] = []
    for change in row.history:
        state = word_of(compensation_pb2.LedgerState.DESCRIPTOR, change.state)
        refused = change.outcome == _REFUSED
        if state not in _AFTER_THE_PROMISE and not refused:
            continue
        at = _instant(message, change.at, "history.at")
        command = NoteCompensation(row.ledger_id, state, {"outcome": _REFUSED} if refused else {})
        # Not by its place: a ledger that was rebuilt from vouchers has a shorter history.
        cause = f"ledger:{row.ledger_id}:{state}:{change.outcome}:{to_us(at)}"
        why = without_contacts(change.why)
        told.append(_told(message, row.ticket_id, command, cause, at, _actor(change.actor), why))
    return [_promised(message, row.ledger_id, row), *told] if told else []


def _remedy_done(message: Incoming) -> Told:
    body: remedy_pb2.RefundDone | remedy_pb2.ReshipDone = message.body  # type: ignore[assignment]  # by its type
    return _remedy(message, body.ticket_id, body.remedy_id, "done", body.at)


def _remedy_refused(message: Incoming) -> Told:
    body: remedy_pb2.RemedyRefused = message.body  # type: ignore[assignment]  # by its type
    return _remedy(message, body.ticket_id, body.remedy_id, "refused", body.at, body.why)


def _remedy(message: Incoming, ticket_id: str, remedy_id: str, state: str, at: Timestamp, why: str = "") -> Told:
    # Named by the remedy, not by the message: a platform that repeats itself under another id says nothing new.
    if not remedy_id:
        raise _invalid(message, "remedy_id is missing")
    cause = f"remedy:{remedy_id}:{state}"
    return _told(message, ticket_id, NoteRemedy(remedy_id, state), cause, _instant(message, at, "at"), _ORDERS, why)


def attached(message: Incoming) -> list[Arrival]:
    """Every ticket that an incident says has joined it; none for any other message. Raises Poison."""
    if not isinstance(message.body, surge_pb2.SurgeOpened | surge_pb2.SurgeUpdated | surge_pb2.SurgeClosed):
        return []
    incident = message.body.incident
    if not incident.incident_id:
        raise _invalid(message, "incident.incident_id is missing")
    at = _instant(message, incident.opened_at, "incident.opened_at")
    command = NoteIncident(incident.incident_id, incident.dimension, incident.value)
    tickets = incident.attached_tickets
    if any(parse(ticket) != ticket for ticket in tickets):
        raise _invalid(message, "incident.attached_tickets has what isn't a ticket number")
    # Named by the incident: a ticket joins it once, whatever is told again.
    return [_told(message, each, command, f"incident:{incident.incident_id}", at, _SLA) for each in tickets]


def armed(message: Incoming) -> tuple[str, int]:
    """The ticket whose clock was armed or moved, and the version of it that the watchdog goes by."""
    body = message.body
    assert isinstance(
        body,
        sla_event_pb2.SlaArmed | sla_event_pb2.SlaRetargeted | sla_event_pb2.SlaPaused | sla_event_pb2.SlaResumed,
    )
    return body.clock.ticket_id, body.ticket_version


def _event(message: Incoming, ticket_id: str, command: Command, at: datetime, actor: Actor, reason: str) -> Told:
    if not message.id:
        raise _invalid(message, "header ce_id is missing")
    return _told(message, ticket_id, command, f"event:{message.id}", at, actor, reason)


def _told(
    message: Incoming, ticket_id: str, command: Command, cause: str, at: datetime, actor: Actor, reason: str = ""
) -> Told:
    return Told(ticket_id, command, Cause(cause, at, actor, reason, trace=message.traceparent))


_READERS: Mapping[str, Callable[[Incoming], Arrival | None]] = {
    "ComplaintSubmitted": _submitted,
    "CustomerMessage": _message,
    "RatingGiven": _rating,
    "TicketEscalated": _escalated,
    "EscalationAcknowledged": _acknowledged,
    "EscalationClosed": _closed,
    "SlaBreached": _breached,
    "SlaMet": _met,
    "VoucherIssued": _voucher,
    "PointsGranted": _points,
    "RefundDone": _remedy_done,
    "ReshipDone": _remedy_done,
    "RemedyRefused": _remedy_refused,
}
