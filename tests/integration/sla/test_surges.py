"""Surges as they run: real broker, real table, real processes that die."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from common.events import Outgoing
from common.keys import load_keys
from common.words import to_timestamp
from gen.pingxi.v1 import common_pb2, order_pb2, sla_service_pb2, sla_service_pb2_grpc
from gen.pingxi.v1.surge_pb2 import SurgeClosed, SurgeOpened, SurgeUpdated
from gen.pingxi.v1.ticket_pb2 import ClockFacts, TicketEvent, TicketOpened, TicketSnapshot
from gen.pingxi.v1.voucher_pb2 import VoucherIssued
from rules import courses, number
from tests.integration.sla.world import World, world
from tests.waiting import CLOCK, eventually
from wire.courses import courses_to_proto

QUALITY = common_pb2.CATEGORY_PRODUCT_QUALITY


@dataclass
class City:
    """Puts opened tickets and orders into the topics."""

    world: World

    def opened(
        self,
        *,
        merchant: str,
        region: str = "r1",
        product: str = "",
        order: str = "",
        category: "common_pb2.Category.ValueType" = QUALITY,
        at: datetime | None = None,
        customer: str = "u1",
    ) -> TicketEvent:
        """A ticket as the router opens it."""
        ticket = number.from_random(secrets.randbits(60))
        at = at or CLOCK.now()
        return TicketEvent(
            event_id=f"{ticket}/1",
            ticket_id=ticket,
            version=1,
            occurred_at=to_timestamp(at),
            snapshot=TicketSnapshot(
                brand="demo",
                status=common_pb2.STATUS_RECEIVED,
                category=category,
                priority=common_pb2.PRIORITY_NORMAL,
                customer_ref=customer,
                customer_id=customer,
                order_id=order,
                region=region,
                merchant_id=merchant,
                product_id=product,
                clock_facts=ClockFacts(acknowledged_at=to_timestamp(at), courses=courses_to_proto(courses.opened(at))),
            ),
            opened=TicketOpened(),
        )

    async def tell(self, *events: TicketEvent) -> None:
        """Publishes them to tickets.v1."""
        now = CLOCK.now()
        await self.world.publisher.publish_all(
            [Outgoing("tickets.v1", e.ticket_id, e.event_id, e.ticket_id, now, e) for e in events], 20.0
        )

    async def order(self, region: str, placed: bool = True) -> None:
        """An order was placed or delivered."""
        name, now = f"o-{secrets.token_hex(6)}", CLOCK.now()
        facts = order_pb2.OrderFacts(
            order_id=name, brand="demo", region=region, merchant_id="m1", occurred_at=to_timestamp(now)
        )
        body = order_pb2.OrderPlaced(order=facts) if placed else order_pb2.OrderDelivered(order=facts)
        await self.world.publisher.publish(Outgoing("orders.v1", name, name, name, now, body), 20.0)

    async def delivered(self, *orders: str) -> None:
        """Orders of ¥46 that came in time, each to a customer of its own (`c-<order>`)."""
        now = CLOCK.now()
        facts = [
            order_pb2.OrderFacts(
                order_id=order,
                brand="demo",
                customer_id=f"c-{order}",
                seq=1,
                region="r1",
                value=common_pb2.Money(currency="CNY", amount_minor=4600),
                promised_at=to_timestamp(now + timedelta(minutes=10)),
                occurred_at=to_timestamp(now),
            )
            for order in orders
        ]
        bodies = [order_pb2.OrderDelivered(order=each, delivered_at=each.occurred_at) for each in facts]
        await self.world.publisher.publish_all(
            [Outgoing("orders.v1", o, f"{o}/1", o, now, body) for o, body in zip(orders, bodies, strict=True)], 20.0
        )

    async def learnt(self) -> None:
        """The brand is no longer new: the demo's policy only watches for its first second."""
        await self.tell(self.opened(merchant="m-first", category=common_pb2.CATEGORY_OTHER))
        since = CLOCK.now()

        async def over() -> bool:
            return (CLOCK.now() - since).total_seconds() > 1.5

        await eventually(over)

    def told(self, kind: type) -> list[Any]:
        """What was said of incidents, repeats (equal ids) left out."""
        found = {message.id: message.body for message, _ in self.world.seen if isinstance(message.body, kind)}
        return list(found.values())

    async def until(self, kind: type, count: int = 1) -> Any:
        """Waits for so many and returns the last."""

        async def there() -> bool:
            return len(self.told(kind)) >= count

        await eventually(there, 40.0, lambda: [type(m.body).__name__ for m, _ in self.world.seen])
        return self.told(kind)[-1]

    def requests(self) -> dict[str, set[str]]:
        """Requests for compensation of incidents: order → ids of requests."""
        found: dict[str, set[str]] = {}
        for message, _ in self.world.seen:
            if message.type == "CompensationRequested" and getattr(message.body, "trigger", "") == "incident":
                body: Any = message.body
                found.setdefault(body.order_id, set()).add(body.request_id)
        return found

    async def ask_again(self) -> None:
        """Every request so far once more: as it was, and under another message id."""
        now = CLOCK.now()
        asked = {m.id: m for m, _ in self.world.seen if m.type == "CompensationRequested"}
        await self.world.publisher.publish_all(
            [
                Outgoing("compensation-requests", m.key, name, m.key, now, m.body)
                for m in asked.values()
                for name in (m.id, f"{m.id}/again")
            ],
            20.0,
        )

    def vouchers(self) -> dict[str, list[VoucherIssued]]:
        """Order → its different vouchers."""
        found: dict[str, VoucherIssued] = {}
        for message, _ in self.world.seen:
            if isinstance(message.body, VoucherIssued):
                found[message.id] = message.body
        by_order: dict[str, list[VoucherIssued]] = {}
        for each in found.values():
            by_order.setdefault(each.order_id, []).append(each)
        return by_order


async def test_a_surge_at_one_merchant_is_one_incident_with_its_complaints_its_orders_once_each_and_an_end(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        worker = await w.start_worker()
        city = City(w)
        await city.learnt()
        burst = [city.opened(merchant="m-orchard", product="p-berry", order=f"o{n}") for n in range(10)]
        twice = city.opened(merchant="m-orchard", product="p-berry", order="o3")
        await city.tell(*burst, twice)
        await city.tell(*burst)
        opened = await city.until(SurgeOpened)
        assert (opened.incident.brand, opened.incident.category) == ("demo", QUALITY)
        assert opened.incident.dimension in ("merchant", "product")
        assert opened.incident.value in ("m-orchard", "p-berry")
        name = opened.incident.incident_id

        async def all_requested() -> bool:
            return set(city.requests()) == {f"o{n}" for n in range(10)}

        await eventually(all_requested)
        assert all(len(ids) == 1 for ids in city.requests().values())
        keys = load_keys(tmp_path / "keys.json")
        async with grpc.aio.insecure_channel(worker.grpc) as channel:
            stub = sla_service_pb2_grpc.SlaServiceStub(channel)
            metadata = (("authorization", f"Bearer {keys.service}"),)

            async def complete() -> bool:
                listed = await stub.ListIncidents(
                    sla_service_pb2.ListIncidentsRequest(brand="demo"), metadata=metadata, timeout=10
                )
                return [i.complaints for i in listed.incidents] == [11]

            await eventually(complete, 30.0, lambda: city.told(SurgeUpdated)[-1:])
            found = await stub.GetIncident(
                sla_service_pb2.GetIncidentRequest(incident_id=name), metadata=metadata, timeout=10
            )
            assert [(top.value, top.count) for top in found.incident.top_merchants] == [("m-orchard", 11)]
            assert set(found.incident.affected_orders) == {f"o{n}" for n in range(10)}
            attached = {
                t for kind in (SurgeOpened, SurgeUpdated) for e in city.told(kind) for t in e.incident.attached_tickets
            }
            assert attached == {event.ticket_id for event in (*burst, twice)}
            with pytest.raises(grpc.aio.AioRpcError) as unknown:
                await stub.GetIncident(
                    sla_service_pb2.GetIncidentRequest(incident_id="nonsense"), metadata=metadata, timeout=10
                )
            assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
        closed = await city.until(SurgeClosed)
        assert (closed.incident.incident_id, closed.why) == (name, "the rate is back")
        assert len(city.told(SurgeOpened)) == 1
        assert w.dead == []
        assert await worker.stop() == 0


async def test_each_order_an_incident_affects_gets_one_voucher_however_often_anything_is_said(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    at_once, later, afterwards = [[f"{kind}{n}" for n in range(8)] for kind in ("o", "l", "a")]
    async with world(kafka, mongo, unique, tmp_path) as w:
        await w.start_worker()
        city = City(w)
        for _ in range(2):
            await city.delivered(*at_once, *later, *afterwards)
        await city.learnt()
        first, then = (
            [city.opened(merchant="m-orchard", order=order, customer=f"c-{order}") for order in orders]
            for orders in (at_once, later)
        )
        await city.tell(*first, *first)
        opened = await city.until(SurgeOpened)
        # They join what is there; one customer complains of his order once more.
        again = city.opened(merchant="m-orchard", order="o3", customer="c-o3")
        await city.tell(*then, again, *first, *then)

        def paid_to(*orders: str) -> Callable[[], Awaitable[bool]]:
            async def paid() -> bool:
                return set(city.vouchers()) >= set(orders)

            return paid

        await eventually(paid_to(*at_once, *later), 40.0, lambda: sorted(city.vouchers()))
        closed = await city.until(SurgeClosed)
        assert closed.incident.incident_id == opened.incident.incident_id
        assert set(closed.incident.affected_orders) == {*at_once, *later}
        await city.ask_again()
        # What comes behind the repeats is paid when they have been read: another cause, in every partition.
        await city.tell(*[city.opened(merchant="m-next", order=o, customer=f"c-{o}") for o in afterwards])
        await eventually(paid_to(*afterwards), 40.0, lambda: sorted(city.vouchers()))

        vouchers = city.vouchers()
        assert {order: len(found) for order, found in vouchers.items()} == dict.fromkeys(
            (*at_once, *later, *afterwards), 1
        )
        for order, (voucher,) in vouchers.items():
            said = (voucher.rule, voucher.reason, voucher.amount.amount_minor, voucher.customer_id)
            assert said == ("incident", "incident", 500, f"c-{order}")
        assert w.dead == []


async def test_a_supervisor_closes_an_incident_and_it_stays_closed(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        worker = await w.start_worker()
        city = City(w)
        await city.learnt()
        await city.tell(*[city.opened(merchant="m7") for _ in range(8)])
        opened = await city.until(SurgeOpened)
        name = opened.incident.incident_id
        keys = load_keys(tmp_path / "keys.json")
        async with grpc.aio.insecure_channel(worker.grpc) as channel:
            stub = sla_service_pb2_grpc.SlaServiceStub(channel)
            metadata = (("authorization", f"Bearer {keys.service}"),)
            request = sla_service_pb2.CloseIncidentRequest(
                incident_id=name,
                idempotency_key="k1",
                actor=common_pb2.Actor(kind=common_pb2.Actor.KIND_SUPERVISOR, id="lin"),
                reason="supplier replaced",
            )

            async def known() -> bool:
                listed = await stub.ListIncidents(
                    sla_service_pb2.ListIncidentsRequest(open_only=True), metadata=metadata, timeout=10
                )
                return [i.incident_id for i in listed.incidents] == [name]

            await eventually(known)
            with pytest.raises(grpc.aio.AioRpcError) as invalid:
                await stub.CloseIncident(
                    sla_service_pb2.CloseIncidentRequest(incident_id=name), metadata=metadata, timeout=10
                )
            assert invalid.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            await stub.CloseIncident(request, metadata=metadata, timeout=10)
            await stub.CloseIncident(request, metadata=metadata, timeout=10)
            closed = await city.until(SurgeClosed)
            assert closed.why == "closed by lin: supplier replaced"
            await city.tell(*[city.opened(merchant="m7") for _ in range(3)], city.opened(merchant="m8"))
            # Another category is judged as ever: what comes after has passed the detector.
            await city.tell(*[city.opened(merchant="m9", category=common_pb2.CATEGORY_PRICE) for _ in range(8)])
            await city.until(SurgeOpened, 2)
        assert {e.incident.category for e in city.told(SurgeOpened)} == {QUALITY, common_pb2.CATEGORY_PRICE}
        assert w.dead == []


async def test_a_worker_killed_in_the_middle_of_a_surge_and_another_in_its_place_make_one_incident_of_it(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        first = await w.start_worker("1")
        await w.start_worker("2")
        city = City(w)
        await city.learnt()
        await city.tell(*[city.opened(merchant="m7", order=f"a{n}") for n in range(8)])
        await city.until(SurgeOpened)
        await first.kill()
        # The rebalance takes longer than the demo's incident lasts: the second half comes at once and keeps it open.
        second = [city.opened(merchant="m7", order=f"b{n}") for n in range(8)]
        await city.tell(*second)
        wanted = {f"a{n}" for n in range(8)} | {f"b{n}" for n in range(8)}

        async def all_requested() -> bool:
            return set(city.requests()) >= wanted

        await eventually(all_requested, 60.0, lambda: sorted(wanted - set(city.requests())))
        assert all(len(ids) == 1 for ids in city.requests().values())
        assert len({e.incident.incident_id for e in city.told(SurgeOpened)}) == 1
        assert w.dead == []


async def test_too_many_delays_for_a_regions_orders_suggest_another_routing_and_one_of_five_does_not(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        await w.start_worker()
        city = City(w)
        for _ in range(5):
            await city.order("r-few")
        for _ in range(20):
            await city.order("r-many")
        await city.learnt()
        late = common_pb2.CATEGORY_DELIVERY
        await city.tell(city.opened(merchant="m1", region="r-few", category=late))
        await city.tell(*[city.opened(merchant=f"m{n}", region="r-many", category=late) for n in range(6)])

        def suggested() -> list[Any]:
            return [m.body for m, _ in w.seen if m.type == "RouteOptimizationSuggested"]

        async def there() -> bool:
            return bool(suggested())

        await eventually(there, 30.0)
        assert {(s.region, s.delay_complaints > 2, s.orders) for s in suggested()} == {("r-many", True, 20)}


async def test_a_message_without_brand_is_buried_and_the_counting_goes_on(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        await w.start_worker()
        city = City(w)
        await city.learnt()
        bad = city.opened(merchant="m7")
        bad.snapshot.brand = ""
        await city.tell(bad, *[city.opened(merchant="m7") for _ in range(8)])
        await city.until(SurgeOpened)

        async def buried() -> bool:
            return any(row.get("error", "").startswith("missing_field: brand") for row in w.dead)

        await eventually(buried, 30.0, lambda: w.dead)
