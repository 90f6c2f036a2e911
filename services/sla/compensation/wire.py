"""Protobuf to the model of compensation and back."""

from collections.abc import Mapping
from typing import cast

from google.protobuf.message import Message as Proto

from common.errors import Poison
from common.events import Outgoing
from common.ids import deterministic_id
from common.words import from_duration, from_timestamp, number_of, to_timestamp, word_of
from gen.pingxi.v1 import common_pb2, compensation_pb2, ticket_pb2, voucher_pb2
from gen.pingxi.v1.common_pb2 import Money
from rules.model import Fault, TriggerKind
from services.sla.compensation.model import Actor, ActorKind, LedgerRow, Request, State
from services.sla.compensation.states import Receipt
from wire.words import metric_from_proto, priority_from_proto

REQUESTS = "compensation-requests"
_STATE = compensation_pb2.LedgerState.DESCRIPTOR
_FAULT = voucher_pb2.FaultParty.DESCRIPTOR
_KIND = common_pb2.Actor.Kind.DESCRIPTOR
RECEIPTS: Mapping[type[Proto], Receipt] = {
    voucher_pb2.VoucherRedeemable: "redeemable",
    voucher_pb2.VoucherRedeemed: "redeemed",
    voucher_pb2.VoucherRejected: "rejected",
    voucher_pb2.ReversalDone: "reversal_done",
    voucher_pb2.ReversalRefused: "reversal_refused",
}


def actor_from_proto(actor: common_pb2.Actor) -> Actor:
    """Who; an unnamed kind stays "" (nobody's authority)."""
    return Actor(cast(ActorKind, word_of(_KIND, actor.kind)), actor.id)


def actor_to_proto(actor: Actor) -> common_pb2.Actor:
    """Reverse of `actor_from_proto`."""
    return common_pb2.Actor(kind=common_pb2.Actor.Kind.ValueType(number_of(_KIND, actor.kind)), id=actor.id)


def fault_from_proto(fault: int) -> Fault | None:
    """None where nobody says."""
    word = word_of(_FAULT, fault)
    return Fault(word) if word else None


def fault_to_proto(fault: Fault | None) -> voucher_pb2.FaultParty.ValueType:
    """Unspecified for None."""
    return voucher_pb2.FaultParty.ValueType(number_of(_FAULT, fault.value if fault else ""))


def state_to_proto(state: State | None) -> compensation_pb2.LedgerState.ValueType:
    """Unspecified for None."""
    return compensation_pb2.LedgerState.ValueType(number_of(_STATE, state or ""))


def request_of(message: compensation_pb2.CompensationRequested) -> Request:
    """Raises Poison where a field the decision depends on is missing or makes no sense."""
    at = from_timestamp(message.at)
    if at is None or not message.request_id or not message.brand:
        raise Poison("missing_field", "request_id, brand or at")
    if not message.ticket_id and not message.order_id:
        raise Poison("missing_field", "ticket_id or order_id")
    if message.amount.amount_minor < 0:
        raise Poison("bad_amount", "amount is negative")
    try:
        trigger = TriggerKind(message.trigger)
    except ValueError as error:
        raise Poison("unknown_trigger", message.trigger[:40]) from error
    person = actor_from_proto(message.actor)
    return Request(
        id=message.request_id,
        brand=message.brand,
        trigger=trigger,
        ticket_id=message.ticket_id,
        order_id=message.order_id,
        customer_id=message.customer_id,
        customer_ref=message.customer_ref,
        metric=metric_from_proto(message.metric),
        priority=priority_from_proto(message.priority),
        sla_policy=message.sla_policy,
        red=message.red,
        at=at,
        cause_id=message.cause_id,
        reason="",
        item=message.item,
        amount_minor=message.amount.amount_minor,
        currency=message.amount.currency,
        score=message.score,
        late=from_duration(message.late) if message.HasField("late") else None,
        fault=fault_from_proto(message.fault_party),
        person=person if person.kind in ("agent", "supervisor") else None,
    )


def requests_of_ticket(event: ticket_pb2.TicketEvent) -> compensation_pb2.CompensationRequested | None:
    """What a change of a ticket asks for: the coupon of a resolution, points for a satisfied customer or for a
    suggestion that was taken up. The same event gives the same request."""
    change = event.WhichOneof("change")
    request = compensation_pb2.CompensationRequested()
    if change == "resolved" and event.resolved.resolution == "coupon" and event.resolved.amount_minor > 0:
        request.trigger = TriggerKind.RESOLUTION
        request.amount.CopyFrom(Money(currency=event.resolved.currency, amount_minor=event.resolved.amount_minor))
    elif change == "resolved" and event.resolved.resolution == "suggestion_adopted":
        request.trigger = TriggerKind.SUGGESTION
    elif change == "rated" and event.rated.resolved:
        request.trigger = TriggerKind.RATING
        request.score = event.rated.score
    else:
        return None
    if not event.event_id or not event.ticket_id:
        raise Poison("missing_field", "event_id or ticket_id")
    snapshot = event.snapshot
    request.request_id = deterministic_id("compensation-of-ticket", event.event_id)
    request.brand = snapshot.brand
    request.ticket_id = event.ticket_id
    request.order_id = snapshot.order_id
    request.customer_id = snapshot.customer_id
    request.customer_ref = snapshot.customer_ref
    request.priority = snapshot.priority
    request.policy_hash = snapshot.policy_hash
    request.red = snapshot.red
    request.cause_id = event.event_id
    request.at.CopyFrom(event.occurred_at)
    request.actor.CopyFrom(event.actor)
    return request


def request_message(request: compensation_pb2.CompensationRequested) -> Outgoing:
    """On its topic: keyed by the order, else by the ticket."""
    at = from_timestamp(request.at)
    if at is None:
        raise Poison("missing_field", "occurred_at")
    return Outgoing(
        topic=REQUESTS,
        key=request.order_id or request.ticket_id,
        id=deterministic_id("compensation-asked", request.request_id),
        subject=request.order_id or request.ticket_id,
        time=at,
        body=request,
    )


def _customer(row: LedgerRow) -> str:
    return row.customer_id or row.customer_ref


def _attributes(row: LedgerRow) -> dict[str, str]:
    return {"reason": row.reason, "ticket": row.ticket_id}


def promise_of(row: LedgerRow) -> Outgoing:
    """The promise to pay once, of a reserved row: with the ledger's id, and the same however often it is made."""
    at = row.issued_at or row.updated_at
    body: Proto
    if row.points:
        body = voucher_pb2.PointsGranted(
            grant_id=row.id,
            brand=row.brand,
            customer_id=row.customer_id,
            customer_ref=row.customer_ref,
            ticket_id=row.ticket_id,
            points=row.points,
            reason=row.reason,
            granted_at=to_timestamp(at),
        )
    else:
        body = voucher_pb2.VoucherIssued(
            voucher_id=row.id,
            brand=row.brand,
            customer_id=row.customer_id,
            customer_ref=row.customer_ref,
            ticket_id=row.ticket_id,
            order_id=row.order_id,
            amount=Money(currency=row.currency, amount_minor=row.amount_minor),
            reason=row.reason,
            fault_party=fault_to_proto(row.fault),
            issued_at=to_timestamp(at),
            rule=row.rule,
            policy_hash=row.policy_hash,
        )
    return Outgoing("vouchers.v1", _customer(row), row.id, row.subject, at, body, _attributes(row))


def reversal_of(row: LedgerRow) -> Outgoing:
    """The promise taken back, of a reversing row; asked again after a refusal it has another id."""
    asked = [change for change in row.history if change.state == "reversing" and change.outcome == "reversing"]
    body = voucher_pb2.VoucherReversed(
        voucher_id=row.id,
        brand=row.brand,
        customer_id=row.customer_id,
        customer_ref=row.customer_ref,
        ticket_id=row.ticket_id,
        amount=Money(currency=row.currency, amount_minor=row.amount_minor),
        reason=row.reason,
        reversed_at=to_timestamp(asked[-1].at if asked else row.updated_at),
    )
    message_id = deterministic_id("voucher-reversed", row.id, len(asked))
    return Outgoing("vouchers.v1", _customer(row), message_id, row.subject, row.updated_at, body, _attributes(row))
