"""Protobuf to intake's model and back."""

from collections.abc import Iterator
from datetime import datetime

from google.protobuf.message import Message as Proto

from common.events import Outgoing
from common.ids import deterministic_id
from common.sealing import Sealer
from common.words import from_timestamp, number_of, rfc3339, to_timestamp
from gen.pingxi.v1 import common_pb2, complaint_pb2, intake_pb2, ticket_service_pb2
from rules.bounds import is_full
from rules.model import Priority, RoutingDecision, Status
from services.intake.model import (
    CompensationEntry,
    Complaint,
    CustomerMessage,
    Listed,
    Locale,
    Progress,
    PublicStatus,
    Rating,
    Receipt,
    Submission,
    TimelineEntry,
)
from services.intake.texts import status_text, timeline_text
from wire.personal import seal_personal
from wire.promise import promise_from_proto, promise_to_proto, targets_to_proto
from wire.words import category_from_proto, category_to_proto, priority_to_proto, status_from_proto

TOPIC = "complaints.v1"

_STATUS: dict[Status | None, PublicStatus] = {
    None: "received",
    Status.RECEIVED: "received",
    Status.IN_PROGRESS: "in_progress",
    # The customer isn't bothered with our waiting for him; what we ask is in the timeline.
    Status.PENDING: "in_progress",
    Status.RESOLVED: "resolved",
    Status.CLOSED: "closed",
}
# By policy version, SLA policy and priority, which together decide the targets.
_TARGETS: dict[tuple[str, str, Priority], bytes] = {}

# Changes of the history the customer sees; names of people never.
_PUBLIC = {"assigned", "information_requested", "resolved", "closed", "reopened"}


def complaint_to_message(complaint: Complaint, sealer: Sealer) -> Outgoing:
    """The record for the log: contact and text sealed, everything else as it is; the id depends on the ticket only."""
    sent = complaint.submission
    personal = complaint_pb2.PersonalContent(contact=sent.contact, text=sent.description)
    body = complaint_pb2.ComplaintSubmitted(
        ticket_id=complaint.ticket_id,
        brand=sent.brand,
        channel=common_pb2.Channel.ValueType(number_of(common_pb2.Channel.DESCRIPTOR, sent.channel)),
        declared_category=category_to_proto(complaint.declared_category),
        customer_ref=complaint.customer_ref,
        customer_id=sent.customer_id,
        order_id=sent.order_id,
        region=sent.region,
        merchant_id=sent.merchant_id,
        product_id=sent.product_id,
        locale=sent.locale,
        images=sent.images,
        personal=seal_personal(sealer, complaint.ticket_id, personal),
        acknowledged_at=to_timestamp(complaint.acknowledged_at),
        occurred_at=to_timestamp(complaint.occurred_at),
        promise=promise_to_proto(complaint.promise),
        policy_hash=complaint.decision.policy_hash,
        priority=priority_to_proto(complaint.decision.priority),
        red=complaint.decision.red,
        fingerprint=complaint.fingerprint,
        channel_facts=dict(sent.channel_facts),
    )
    if sent.thread_ticket or sent.mail_references:
        body.thread_hint.ticket_id = sent.thread_ticket
        body.thread_hint.mail_references.extend(sent.mail_references)
    body.MergeFromString(_targets(complaint.decision))
    return Outgoing(
        topic=TOPIC,
        key=complaint.ticket_id,
        id=deterministic_id("ComplaintSubmitted", complaint.ticket_id, *_part(sent)),
        subject=complaint.ticket_id,
        time=complaint.acknowledged_at,
        body=body,
    )


def _part(sent: Submission) -> list[str]:
    """What tells the parts of one complaint apart."""
    return [value for name, value in sent.channel_facts if name == "part"]


def _targets(decision: RoutingDecision) -> bytes:
    """The targets as part of a ComplaintSubmitted: more than half the work of a message, and the same for most."""
    key = (decision.policy_hash, decision.sla_policy, decision.priority)
    known = _TARGETS.get(key)
    if known is None:
        known = complaint_pb2.ComplaintSubmitted(targets=targets_to_proto(decision)).SerializeToString()
        _TARGETS[key] = known
    return known


def fields_of(request: intake_pb2.SubmitComplaintRequest) -> dict[str, object]:
    """The fields that were given (proto3: the others are empty), without the idempotency key, as `form` checks them."""
    fields: dict[str, object] = {field.name: value for field, value in request.ListFields()}
    fields.pop("idempotency_key", None)
    if "order_late" in fields:
        fields["order_late"] = request.order_late.ToMilliseconds()
    if "images" in fields:
        fields["images"] = list(request.images)
    if "occurred_at" in fields:
        try:
            instant = from_timestamp(request.occurred_at)
        except ValueError:
            instant = None
        fields["occurred_at"] = rfc3339(instant) if instant else "out of range"
    return fields


def receipt_to_proto(receipt: Receipt) -> intake_pb2.SubmitComplaintResponse:
    """The answer to SubmitComplaint."""
    return intake_pb2.SubmitComplaintResponse(
        id=receipt.ticket_id,
        token=receipt.token,
        acknowledged_at=to_timestamp(receipt.acknowledged_at),
        promise=promise_to_proto(receipt.promise),
    )


def progress_to_proto(progress: Progress, locale: Locale) -> intake_pb2.GetProgressResponse:
    """The answer to GetProgress."""
    return intake_pb2.GetProgressResponse(
        id=progress.ticket_id,
        status=progress.status,
        status_text=status_text(progress.status, locale),
        type=progress.category or "",
        promise=promise_to_proto(progress.promise),
        timeline=[
            intake_pb2.TimelineEntry(
                at=to_timestamp(entry.at),
                kind=entry.kind,
                text=entry.text or timeline_text(entry.kind, locale),
                images=entry.images,
            )
            for entry in progress.timeline
        ],
        compensation=[
            intake_pb2.CompensationEntry(
                id=entry.id,
                amount=common_pb2.Money(currency=entry.currency, amount_minor=entry.amount_minor),
                reason=entry.reason,
                state=entry.state,
                at=to_timestamp(entry.at),
                points=entry.points,
            )
            for entry in progress.compensation
        ],
        can_rate=progress.can_rate,
    )


def message_to_message(message: CustomerMessage, sealer: Sealer) -> Outgoing:
    """A customer's message for the log, its text sealed. Brand and customer are the ticket's: the router knows them."""
    personal = complaint_pb2.PersonalContent(text=message.text)
    body = complaint_pb2.CustomerMessage(
        message_id=message.message_id,
        ticket_id=message.ticket_id,
        channel=common_pb2.Channel.ValueType(number_of(common_pb2.Channel.DESCRIPTOR, message.channel)),
        personal=seal_personal(sealer, message.ticket_id, personal),
        images=message.images,
        received_at=to_timestamp(message.received_at),
        occurred_at=to_timestamp(message.received_at),
    )
    return _follow_up(message.ticket_id, message.message_id, message.received_at, body)


def rating_to_message(rating: Rating, sealer: Sealer) -> Outgoing:
    """A rating for the log, its comment sealed."""
    body = complaint_pb2.RatingGiven(
        rating_id=rating.rating_id,
        ticket_id=rating.ticket_id,
        score=rating.score,
        resolved=rating.resolved,
        received_at=to_timestamp(rating.received_at),
    )
    if rating.comment:
        personal = complaint_pb2.PersonalContent(text=rating.comment)
        body.comment.CopyFrom(seal_personal(sealer, rating.ticket_id, personal))
    return _follow_up(rating.ticket_id, rating.rating_id, rating.received_at, body)


def _follow_up(ticket_id: str, follow_up_id: str, at: datetime, body: Proto) -> Outgoing:
    return Outgoing(topic=TOPIC, key=ticket_id, id=follow_up_id, subject=ticket_id, time=at, body=body)


def ticket_to_progress(ticket: ticket_service_pb2.Ticket) -> Progress:
    """What the customer may see of a ticket."""
    snapshot = ticket.snapshot
    compensation = tuple(_compensation(ticket))
    timeline = [*_clock_entries(ticket), *_spoken(ticket), *_compensated(ticket)]
    return Progress(
        ticket_id=ticket.id,
        status=_STATUS[status_from_proto(snapshot.status)],
        category=category_from_proto(snapshot.category),
        promise=promise_from_proto(snapshot.promise),
        timeline=tuple(sorted(timeline, key=lambda entry: (entry.at, entry.version))),
        compensation=compensation,
        version=ticket.version,
        served_by=ticket.id,
        ratings=frozenset(entry.facts.get("rating_id", "") for entry in ticket.history if entry.kind == "rated"),
        messages=frozenset(message.id for message in ticket.messages),
        full=is_full(len(ticket.messages), sum(len(message.text.encode()) for message in ticket.messages)),
    )


def listed_from_proto(ticket: ticket_service_pb2.Ticket) -> Listed:
    """A line of a customer's list."""
    snapshot = ticket.snapshot
    return Listed(
        ticket_id=ticket.id,
        status=_STATUS[status_from_proto(snapshot.status)],
        category=category_from_proto(snapshot.category),
        order_id=snapshot.order_id,
        acknowledged_at=from_timestamp(snapshot.clock_facts.acknowledged_at),
        promise=promise_from_proto(snapshot.promise),
        merged_into=snapshot.merged_into,
    )


def _clock_entries(ticket: ticket_service_pb2.Ticket) -> Iterator[TimelineEntry]:
    facts = ticket.snapshot.clock_facts
    if (at := from_timestamp(facts.acknowledged_at)) is not None:
        yield TimelineEntry(at, "received", images=tuple(ticket.images))
    if (at := from_timestamp(facts.routed_at)) is not None:
        yield TimelineEntry(at, "routed", version=1)


def _spoken(ticket: ticket_service_pb2.Ticket) -> Iterator[TimelineEntry]:
    """Public changes with the words that came with them, and the public messages no such change names."""
    public = {message.id: message for message in ticket.messages if message.public}
    # What a rating says is a message under the rating's id.
    versions = {
        entry.facts[name]: entry.version
        for entry in ticket.history
        for name in ("message_id", "rating_id")
        if name in entry.facts
    }
    named = set()
    for entry in ticket.history:
        at = from_timestamp(entry.at)
        if entry.kind in _PUBLIC and at is not None:
            message_id = entry.facts.get("message_id", "")
            named.add(message_id)
            said = public.get(message_id, ticket_service_pb2.Message())
            yield TimelineEntry(at, entry.kind, said.text, tuple(said.images), entry.version)
    for message in public.values():
        at = from_timestamp(message.at)
        if message.id not in named and at is not None:
            kind = "message" if message.actor.kind == common_pb2.Actor.KIND_CUSTOMER else "replied"
            version = versions.get(message.id, ticket.version)
            yield TimelineEntry(at, kind, message.text, tuple(message.images), version)


def _compensated(ticket: ticket_service_pb2.Ticket) -> Iterator[TimelineEntry]:
    """The first note of each compensation."""
    seen = set()
    for entry in ticket.history:
        at, ledger_id = from_timestamp(entry.at), entry.facts.get("ledger_id", "")
        if entry.kind == "compensation_noted" and at is not None and ledger_id not in seen:
            seen.add(ledger_id)
            yield TimelineEntry(at, "compensation", version=entry.version)


def _compensation(ticket: ticket_service_pb2.Ticket) -> Iterator[CompensationEntry]:
    """One entry for each row of the ledger the history names, with its latest state and its first instant."""
    found: dict[str, CompensationEntry] = {}
    for entry in ticket.history:
        at = from_timestamp(entry.at)
        if entry.kind != "compensation_noted" or at is None:
            continue
        facts = entry.facts
        ledger_id = facts.get("ledger_id", "")
        known = found.get(ledger_id)
        amount, points = facts.get("amount_minor", ""), facts.get("points", "")
        found[ledger_id] = CompensationEntry(
            id=ledger_id,
            currency=facts.get("currency", "") or (known.currency if known else ""),
            amount_minor=int(amount) if amount.isdecimal() else (known.amount_minor if known else 0),
            reason=facts.get("why", "") or (known.reason if known else ""),
            state=facts.get("state", ""),
            at=known.at if known else at,
            points=int(points) if points.isdecimal() else (known.points if known else 0),
        )
    yield from found.values()
