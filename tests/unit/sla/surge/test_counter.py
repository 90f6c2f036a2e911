"""From tickets and orders to counts: by source and brand, with offsets, with or without the database."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest
from google.protobuf.message import Message as Proto

from common.clock import ManualClock
from common.errors import Poison, Unavailable
from common.events import Incoming, Outgoing
from common.words import to_timestamp
from gen.pingxi.v1 import common_pb2, order_pb2
from gen.pingxi.v1.internal_pb2 import SurgeCounts
from gen.pingxi.v1.ticket_pb2 import ClockFacts, TicketEvent, TicketOpened, TicketReplied, TicketSnapshot
from services.sla.surge.counter import Counter
from services.sla.surge.ports import Place
from services.sla.surge.wire import counts_from_proto
from tests.unit.sla.surge.town import NOON, us


class Log:
    """Takes what is published."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []

    async def publish_all(self, messages: Sequence[Outgoing], timeout: float | None = None) -> list[object]:
        self.sent += messages
        return []


class Orders:
    """Knows one order, or is away."""

    away = False

    async def of(self, orders: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Place]:
        if self.away:
            raise Unavailable("away")
        known = Place(region="r9", station="s1", merchant="m9", courier="k1", product="p9")
        return {place: known for place in orders if place == ("demo", "o1")}


class Desk:
    """A counter and its surroundings."""

    def __init__(self) -> None:
        self.log, self.orders = Log(), Orders()
        self.counter = Counter(self.log, self.orders, ManualClock(NOON))  # type: ignore[arg-type]

    async def count(self, *bodies: Proto, partition: int = 3, first: int = 10) -> list[SurgeCounts]:
        self.log.sent.clear()
        await self.counter.handle(
            [
                Incoming(
                    "tickets.v1" if isinstance(body, TicketEvent) else "orders.v1",
                    partition, first + index, "", body.DESCRIPTOR.name, "", None, body,
                )
                for index, body in enumerate(bodies)
            ]
        )  # fmt: skip
        found = [each.body for each in self.log.sent]
        return [body for body in found if isinstance(body, SurgeCounts)]


def opened(ticket: str, brand: str = "demo", order: str = "", merchant: str = "m1", region: str = "") -> TicketEvent:
    return TicketEvent(
        ticket_id=ticket,
        version=1,
        occurred_at=to_timestamp(NOON),
        snapshot=TicketSnapshot(
            brand=brand,
            category=common_pb2.CATEGORY_DELIVERY,
            order_id=order,
            merchant_id=merchant,
            region=region,
            customer_ref="c",
            clock_facts=ClockFacts(acknowledged_at=to_timestamp(NOON)),
        ),
        opened=TicketOpened(),
    )


async def test_opened_tickets_are_told_by_brand_with_their_offsets_and_nothing_else_is() -> None:
    desk = Desk()
    replied = opened("t0")
    replied.replied.CopyFrom(TicketReplied(message_id="m"))
    found = await desk.count(opened("t1"), replied, opened("t2", brand="default"), opened("t3"))
    assert {each.brand: [row.offset for row in each.complaints] for each in found} == {
        "demo": [10, 13],
        "default": [12],
    }
    assert {each.source for each in found} == {"tickets.v1/3"}
    assert {message.key for message in desk.log.sent} == {"demo", "default"}


async def test_the_same_batch_gives_the_same_ids_and_an_event_published_twice_is_told_once() -> None:
    desk = Desk()
    await desk.count(opened("t1"), opened("t2"))
    first = [message.id for message in desk.log.sent]
    await desk.count(opened("t1"), opened("t2"))
    assert [message.id for message in desk.log.sent] == first
    assert await desk.count(opened("t1"), opened("t2"), first=50) == []


async def test_the_order_fills_in_what_the_form_left_out() -> None:
    desk = Desk()
    [counts] = await desk.count(opened("t1", order="o1"), opened("t2", order="o2", region="r1"))
    first, second = (row for _, row in counts_from_proto(counts, "demo").complaints)
    assert (first.region, first.station, first.merchant, first.courier, first.product) == ("r9", "s1", "m1", "k1", "p9")
    assert (second.region, second.station, second.courier) == ("r1", "", "")


async def test_with_the_database_away_complaints_are_counted_without_their_orders() -> None:
    desk = Desk()
    desk.orders.away = True
    [counts] = await desk.count(opened("t1", order="o1"))
    [(_, row)] = counts_from_proto(counts, "demo").complaints
    assert (row.merchant, row.station, row.order) == ("m1", "", "o1")


async def test_placed_and_delivered_orders_are_told_with_their_instants() -> None:
    desk = Desk()
    facts = order_pb2.OrderFacts(
        order_id="o1", brand="demo", region="r1", merchant_id="m1", courier_id="k1", products=["p1", "p2"],
        occurred_at=to_timestamp(NOON),
    )  # fmt: skip
    [counts] = await desk.count(order_pb2.OrderPlaced(order=facts), order_pb2.OrderDelivered(order=facts))
    placed, delivered = (order for _, order in counts_from_proto(counts, "demo").orders)
    assert (placed.delivered, placed.region, placed.at_us) == (False, "r1", us(NOON))
    assert (delivered.delivered, delivered.products) == (True, ("p1", "p2"))


async def test_a_message_without_brand_or_instant_is_refused_by_the_name_of_the_field() -> None:
    desk = Desk()
    with pytest.raises(Poison, match="brand"):
        await desk.count(opened("t1", brand=""))
    with pytest.raises(Poison, match=r"order\.occurred_at"):
        await desk.count(order_pb2.OrderPlaced(order=order_pb2.OrderFacts(brand="demo")))


def test_counts_under_a_key_that_is_not_the_brand_are_refused() -> None:
    with pytest.raises(Poison, match="key_mismatch"):
        counts_from_proto(SurgeCounts(brand="demo"), "default")


async def test_a_platform_whose_clock_is_wrong_does_not_move_ours() -> None:
    desk = Desk()
    facts = order_pb2.OrderFacts(order_id="o1", brand="demo", region="r1")
    for instant in (NOON + timedelta(days=400), NOON - timedelta(days=4000)):
        facts.occurred_at.CopyFrom(to_timestamp(instant) or facts.occurred_at)
        [counts] = await desk.count(order_pb2.OrderPlaced(order=facts))
        [(_, order)] = counts_from_proto(counts, "demo").orders
        assert us(NOON - timedelta(days=90)) <= order.at_us <= us(NOON + timedelta(seconds=1))
