"""Protobuf to the model and back."""

from collections.abc import Mapping
from datetime import datetime

from google.protobuf.message import Message as Proto
from google.protobuf.timestamp_pb2 import Timestamp

from common.errors import Poison
from common.events import Outgoing
from common.ids import deterministic_id
from common.words import from_timestamp, to_timestamp, word_of
from gen.pingxi.v1 import (
    common_pb2,
    escalation_pb2,
    notification_pb2,
    order_event_pb2,
    surge_pb2,
    ticket_pb2,
    ticket_service_pb2,
    voucher_pb2,
)
from services.notifier.model import (
    Amount,
    Answered,
    Compensated,
    Delayed,
    Delivery,
    Escalated,
    Expected,
    Fact,
    Granted,
    Happening,
    Opened,
    Person,
    Resolved,
    State,
    Surged,
    TicketFacts,
    Why,
)

TOPIC = "notifications.v1"
_CATEGORY = common_pb2.Category.DESCRIPTOR
_PRIORITY = common_pb2.Priority.DESCRIPTOR
_METRIC = common_pb2.Metric.DESCRIPTOR


def happening_of(body: Proto) -> Happening | None:
    """The event if it makes messages, else None. Raises Poison where it has no identity or no time."""
    if isinstance(body, ticket_pb2.TicketEvent):
        return _of_ticket(body)
    if isinstance(body, escalation_pb2.TicketEscalated):
        return _of_escalation(body)
    if isinstance(body, voucher_pb2.VoucherIssued):
        return _of_voucher(body)
    if isinstance(body, voucher_pb2.PointsGranted):
        return _of_points(body)
    if isinstance(body, order_event_pb2.DelayExpected):
        return Delayed(
            cause=_present(body.message_id, "message_id"),
            at=_instant(body.at, "at"),
            order_id=body.order_id,
            brand=body.brand,
            customer_id=body.customer_id,
            why=body.cause,
            reason=body.reason,
            promised_at=from_timestamp(body.promised_at),
            eta=from_timestamp(body.eta),
        )
    if isinstance(body, order_event_pb2.EtaTold):
        return Expected(
            cause=_present(body.message_id, "message_id"),
            at=_instant(body.at, "at"),
            order_id=body.order_id,
            brand=body.brand,
            customer_id=body.customer_id,
            eta=_instant(body.eta, "eta"),
        )
    if isinstance(body, surge_pb2.SurgeOpened):
        return _of_surge(body.incident)
    return None


def _of_ticket(event: ticket_pb2.TicketEvent) -> Happening | None:
    change = event.WhichOneof("change")
    if change not in ("opened", "replied", "information_requested", "resolved"):
        return None
    cause = _present(event.event_id, "event_id")
    at = from_timestamp(event.occurred_at)
    if at is None:
        raise Poison("no_time", "occurred_at")
    ticket = ticket_facts(event.ticket_id, event.snapshot)
    if change == "opened":
        return Opened(cause, at, ticket)
    if change == "resolved":
        return Resolved(cause, at, ticket, event.resolved.message_id, event.resolved.resolution)
    said = event.replied.message_id if change == "replied" else event.information_requested.message_id
    return Answered(cause, at, ticket, _present(said, "message_id"))


def ticket_facts(ticket_id: str, snapshot: ticket_pb2.TicketSnapshot) -> TicketFacts:
    """What the notifier needs of a snapshot."""
    return TicketFacts(
        id=_present(ticket_id, "ticket_id"),
        brand=snapshot.brand,
        locale=snapshot.locale,
        category=word_of(_CATEGORY, snapshot.category),
        priority=word_of(_PRIORITY, snapshot.priority),
        queue=snapshot.queue,
        joint_queues=tuple(snapshot.joint_queues),
        assignee=snapshot.assignee,
        red=snapshot.red,
        first_response_by=from_timestamp(snapshot.promise.first_response_by),
        resolve_by=from_timestamp(snapshot.promise.resolve_by),
        notices=tuple(snapshot.notices),
    )


def _of_escalation(event: escalation_pb2.TicketEscalated) -> Escalated:
    at = from_timestamp(event.escalated_at)
    if at is None:
        raise Poison("no_time", "escalated_at")
    escalation = _present(event.escalation_id, "escalation_id")
    return Escalated(
        cause=deterministic_id("escalation-level", escalation, event.level, event.returned),
        at=at,
        ticket_id=_present(event.ticket_id, "ticket_id"),
        brand=event.brand,
        metric=word_of(_METRIC, event.metric),
        level=event.level,
        notify=tuple(event.notify),
        ways=tuple(event.ways),
        breached_at=from_timestamp(event.breached_at),
        priority=word_of(_PRIORITY, event.priority),
        queue=event.queue,
        assignee=event.assignee,
        red=event.red,
        returned=event.returned,
    )


def _of_voucher(event: voucher_pb2.VoucherIssued) -> Compensated:
    at = from_timestamp(event.issued_at)
    if at is None:
        raise Poison("no_time", "issued_at")
    return Compensated(
        cause=_present(event.voucher_id, "voucher_id"),
        at=at,
        ticket_id=event.ticket_id,
        brand=event.brand,
        amount=Amount(event.amount.currency, event.amount.amount_minor),
        reason=event.reason,
        customer_id=event.customer_id,
    )


def _of_points(event: voucher_pb2.PointsGranted) -> Granted:
    if event.points <= 0:
        raise Poison("missing_field", "points")
    return Granted(
        cause=_present(event.grant_id, "grant_id"),
        at=_instant(event.granted_at, "granted_at"),
        ticket_id=event.ticket_id,
        brand=event.brand,
        points=event.points,
        reason=event.reason,
        customer_id=event.customer_id,
    )


def _of_surge(incident: surge_pb2.Incident) -> Surged:
    at = from_timestamp(incident.opened_at)
    if at is None:
        raise Poison("no_time", "incident.opened_at")
    name = _present(incident.incident_id, "incident.incident_id")
    return Surged(
        cause=deterministic_id("surge-opened", name),
        at=at,
        incident_id=name,
        brand=incident.brand,
        category=word_of(_CATEGORY, incident.category),
        dimension=incident.dimension,
        value=incident.value,
        complaints=incident.complaints,
        orders=len(incident.affected_orders),
    )


def _instant(stamp: Timestamp, field: str) -> datetime:
    at = from_timestamp(stamp)
    if at is None:
        raise Poison("no_time", field)
    return at


def _present(value: str, field: str) -> str:
    if not value:
        raise Poison("missing_field", field)
    return value


def person_of(ticket: ticket_service_pb2.Ticket) -> Person:
    """The customer behind a ticket; texts of public messages only."""
    return Person(
        contact=ticket.contact,
        locale=ticket.snapshot.locale,
        texts={message.id: message.text for message in ticket.messages if message.public},
    )


def outcome_of(delivery: Delivery) -> Outgoing:
    """What became of a message, for everybody; its id follows from the notification's."""
    body: notification_pb2.NotificationDelivered | notification_pb2.NotificationFailed
    if delivery.state is State.DELIVERED:
        body = notification_pb2.NotificationDelivered(provider_id=delivery.provider_id)
    else:
        body = notification_pb2.NotificationFailed(why=delivery.why)
    body.notification_id = delivery.id
    body.ticket_id = delivery.ticket_id
    body.brand = delivery.brand
    body.event = delivery.event
    body.channel = delivery.channel
    body.recipient = delivery.recipient
    at = to_timestamp(delivery.at)
    if at is not None:
        body.at.CopyFrom(at)
    return Outgoing(
        topic=TOPIC,
        key=delivery.ticket_id or delivery.id,
        id=deterministic_id("notification-outcome", delivery.id),
        subject=delivery.ticket_id or delivery.id,
        time=delivery.at,
        body=body,
    )


def delivery_of(body: Proto) -> Delivery:
    """Inverse of `outcome_of`. Raises Poison for anything else."""
    if not isinstance(body, notification_pb2.NotificationDelivered | notification_pb2.NotificationFailed):
        raise Poison("unexpected_type", body.DESCRIPTOR.name)
    at = from_timestamp(body.at)
    if at is None:
        raise Poison("no_time", "at")
    why = body.why if isinstance(body, notification_pb2.NotificationFailed) else ""
    if isinstance(body, notification_pb2.NotificationDelivered):
        state = State.DELIVERED
    else:
        state = State.EXPIRED if why == Why.EXPIRED else State.FAILED
    return Delivery(
        id=_present(body.notification_id, "notification_id"),
        ticket_id=body.ticket_id,
        brand=body.brand,
        event=body.event,
        channel=body.channel,
        recipient=body.recipient,
        state=state,
        at=at,
        why=why,
        provider_id=body.provider_id if isinstance(body, notification_pb2.NotificationDelivered) else "",
    )


def delivery_to_proto(delivery: Delivery) -> notification_pb2.Delivery:
    """A row of ListDeliveries."""
    return notification_pb2.Delivery(
        notification_id=delivery.id,
        ticket_id=delivery.ticket_id,
        event=delivery.event,
        channel=delivery.channel,
        recipient=delivery.recipient,
        state=delivery.state,
        why=delivery.why,
        at=to_timestamp(delivery.at),
    )


def preview_facts(snapshot: ticket_pb2.TicketSnapshot) -> Mapping[str, Fact]:
    """What a snapshot says that a template could print; what is unset is left to the sample."""
    facts: dict[str, Fact] = {
        "red": snapshot.red,
        "category": word_of(_CATEGORY, snapshot.category),
        "priority": word_of(_PRIORITY, snapshot.priority),
        "queue": snapshot.queue,
        "joint_queues": tuple(snapshot.joint_queues),
        "first_response_by": from_timestamp(snapshot.promise.first_response_by),
        "resolve_by": from_timestamp(snapshot.promise.resolve_by),
    }
    return {name: fact for name, fact in facts.items() if fact or name == "red"}
