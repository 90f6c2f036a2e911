"""Messages of orders.v1 to facts."""

from google.protobuf.message import Message as Proto

from common.errors import Poison
from common.words import from_timestamp
from gen.pingxi.v1 import order_pb2 as pb
from services.sla.order_facts import OrderFacts

ORDER_KINDS: list[type[Proto]] = [pb.OrderPlaced, pb.OrderPickedUp, pb.EtaChanged, pb.OrderDelivered, pb.OrderCancelled]
OrderEvent = pb.OrderPlaced | pb.OrderPickedUp | pb.EtaChanged | pb.OrderDelivered | pb.OrderCancelled


def facts_of(event: OrderEvent) -> OrderFacts:
    """What one event says of its order. Raises Poison where it names no order, brand or time."""
    order, kind = event.order, event.DESCRIPTOR.name
    for field, value in (("order_id", order.order_id), ("brand", order.brand)):
        if not value:
            raise Poison("missing_field", f"order.{field}")
    try:
        occurred_at = from_timestamp(order.occurred_at)
        promised_at, eta = from_timestamp(order.promised_at), from_timestamp(order.eta)
        delivered_at = from_timestamp(event.delivered_at) if isinstance(event, pb.OrderDelivered) else None
    except ValueError as error:
        raise Poison("bad_time", f"{kind}: out of range") from error
    if occurred_at is None:
        raise Poison("missing_field", "order.occurred_at")
    return OrderFacts(
        order_id=order.order_id,
        brand=order.brand,
        seq=order.seq,
        customer_id=order.customer_id,
        region=order.region,
        merchant_id=order.merchant_id,
        courier_id=order.courier_id,
        station=order.station,
        products=tuple(order.products),
        value_minor=order.value.amount_minor,
        currency=order.value.currency,
        promised_at=promised_at,
        eta=eta,
        identity_hashes=tuple(order.identity_hashes),
        occurred_at=occurred_at,
        distance_km=order.distance_km,
        weather=order.weather,
        traffic=order.traffic,
        eta_reason=event.reason if isinstance(event, pb.EtaChanged) else "",
        placed_at=occurred_at if kind == "OrderPlaced" else None,
        picked_up_at=occurred_at if kind == "OrderPickedUp" else None,
        delivered_at=(delivered_at or occurred_at) if kind == "OrderDelivered" else None,
        cancelled_at=occurred_at if kind == "OrderCancelled" else None,
    )
