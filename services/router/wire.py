"""The ticket as protobuf: its events for tickets.v1, and what the gRPC calls show of it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from common.events import Outgoing
from common.sealing import Sealer
from common.words import number_of, to_timestamp
from gen.pingxi.v1 import common_pb2, remedy_pb2, ticket_pb2, ticket_service_pb2
from gen.pingxi.v1.complaint_pb2 import PersonalContent
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from rules.courses import current
from rules.words import Category, Metric, Priority
from services.router import changes
from services.router.changes import KINDS, Change
from services.router.desk import Readable
from services.router.model import (
    Actor,
    ClockFacts,
    Event,
    HistoryEntry,
    Message,
    Personal,
    Remedy,
    Sealed,
    Ticket,
    Understanding,
)
from wire.courses import courses_to_proto
from wire.personal import open_personal, seal_personal
from wire.promise import promise_to_proto, target_to_proto
from wire.words import category_to_proto, metric_to_proto, priority_to_proto, status_to_proto

TICKETS = "tickets.v1"
REMEDIES = "remedies.v1"

_REMEDIES: Mapping[str, Any] = {
    "refund": remedy_pb2.RefundRequested,
    "reship": remedy_pb2.ReshipRequested,
}

_CHANGES: Mapping[type[Change], Any] = {
    changes.Opened: ticket_pb2.TicketOpened,
    changes.Assigned: ticket_pb2.TicketAssigned,
    changes.Replied: ticket_pb2.TicketReplied,
    changes.Resolved: ticket_pb2.TicketResolved,
    changes.CustomerReplied: ticket_pb2.CustomerReplied,
    changes.Rated: ticket_pb2.TicketRated,
    changes.EscalationNoted: ticket_pb2.EscalationNoted,
    changes.CompensationNoted: ticket_pb2.CompensationNoted,
    changes.RemedyNoted: ticket_pb2.RemedyNoted,
    changes.Closed: ticket_pb2.TicketClosed,
    changes.Reopened: ticket_pb2.TicketReopened,
    changes.InformationRequested: ticket_pb2.InformationRequested,
    changes.PriorityChanged: ticket_pb2.PriorityChanged,
    changes.CategoryChanged: ticket_pb2.CategoryChanged,
    changes.QueueChanged: ticket_pb2.QueueChanged,
    changes.Merged: ticket_pb2.TicketMerged,
    changes.NoteAdded: ticket_pb2.NoteAdded,
    changes.Erased: ticket_pb2.CustomerErased,
    changes.SnapshotRepeated: ticket_pb2.SnapshotRepeated,
    changes.PolicyApplied: ticket_pb2.PolicyApplied,
    changes.IncidentNoted: ticket_pb2.IncidentNoted,
}


@dataclass(frozen=True)
class Also:
    """A further message that goes out with an event, on remedies.v1; `body` is a serialised message of that kind."""

    kind: str
    key: str
    id: str
    body: bytes


@dataclass(frozen=True)
class StoredEvent:
    """An event as the outbox keeps it; `body` is the serialised TicketEvent."""

    ticket_id: str
    version: int
    id: str
    at: datetime
    trace: str | None
    body: bytes
    also: tuple[Also, ...] = ()

    def messages(self) -> list[Outgoing]:
        """All that has to be acknowledged before the event is cleared."""
        return [self.outgoing(), *map(self._further, self.also)]

    def _further(self, also: Also) -> Outgoing:
        return Outgoing(
            topic=REMEDIES,
            key=also.key,
            id=also.id,
            subject=self.ticket_id,
            time=self.at,
            body=_REMEDIES[also.kind].FromString(also.body),
            traceparent=self.trace,
        )

    def outgoing(self) -> Outgoing:
        """The message for tickets.v1."""
        return Outgoing(
            topic=TICKETS,
            key=self.ticket_id,
            id=self.id,
            subject=self.ticket_id,
            time=self.at,
            body=TicketEvent.FromString(self.body),
            traceparent=self.trace,
        )


def stored_event(event: Event) -> StoredEvent:
    """The event as bytes."""
    body = event_to_proto(event).SerializeToString()
    also = tuple(_remedy_to_also(event, remedy) for remedy in event.remedies)
    return StoredEvent(event.ticket.id, event.ticket.version, event.id, event.at, event.trace, body, also)


def _remedy_to_also(event: Event, remedy: Remedy) -> Also:
    ticket = event.ticket
    common: dict[str, Any] = {
        "remedy_id": remedy.id,
        "brand": ticket.brand,
        "order_id": ticket.order_id,
        "ticket_id": ticket.id,
        "at": to_timestamp(event.at),
    }
    if remedy.kind == "refund":
        amount = common_pb2.Money(currency=remedy.currency, amount_minor=remedy.amount)
        common |= {"amount": amount, "original_payment": remedy.original_payment}
    elif ticket.product_id:
        common["products"] = [ticket.product_id]
    body: bytes = _REMEDIES[remedy.kind](**common).SerializeToString()
    return Also(remedy.kind, ticket.order_id, remedy.id, body)


def event_to_proto(event: Event) -> TicketEvent:
    """The change with the snapshot after it; no personal data."""
    message = TicketEvent(
        event_id=event.id,
        ticket_id=event.ticket.id,
        version=event.ticket.version,
        occurred_at=to_timestamp(event.at),
        actor=actor_to_proto(event.actor),
        reason=event.reason,
        snapshot=snapshot_to_proto(event.ticket),
    )
    # The dataclasses of the changes have the fields of their messages.
    values = {f.name: _plain(f.name, getattr(event.change, f.name)) for f in fields(event.change)}
    getattr(message, KINDS[type(event.change)]).CopyFrom(_CHANGES[type(event.change)](**values))
    return message


def _plain(name: str, value: object) -> object:
    if name == "channel":
        return channel_to_proto(str(value))
    if name == "metric":
        return metric_to_proto(value if isinstance(value, Metric) else None)
    if isinstance(value, Priority):
        return priority_to_proto(value)
    if isinstance(value, Category):
        return category_to_proto(value)
    return value


def snapshot_to_proto(ticket: Ticket) -> ticket_pb2.TicketSnapshot:
    """What consumers need to know of a ticket."""
    return ticket_pb2.TicketSnapshot(
        brand=ticket.brand,
        channel=channel_to_proto(ticket.channel),
        status=status_to_proto(ticket.status),
        category=category_to_proto(ticket.category),
        secondary_categories=[category_to_proto(category) for category in ticket.secondary],
        priority=priority_to_proto(ticket.priority),
        queue=ticket.queue,
        joint_queues=ticket.joint_queues,
        assignee=ticket.assignee,
        customer_ref=ticket.customer_ref,
        customer_id=ticket.customer_id,
        order_id=ticket.order_id,
        region=ticket.region,
        merchant_id=ticket.merchant_id,
        product_id=ticket.product_id,
        locale=ticket.locale,
        red=ticket.red,
        complex=ticket.complex,
        policy_hash=ticket.policy_hash,
        promise=promise_to_proto(ticket.promise),
        targets=[target_to_proto(target, ticket.sla_policy, ticket.policy_hash) for target in ticket.targets],
        clock_facts=_facts_to_proto(ticket.facts),
        merged_into=ticket.merged_into,
        linked_tickets=ticket.linked,
        notices=ticket.notices,
        answered_topic=ticket.answered_topic,
        handed_over=ticket.handed_over,
    )


def _facts_to_proto(facts: ClockFacts) -> ticket_pb2.ClockFacts:
    values: dict[str, Any] = {
        f.name: to_timestamp(getattr(facts, f.name)) for f in fields(facts) if f.name != "courses"
    }
    courses = courses_to_proto(facts.courses)
    values |= {
        f"{metric}_instance": course.instance
        for metric in (Metric.ASSIGNMENT, Metric.NEXT_RESPONSE, Metric.UPDATE, Metric.CALLBACK)
        if (course := current(facts.courses, metric))
    }
    message = ticket_pb2.ClockFacts(**values, courses=courses)
    for each in courses:
        if each.metric == common_pb2.METRIC_RESOLUTION:
            message.pauses.extend(each.pauses)
            message.resolved_periods.extend(each.gaps)
    return message


def actor_to_proto(actor: Actor) -> common_pb2.Actor:
    """Who did it."""
    return common_pb2.Actor(kind=_number(common_pb2.Actor.Kind, actor.kind), id=actor.id)


def channel_to_proto(channel: str) -> common_pb2.Channel.ValueType:
    """ "" is unspecified."""
    return common_pb2.Channel.ValueType(number_of(common_pb2.Channel.DESCRIPTOR, channel))


def _number(enum: Any, word: StrEnum) -> Any:
    return number_of(enum.DESCRIPTOR, word.value)


def ticket_to_proto(readable: Readable) -> ticket_service_pb2.Ticket:
    """Everything, for callers that may see personal data."""
    ticket = readable.ticket
    message = listed_to_proto(ticket)
    message.history.extend(_entry_to_proto(entry) for entry in ticket.history)
    message.contact = readable.personal.contact
    message.description = readable.personal.text
    message.messages.extend(_message_to_proto(each, readable.texts.get(each.id, "")) for each in ticket.messages)
    message.images.extend(ticket.images)
    return message


def listed_to_proto(ticket: Ticket) -> ticket_service_pb2.Ticket:
    """The short form of a listing: no history, nothing personal."""
    return ticket_service_pb2.Ticket(
        id=ticket.id,
        version=ticket.version,
        snapshot=snapshot_to_proto(ticket),
        evidence=ticket.evidence,
        understanding=understanding_to_proto(ticket.understanding) if ticket.understanding else None,
    )


def understanding_to_proto(found: Understanding) -> ticket_service_pb2.Understanding:
    """What the machine made of the text."""
    return ticket_service_pb2.Understanding(
        category=category_to_proto(found.category),
        confidence=found.confidence,
        followed=found.followed,
        declared=category_to_proto(found.declared) if found.declared else common_pb2.CATEGORY_UNSPECIFIED,
        secondary=[category_to_proto(each) for each in found.secondary],
        urgent=found.urgent,
        angry=found.angry,
        sentiment=found.sentiment,
        intent=found.intent,
        keywords=found.keywords,
        products=found.products,
        model=found.model,
    )


def _entry_to_proto(entry: HistoryEntry) -> ticket_service_pb2.HistoryEntry:
    return ticket_service_pb2.HistoryEntry(
        at=to_timestamp(entry.at),
        actor=actor_to_proto(entry.actor),
        kind=entry.kind,
        reason=entry.reason,
        version=entry.version,
        facts=entry.facts,
    )


def _message_to_proto(message: Message, text: str) -> ticket_service_pb2.Message:
    return ticket_service_pb2.Message(
        id=message.id,
        at=to_timestamp(message.at),
        actor=actor_to_proto(message.actor),
        text=text,
        public=message.public,
        automatic=message.automatic,
        images=message.images,
    )


class SealedVault:
    """The `Vault` of ports.py over the installation's keys."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def seal(self, ticket_id: str, content: Personal) -> Sealed:
        """Seals for one ticket."""
        plain = PersonalContent(contact=content.contact, text=content.text, contact_name=content.name)
        sealed = seal_personal(self._sealer, ticket_id, plain)
        return Sealed(sealed.key_id, sealed.ciphertext)

    def open(self, ticket_id: str, sealed: Sealed) -> Personal:
        """The plain content. Raises Poison where it can't be opened."""
        message = common_pb2.Sealed(key_id=sealed.key_id, ciphertext=sealed.ciphertext)
        plain = open_personal(self._sealer, ticket_id, message)
        return Personal(plain.contact, plain.text, plain.contact_name)
