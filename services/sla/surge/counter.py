"""From tickets and orders to `surge-counts`: what one partition saw, for each brand, with its offsets.

Stateless, so any worker may count any partition. Tickets are read rather than complaints: the category is the router's,
who has read the text, and one ticket is one complaint, however often it was sent. What is sent twice after a crash
carries the same offsets, in whatever portions; the detector passes over those it has.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from common.clock import Clock
from common.consumer import BatchConsumer
from common.errors import Unavailable
from common.events import Incoming, Outgoing
from common.ids import deterministic_id
from common.publisher import Publisher
from common.words import from_us, to_us
from gen.pingxi.v1.order_pb2 import OrderDelivered, OrderPlaced
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from services.sla.settings import SlaSettings
from services.sla.surge.model import Complaint, Counts, Orders
from services.sla.surge.ports import Place, Places
from services.sla.surge.wire import complaint_of_ticket, counts_to_proto, order_of

log = logging.getLogger(__name__)
TICKETS, ORDERS, COUNTS = "tickets.v1", "orders.v1", "surge-counts"
# At most so often a message a partition and brand: under load counts travel together, a first complaint never waits.
TOGETHER = 0.1
MOST_AT_ONCE = 2000
REMEMBERED = 20_000
OLDEST_US = 90 * 24 * 3_600_000_000


class Counter:
    """Handles batches of both topics."""

    def __init__(self, publisher: Publisher, places: Places, clock: Clock) -> None:
        self._publisher = publisher
        self._places = places
        self._clock = clock
        self._last = clock.monotonic() - TOGETHER
        # Tickets published twice (their events' first acknowledgement was lost) come one soon after the other.
        self._told: dict[str, int] = {}

    async def handle(self, messages: Sequence[Incoming]) -> None:
        """Publishes what the batch says. Raises Unavailable; Poison for a message without brand or instant."""
        wait = self._last + TOGETHER - self._clock.monotonic()
        if wait > 0:
            await self._clock.sleep(wait)
        now_us = to_us(self._clock.now())
        complaints: dict[tuple[str, int, str], list[tuple[int, Complaint]]] = {}
        orders: dict[tuple[str, int, str], list[tuple[int, Orders]]] = {}
        for message in messages:
            if isinstance(message.body, TicketEvent):
                complaint = complaint_of_ticket(message.body)
                if complaint is not None and self._first(complaint.ticket, message.offset):
                    place = message.topic, message.partition, message.body.snapshot.brand
                    sane = replace(complaint, at_us=_bounded(complaint.at_us, now_us))
                    complaints.setdefault(place, []).append((message.offset, sane))
            elif (found := order_of(message.body)) is not None:
                place = message.topic, message.partition, found[0]
                order = replace(found[1], at_us=_bounded(found[1].at_us, now_us))
                orders.setdefault(place, []).append((message.offset, order))
        if complaints:
            places = await self._look_up(
                [(p[2], c.order) for p, rows in complaints.items() for _, c in rows if c.order]
            )
            complaints = {
                place: [(offset, _placed(each, places.get((place[2], each.order)))) for offset, each in rows]
                for place, rows in complaints.items()
            }
        counts = [
            Counts(place[2], f"{place[0]}/{place[1]}", complaints=tuple(rows), as_of_us=0)
            for place, rows in complaints.items()
        ]
        counts += [
            Counts(place[2], f"{place[0]}/{place[1]}", orders=tuple(rows), as_of_us=0) for place, rows in orders.items()
        ]
        await self._publisher.publish_all([message_of(each, now_us) for each in counts])
        self._last = self._clock.monotonic()

    def _first(self, ticket: str, offset: int) -> bool:
        """Whether a ticket's opening is at this offset; the same batch handled again is no repeat."""
        if len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]
        return self._told.setdefault(ticket, offset) >= offset

    async def _look_up(self, orders: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Place]:
        """Detection doesn't wait for the database: without it stations and couriers go uncounted."""
        if not orders:
            return {}
        try:
            return await self._places.of(orders)
        except Unavailable as error:
            log.warning(
                "complaints are counted without their orders", extra={"reason": str(error), "count": len(orders)}
            )
            return {}


def _bounded(at_us: int, now_us: int) -> int:
    """Other people's clocks don't move ours: an instant is never in the future, nor before all that topics hold."""
    return min(max(at_us, now_us - OLDEST_US), now_us)


def _placed(complaint: Complaint, place: Place | None) -> Complaint:
    """What the customer's form says comes first; the order fills in what it left out."""
    if place is None:
        return complaint
    return replace(
        complaint,
        region=complaint.region or place.region,
        station=complaint.station or place.station,
        merchant=complaint.merchant or place.merchant,
        product=complaint.product or place.product,
        courier=complaint.courier or place.courier,
    )


def message_of(counts: Counts, now_us: int) -> Outgoing:
    """As it is published; the id follows from source, brand and offsets, of a tick from its instant."""
    offsets = [offset for offset, _ in (*counts.complaints, *counts.orders)]
    first_last = (min(offsets), max(offsets)) if offsets else (counts.as_of_us, "tick")
    at = from_us(now_us)
    assert at is not None
    return Outgoing(
        topic=COUNTS,
        key=counts.brand,
        id=deterministic_id("surge-counts", counts.source, counts.brand, *first_last),
        subject=counts.brand,
        time=at,
        body=counts_to_proto(counts),
    )


def consumer_of(settings: SlaSettings, publisher: Publisher, counter: Counter) -> BatchConsumer:
    """Follows tickets and orders."""
    return BatchConsumer(
        settings.kafka,
        service="sla",
        group=f"{settings.sla_group}-surge-counts",
        topics=[TICKETS, ORDERS],
        kinds=[TicketEvent, OrderPlaced, OrderDelivered],
        handle=counter.handle,
        publisher=publisher,
        topic_prefix=settings.topic_prefix,
        max_batch=MOST_AT_ONCE,
    )
