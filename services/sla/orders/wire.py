"""Running orders to the table's bytes and back, and effects to messages."""

from datetime import timedelta

from common.errors import Poison
from common.events import Outgoing
from common.words import from_duration, from_timestamp, from_us, to_duration, to_timestamp, to_us
from gen.pingxi.v1 import internal_pb2
from gen.pingxi.v1.compensation_pb2 import CompensationRequested, CompensationWithdrawn
from gen.pingxi.v1.order_event_pb2 import DelayExpected, EtaTold, OrderFarTooLate
from rules.model import TriggerKind
from services.sla.order_facts import OrderFacts
from services.sla.orders import model as m
from services.sla.orders.opening import LateOrder

TOPIC = "order-events.v1"
REQUESTS = "compensation-requests"
_MICROSECOND = timedelta(microseconds=1)
_MILLION = 1_000_000
_NEVER = -1


def row_to_bytes(row: m.Watched) -> bytes:
    """The table's value."""
    facts, terms = row.facts, row.terms
    return internal_pb2.OrderRow(
        brand=facts.brand,
        seq=facts.seq,
        customer_id=facts.customer_id,
        region=facts.region,
        merchant_id=facts.merchant_id,
        product_id=facts.products[0] if facts.products else "",
        promised_us=to_us(facts.promised_at),
        eta_us=to_us(facts.eta),
        eta_reason=facts.eta_reason,
        occurred_us=to_us(facts.occurred_at),
        placed_us=to_us(facts.placed_at),
        delivered_us=to_us(facts.delivered_at),
        cancelled_us=to_us(facts.cancelled_at),
        terms=internal_pb2.OrderTermsRow(
            warn_ahead_us=_length(terms.warn_ahead),
            minimum_us=_length(terms.minimum),
            eta_step_us=_length(terms.eta_step),
            eta_lead_us=_length(terms.eta_lead),
            late_over_us=[_length(bound) for bound in terms.late_over],
            ticket_over_us=_length(terms.ticket_over),
            risk_above_percent=_NEVER if terms.risk_above is None else round(terms.risk_above * 100),
            forget_after_us=_length(terms.forget_after),
            policy_hash=terms.policy_hash,
        ),
        risk_millionths=_NEVER if row.risk is None else round(row.risk.probability * _MILLION),
        risk_reason="" if row.risk is None else row.risk.reason,
        told=[internal_pb2.ToldRow(cause=t.cause, number=t.number, eta_us=to_us(t.eta)) for t in row.told],
        eta_told=row.eta_told,
        requested=row.requested,
        withdrawn=row.withdrawn,
        ticket_asked=row.ticket_asked,
    ).SerializeToString()


def row_from_bytes(order_id: str, value: bytes) -> m.Watched:
    """Reverse of `row_to_bytes`."""
    p = internal_pb2.OrderRow.FromString(value)
    occurred_at = from_us(p.occurred_us)
    assert occurred_at is not None
    return m.Watched(
        facts=OrderFacts(
            order_id=order_id,
            brand=p.brand,
            seq=p.seq,
            customer_id=p.customer_id,
            region=p.region,
            merchant_id=p.merchant_id,
            courier_id="",
            station="",
            products=(p.product_id,) if p.product_id else (),
            value_minor=0,
            currency="",
            promised_at=from_us(p.promised_us),
            eta=from_us(p.eta_us),
            identity_hashes=(),
            occurred_at=occurred_at,
            eta_reason=p.eta_reason,
            placed_at=from_us(p.placed_us),
            delivered_at=from_us(p.delivered_us),
            cancelled_at=from_us(p.cancelled_us),
        ),
        terms=m.Terms(
            warn_ahead=p.terms.warn_ahead_us * _MICROSECOND,
            minimum=p.terms.minimum_us * _MICROSECOND,
            eta_step=p.terms.eta_step_us * _MICROSECOND,
            eta_lead=_optional(p.terms.eta_lead_us),
            late_over=tuple(us * _MICROSECOND for us in p.terms.late_over_us),
            ticket_over=_optional(p.terms.ticket_over_us),
            risk_above=None if p.terms.risk_above_percent == _NEVER else p.terms.risk_above_percent / 100,
            forget_after=p.terms.forget_after_us * _MICROSECOND,
            policy_hash=p.terms.policy_hash,
        ),
        risk=None if p.risk_millionths == _NEVER else m.Risk(p.risk_millionths / _MILLION, p.risk_reason),
        told=tuple(
            m.Told(t.cause, t.number, from_us(t.eta_us))  # type: ignore[arg-type]  # written by us
            for t in p.told
        ),
        eta_told=p.eta_told,
        requested=p.requested,
        withdrawn=p.withdrawn,
        ticket_asked=p.ticket_asked,
    )


def _length(length: timedelta | None) -> int:
    return _NEVER if length is None else length // _MICROSECOND


def _optional(us: int) -> timedelta | None:
    return None if us == _NEVER else us * _MICROSECOND


def outgoing(effect: m.Effect) -> Outgoing:
    """The effect as the message it is published as."""
    facts, at = effect.facts, to_timestamp(effect.at)
    topic = TOPIC
    body: DelayExpected | EtaTold | OrderFarTooLate | CompensationRequested | CompensationWithdrawn
    match effect:
        case m.DelayTold():
            body = DelayExpected(
                message_id=effect.id,
                order_id=facts.order_id,
                brand=facts.brand,
                customer_id=facts.customer_id,
                cause=effect.told.cause,
                reason=effect.reason,
                promised_at=to_timestamp(facts.promised_at),
                eta=to_timestamp(effect.told.eta),
                probability=effect.probability,
                number=effect.told.number,
                at=at,
            )
        case m.EtaTold():
            body = EtaTold(
                message_id=effect.id,
                order_id=facts.order_id,
                brand=facts.brand,
                customer_id=facts.customer_id,
                promised_at=to_timestamp(facts.promised_at),
                eta=to_timestamp(effect.eta),
                at=at,
            )
        case m.TicketAsked():
            body = OrderFarTooLate(
                order_id=facts.order_id,
                brand=facts.brand,
                customer_id=facts.customer_id,
                region=facts.region,
                merchant_id=facts.merchant_id,
                product_id=facts.products[0] if facts.products else "",
                promised_at=to_timestamp(facts.promised_at),
                late_over=to_duration(effect.late_over),
                at=at,
                delivered=effect.delivered,
            )
        case m.CompensationAsked():
            topic = REQUESTS
            body = CompensationRequested(
                request_id=effect.id,
                brand=facts.brand,
                trigger=TriggerKind.ORDER_LATE.value,
                order_id=facts.order_id,
                customer_id=facts.customer_id,
                policy_hash=effect.policy_hash,
                cause_id=facts.order_id,
                at=at,
                late=to_duration(effect.late),
            )
        case m.CompensationTakenBack():
            topic = REQUESTS
            body = CompensationWithdrawn(request_id=effect.request_id, why=effect.why, at=at)
        case _:
            raise TypeError(type(effect).__name__)
    return Outgoing(topic=topic, key=facts.order_id, id=effect.id, subject=facts.order_id, time=effect.at, body=body)


def late_order_of(body: OrderFarTooLate) -> LateOrder:
    """Reverse of `outgoing` for a ticket asked for. Raises Poison where it lacks what a complaint needs."""
    promised_at, at = from_timestamp(body.promised_at), from_timestamp(body.at)
    for field, value in (("order_id", body.order_id), ("brand", body.brand), ("customer_id", body.customer_id)):
        if not value:
            raise Poison("missing_field", field)
    if promised_at is None or at is None:
        raise Poison("missing_field", "promised_at or at")
    return LateOrder(
        order_id=body.order_id,
        brand=body.brand,
        customer_id=body.customer_id,
        region=body.region,
        merchant_id=body.merchant_id,
        product_id=body.product_id,
        late_over=from_duration(body.late_over),
    )
