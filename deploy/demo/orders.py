"""The day's orders, as an order platform tells of them: one is late, and nobody complains about it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from common.clock import Clock
from common.errors import Unavailable
from common.events import Outgoing
from common.ids import deterministic_id
from common.publisher import Publisher
from common.words import to_timestamp
from deploy.demo.day import BRAND, SURGE_AT, Complaint
from deploy.demo.sighting import OUTBOX, Sighting
from gen.pingxi.v1 import common_pb2, order_pb2

Kind = Literal["OrderPlaced", "OrderPickedUp", "EtaChanged", "OrderDelivered"]
ORDERS = "orders.v1"
# Seconds, as everything in the demo's brand: promised after, picked up after, usually there after.
PROMISED, PICKED_UP, DELIVERED = 6.0, 1.5, 4.5
# Of the one that is late: when the platform sees it coming, and by how much.
SEEN_LATE, LATE_BY = 2.5, 14.0
ORDINARY_EVERY = 3.0
AGAIN_AFTER = 0.3
# What the orders have that nothing happens to.
ORDINARY = "p-noodles"


@dataclass(frozen=True)
class Order:
    """One order; `placed_at` in seconds after the day's start."""

    id: str
    customer_id: str
    placed_at: float
    region: str
    merchant: str
    product: str
    late: bool = False


@dataclass(frozen=True)
class Event:
    """What the platform says of an order, `at` seconds after the day's start; `seq` counts an order's events."""

    at: float
    order: Order
    kind: Kind
    seq: int


def plan_orders(complaints: Sequence[Complaint], run: str, seconds: float) -> list[Order]:
    """The orders behind the surge's complaints (an incident pays for orders that are known), ordinary ones all day, and
    the late one early. The orders of the other complaints stay untold: the embedded database is a small one."""
    orders = [
        Order(
            id=str(each.fields["orderId"]),
            customer_id=each.customer_id,
            placed_at=max(0.0, each.send_at - DELIVERED - 1.0),
            region=str(each.fields["region"]),
            merchant=str(each.fields.get("merchantId", "")),
            product=str(each.fields.get("productId", "")),
        )
        for each in complaints
        if "orderId" in each.fields and each.fields.get("merchantId") == SURGE_AT
    ]
    for number in range(int(seconds / ORDINARY_EVERY)):
        merchant, region = f"m-corner-{number % 7}", f"sh-{('xuhui', 'minhang', 'pudong')[number % 3]}"
        customer = f"demo-{run}-quiet-{number}"
        orders.append(Order(f"o-{run}-quiet-{number}", customer, number * ORDINARY_EVERY, region, merchant, ORDINARY))
    late = Order(f"o-{run}-late", f"demo-{run}-late", 1.0, "sh-xuhui", "m-xinhe-deli", "p-rice", late=True)
    return sorted([*orders, late], key=lambda order: order.placed_at)


def events_of(orders: Sequence[Order]) -> list[Event]:
    """Everything the platform says of them, in its order. The late one is never delivered while anybody watches."""
    told: list[Event] = []
    for order in orders:
        told += [Event(order.placed_at, order, "OrderPlaced", 1)]
        told += [Event(order.placed_at + PICKED_UP, order, "OrderPickedUp", 2)]
        if order.late:
            told += [Event(order.placed_at + SEEN_LATE, order, "EtaChanged", 3)]
        else:
            told += [Event(order.placed_at + DELIVERED, order, "OrderDelivered", 3)]
    return sorted(told, key=lambda event: event.at)


def message_of(event: Event, start: datetime) -> Outgoing:
    """The event on orders.v1, of a day that began at `start`."""
    order, at = event.order, start + timedelta(seconds=event.at)
    promised = start + timedelta(seconds=order.placed_at + PROMISED)
    moved = event.kind == "EtaChanged"
    facts = order_pb2.OrderFacts(
        order_id=order.id,
        brand=BRAND,
        customer_id=order.customer_id,
        seq=event.seq,
        region=order.region,
        merchant_id=order.merchant,
        courier_id=f"k-{order.region}",
        station=f"st-{order.region}",
        products=[order.product] if order.product else [],
        value=common_pb2.Money(currency="CNY", amount_minor=4600),
        promised_at=to_timestamp(promised),
        eta=to_timestamp(promised + timedelta(seconds=LATE_BY if moved else PROMISED * -0.2)),
        occurred_at=to_timestamp(at),
        distance_km=3.2,
        identity_hashes=[deterministic_id("demo-phone", order.customer_id)],
        weather="rain" if order.late else "clear",
        traffic="medium",
    )
    body: Any = getattr(order_pb2, event.kind)(order=facts)
    if moved:
        body.reason = "weather"
    elif event.kind == "OrderDelivered":
        body.delivered_at.CopyFrom(to_timestamp(at))
    return Outgoing(ORDERS, order.id, deterministic_id("demo-order", order.id, event.seq), order.id, at, body)


def about(sighting: Sighting, late: Order) -> Sighting:
    """A sighting that concerns the late order, under its number: its ticket opened by itself, or a push."""
    mine = (
        sighting.body["recipient"] == f"customer:{late.customer_id}"
        if sighting.place == OUTBOX
        else sighting.kind == "TicketEvent" and sighting.body.snapshot.order_id == late.id
    )
    return replace(sighting, ticket=late.id) if mine else sighting


class OrderFeed:
    """Plays the orders of a day, as the order platform would."""

    def __init__(self, orders: Sequence[Order], publisher: Publisher, clock: Clock) -> None:
        self._events = events_of(orders)
        self._publisher = publisher
        self._clock = clock

    async def run(self) -> None:
        """Tells everything at its time, and again where the broker doesn't answer: a repeat has the same id."""
        start, steady = self._clock.now(), self._clock.monotonic()
        for event in self._events:
            await self._clock.sleep(max(0.0, steady + event.at - self._clock.monotonic()))
            while True:
                try:
                    await self._publisher.publish(message_of(event, start))
                    break
                except Unavailable:
                    await self._clock.sleep(AGAIN_AFTER)
