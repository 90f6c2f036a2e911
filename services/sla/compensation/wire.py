"""Protobuf to the model of compensation and back."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import cast

from google.protobuf.message import Message as Proto

from common.errors import Poison
from common.events import Outgoing
from common.ids import deterministic_id
from common.words import from_duration, from_timestamp, number_of, to_timestamp, word_of
from gen.pingxi.v1 import common_pb2, compensation_pb2, ticket_pb2, voucher_pb2
from gen.pingxi.v1.common_pb2 import Money
from rules.model import Fault, TriggerKind
from services.sla.compensation.model import LEDGER, Actor, ActorKind, Change, Charges, LedgerRow, Request, State
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


def _state(number: int) -> State:
    word = word_of(_STATE, number)
    if not word:
        raise Poison("unknown_state", str(number))
    return cast(State, word)


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


def ledger_event_of(row: LedgerRow) -> Outgoing:
    """A version of a ledger row, for the rebuild."""
    return Outgoing(
        topic="ledger.v1",
        key=row.id,
        id=deterministic_id("ledger-row", row.id, row.version),
        subject=row.subject,
        time=row.updated_at,
        body=row_to_proto(row),
    )


def row_to_proto(row: LedgerRow) -> compensation_pb2.LedgerRow:
    """Everything of a row."""
    return compensation_pb2.LedgerRow(
        ledger_id=row.id,
        state=state_to_proto(row.state),
        brand=row.brand,
        ticket_id=row.ticket_id,
        order_id=row.order_id,
        customer_id=row.customer_id,
        customer_ref=row.customer_ref,
        amount=None if row.points else Money(currency=row.currency, amount_minor=row.amount_minor),
        reason=row.reason,
        outcome=row.outcome,
        rule=row.rule,
        policy_hash=row.policy_hash,
        fault_party=fault_to_proto(row.fault),
        proposed_at=to_timestamp(row.proposed_at),
        settle_at=to_timestamp(row.settle_at),
        updated_at=to_timestamp(row.updated_at),
        version=row.version,
        evidence=row.evidence,
        approvals=map(actor_to_proto, row.approvals),
        points=row.points,
        request_id=row.request_id,
        trigger=row.trigger.value,
        item=row.item,
        merchant_id=row.merchant_id,
        incident_id=row.incident_id,
        issued_at=to_timestamp(row.issued_at),
        charges=compensation_pb2.LedgerCharges(
            budgets=row.charges.budgets,
            identities=row.charges.identities,
            day=row.charges.day,
            order=row.charges.order,
        ),
        history=[
            compensation_pb2.LedgerChange(
                at=to_timestamp(change.at),
                state=state_to_proto(change.state),
                outcome=change.outcome,
                actor=actor_to_proto(change.actor),
                why=change.why,
                idempotency_key=change.key,
            )
            for change in row.history
        ],
        requested_by=actor_to_proto(row.requested_by) if row.requested_by else None,
        stack=row.stack,
        unknown_order_max=row.unknown_order_max,
        before_reversal=state_to_proto(row.before_reversal),
        entitled_minor=row.entitled_minor,
    )


def row_from_proto(message: compensation_pb2.LedgerRow) -> LedgerRow:
    """Reverse of `row_to_proto`. Raises Poison, ValueError for what no ledger wrote."""
    charges = message.charges
    return LedgerRow(
        id=_present(message.ledger_id, "ledger_id"),
        request_id=message.request_id,
        state=_state(message.state),
        brand=_present(message.brand, "brand"),
        # Rows of before the trigger was written are all of broken promises.
        trigger=TriggerKind(message.trigger or "sla_breach"),
        ticket_id=message.ticket_id,
        order_id=message.order_id,
        item=message.item,
        customer_id=message.customer_id,
        customer_ref=message.customer_ref,
        amount_minor=message.amount.amount_minor,
        entitled_minor=message.entitled_minor or message.amount.amount_minor,
        currency=message.amount.currency,
        points=message.points,
        reason=message.reason,
        rule=message.rule,
        outcome=message.outcome,
        policy_hash=message.policy_hash,
        fault=fault_from_proto(message.fault_party),
        merchant_id=message.merchant_id,
        incident_id=message.incident_id,
        stack=message.stack,
        unknown_order_max=message.unknown_order_max,
        requested_by=actor_from_proto(message.requested_by) if message.HasField("requested_by") else None,
        proposed_at=_instant(message.proposed_at, "proposed_at"),
        settle_at=_instant(message.settle_at, "settle_at"),
        updated_at=_instant(message.updated_at, "updated_at"),
        issued_at=from_timestamp(message.issued_at),
        version=message.version,
        evidence=tuple(message.evidence),
        approvals=tuple(map(actor_from_proto, message.approvals)),
        charges=Charges(tuple(charges.budgets), tuple(charges.identities), charges.day, charges.order),
        before_reversal=_state(message.before_reversal) if message.before_reversal else None,
        history=tuple(
            Change(
                _instant(change.at, "history.at"),
                _state(change.state),
                change.outcome,
                actor_from_proto(change.actor),
                change.why,
                change.idempotency_key,
            )
            for change in message.history
        ),
    )


def row_of_voucher(
    message: voucher_pb2.VoucherIssued | voucher_pb2.PointsGranted, day_of: Callable[[str, datetime], str]
) -> LedgerRow:
    """A row for a promise the ledger knows nothing of any more: paid, so that it is never paid again.

    It is charged to what a voucher tells: the brand's budget and the customer's caps of its day. Raises Poison.
    """
    points = isinstance(message, voucher_pb2.PointsGranted)
    at = from_timestamp(message.granted_at if isinstance(message, voucher_pb2.PointsGranted) else message.issued_at)
    if at is None:
        raise Poison("missing_field", "issued_at")
    voucher = None if isinstance(message, voucher_pb2.PointsGranted) else message
    amount = voucher.amount.amount_minor if voucher else 0
    day = day_of(message.brand, at)
    customer = message.customer_id or message.customer_ref
    charges = Charges((f"brand/{message.brand}/{day}",), (f"{message.brand}/customer:{customer}",), day)
    return LedgerRow(
        id=_present(message.grant_id if isinstance(message, voucher_pb2.PointsGranted) else message.voucher_id, "id"),
        request_id="",
        state="published",
        brand=message.brand,
        trigger=TriggerKind.SLA_BREACH,
        ticket_id=message.ticket_id,
        order_id=voucher.order_id if voucher else "",
        item="",
        customer_id=message.customer_id,
        customer_ref=message.customer_ref,
        amount_minor=amount,
        entitled_minor=amount,
        currency=voucher.amount.currency if voucher else "",
        points=message.points if isinstance(message, voucher_pb2.PointsGranted) else 0,
        reason=message.reason,
        rule=voucher.rule if voucher else "",
        outcome="rebuilt",
        policy_hash=voucher.policy_hash if voucher else "",
        fault=fault_from_proto(voucher.fault_party) if voucher else None,
        merchant_id="",
        incident_id="",
        stack=True,
        unknown_order_max=0,
        requested_by=None,
        proposed_at=at,
        settle_at=at,
        updated_at=at,
        issued_at=at,
        charges=Charges() if points else charges,
        history=(Change(at, "published", "rebuilt", LEDGER, "found on vouchers.v1"),),
    )


def _present(value: str, field: str) -> str:
    if not value:
        raise Poison("missing_field", field)
    return value


def _instant(stamp: object, field: str) -> datetime:
    at = from_timestamp(stamp)  # type: ignore[arg-type]
    if at is None:
        raise Poison("missing_field", field)
    return at
