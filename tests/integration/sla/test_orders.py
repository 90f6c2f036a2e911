"""Running orders on a real broker: late in silence, in time, killed, replayed, and a ticket through a real intake."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.message import Message as Proto

from common.events import Outgoing
from common.words import from_timestamp, to_timestamp
from deploy.local.ports import free_addresses
from deploy.local.settings import ROOT
from gen.pingxi.v1 import common_pb2, order_pb2
from rules.lateness import ORDER_LATE
from tests.integration.intake.running import read_log
from tests.integration.sla.world import World, seconds, world
from tests.waiting import CLOCK, eventually

BRAND = "demo"


@dataclass
class Platform:
    """The order platform: one order and what happens to it."""

    world: World
    order: str
    promised_at: datetime
    seq: int = 0

    async def tell(self, body: Proto, kind: str, **facts: Any) -> None:
        self.seq += 1
        now = CLOCK.now()
        body.order.CopyFrom(  # type: ignore[attr-defined]
            order_pb2.OrderFacts(
                order_id=self.order,
                brand=BRAND,
                customer_id="c1",
                seq=self.seq,
                region="hz",
                merchant_id="m1",
                products=["p1"],
                value=common_pb2.Money(currency="CNY", amount_minor=5000),
                promised_at=to_timestamp(self.promised_at),
                occurred_at=to_timestamp(now),
                **facts,
            )
        )
        await self.world.publisher.publish(
            Outgoing("orders.v1", self.order, f"{self.order}/{self.seq}", self.order, now, body), 20.0
        )

    async def placed(self) -> None:
        await self.tell(order_pb2.OrderPlaced(), "placed")

    async def eta(self, at: datetime, reason: str) -> None:
        await self.tell(order_pb2.EtaChanged(reason=reason), "eta", eta=to_timestamp(at))

    async def delivered(self, at: datetime) -> None:
        await self.tell(order_pb2.OrderDelivered(delivered_at=to_timestamp(at)), "delivered")

    def found(self, kind: str) -> int:
        return len(self.world.of(self.order, kind))


async def place(w: World, order: str, promised_in: float) -> Platform:
    """An order promised in so many seconds."""
    made = Platform(w, order, CLOCK.now() + seconds(promised_in))
    await made.placed()
    return made


async def past(instant: datetime) -> None:
    """Waits until it is later."""

    async def is_past() -> bool:
        return CLOCK.now() > instant

    await eventually(is_past)


async def test_an_order_that_is_late_in_silence_is_told_and_compensated_once_without_a_complaint(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        await w.start_worker()
        late = await place(w, "o-late", 1.0)
        kept = await place(w, "o-kept", 1.0)
        await kept.delivered(CLOCK.now())
        asked = await w.until(late.order, "CompensationRequested")
        assert (asked.trigger, asked.customer_id) == ("order_late", "c1")
        assert from_timestamp(asked.at) == late.promised_at + seconds(5)
        voucher = await w.until(late.order, "VoucherIssued")
        assert (voucher.reason, voucher.amount.amount_minor, voucher.ticket_id) == ("order_late", 500, "")
        delay = await w.until(late.order, "DelayExpected")
        assert (delay.cause, delay.customer_id) == ("overdue", "c1")
        far = await w.until(late.order, "OrderFarTooLate")
        assert from_timestamp(far.at) == late.promised_at + seconds(10)
        await late.delivered(CLOCK.now())
        another = await place(w, "o-another", -4.0)
        await w.until(another.order, "CompensationRequested")
        for kind in ("CompensationRequested", "VoucherIssued", "DelayExpected", "OrderFarTooLate"):
            assert (late.found(kind), kept.found(kind)) == (1, 0)
        # Once each on the wire, too: nothing crashed, so nothing was repeated.
        assert len({m.id for m, _ in w.seen}) == len(w.seen)
        assert w.dead == []


async def test_an_expected_time_that_moves_is_told_with_its_reason_and_again_only_beyond_the_step(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        await w.start_worker()
        order = await place(w, "o1", 4.0)
        await order.eta(order.promised_at + seconds(20), "weather")
        delay = await w.until(order.order, "DelayExpected")
        assert (delay.cause, delay.reason, from_timestamp(delay.promised_at)) == ("eta", "weather", order.promised_at)
        await order.eta(order.promised_at + seconds(21), "weather")
        await order.eta(order.promised_at + seconds(26), "weather")
        await w.until(order.order, "DelayExpected", count=2)
        etas = [from_timestamp(m.body.eta) for m in w.of(order.order, "DelayExpected")]  # type: ignore[attr-defined]
        assert etas == [order.promised_at + seconds(20), order.promised_at + seconds(26)]
        soon = await place(w, "o2", 2.0)
        told = await w.until(soon.order, "EtaTold")
        assert from_timestamp(told.eta) == soon.promised_at


async def test_a_worker_killed_before_the_bound_asks_once_stamped_with_the_bound(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        worker = await w.start_worker()
        order = await place(w, "o1", -2.0)
        await w.until(order.order, "DelayExpected")
        await worker.kill()
        await past(order.promised_at + seconds(6))
        assert order.found("CompensationRequested") == 0
        await w.start_worker()
        asked = await w.until(order.order, "CompensationRequested")
        assert from_timestamp(asked.at) == order.promised_at + seconds(5)
        await w.until(order.order, "OrderFarTooLate")
        assert order.found("CompensationRequested") == 1


async def test_a_delivery_that_waits_in_the_topic_is_seen_before_the_order_is_called_late(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        worker = await w.start_worker()
        order, control = await place(w, "o1", -1.0), await place(w, "o2", -1.0)
        await w.until(order.order, "DelayExpected")
        await w.until(control.order, "DelayExpected")
        await worker.kill()
        await order.delivered(CLOCK.now())
        await past(order.promised_at + seconds(10.5))
        await w.start_worker()
        await w.until(control.order, "OrderFarTooLate")
        await w.until(control.order, "VoucherIssued")
        assert (order.found("CompensationRequested"), order.found("OrderFarTooLate")) == (0, 0)


async def test_a_replay_into_an_empty_service_publishes_no_new_id(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        worker = await w.start_worker()
        order = await place(w, "o1", 1.0)
        await order.eta(order.promised_at + seconds(20), "traffic")
        await w.until(order.order, "OrderFarTooLate")
        await w.until(order.order, "VoucherIssued")
        await worker.stop()
        known, length = {m.id for m, _ in w.seen}, len(w.seen)
        await w.start_worker(group="replay")

        async def repeated() -> bool:
            again = {m.type for m, _ in w.seen[length:]}
            return {"DelayExpected", "OrderFarTooLate", "CompensationRequested"} <= again

        await eventually(repeated, 60.0)
        assert {m.id for m, _ in w.seen} == known


async def test_no_wrong_order_stops_the_others(kafka: str, mongo: str, unique: str, tmp_path: Path) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        await w.start_worker()
        good = order_pb2.OrderPlaced()
        good.order.order_id, good.order.brand = "o-x", "nobody"
        for number, (key, body) in enumerate(
            [("another-key", good), ("o-x", good), ("o-empty", order_pb2.OrderDelivered())]
        ):
            await w.publisher.publish(Outgoing("orders.v1", key, f"bad/{number}", key, CLOCK.now(), body), 20.0)
        order = await place(w, "o1", -4.0)
        await w.until(order.order, "CompensationRequested")

        async def buried() -> bool:
            return len([d for d in w.dead if d["service"] == "sla"]) >= 3

        await eventually(buried)


@asynccontextmanager
async def intake(w: World, log: Path) -> AsyncIterator[None]:
    """A real intake where the worker looks for it."""
    http, metrics, router = free_addresses(3)
    environment = {
        **os.environ,
        "PINGXI_KAFKA": w.kafka,
        "PINGXI_TOPIC_PREFIX": w.prefix,
        "PINGXI_KEYS": str(w.folder / "keys.json"),
        "PINGXI_POLICIES": str(ROOT / "policies"),
        "PINGXI_LOCAL": str(w.folder),
        "PINGXI_MONGO": w.mongo,
        "PINGXI_INTAKE_HTTP": http,
        "PINGXI_INTAKE_GRPC": w.intake,
        "PINGXI_INTAKE_METRICS": metrics,
        "PINGXI_ROUTER_GRPC": router,
    }
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.intake", cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        async with httpx.AsyncClient(trust_env=False) as client:

            async def is_ready() -> bool:
                assert process.returncode is None
                try:
                    return (await client.get(f"http://{metrics}/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(is_ready, 60.0)
        yield
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.timeout(240)
async def test_an_order_far_too_late_opens_one_red_ticket_by_itself(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    """Though intake was away at the time, and the fact comes twice."""
    async with world(kafka, mongo, unique, tmp_path) as w:
        await w.start_worker()
        order, second = await place(w, "o1", -8.0), await place(w, "o2", -8.0)
        await w.until(order.order, "OrderFarTooLate")
        await w.until(second.order, "OrderFarTooLate")
        async with intake(w, tmp_path / "intake.log"):
            (told,) = w.of(order.order, "OrderFarTooLate")
            again = Outgoing("order-events.v1", order.order, told.id, order.order, CLOCK.now(), told.body)
            await w.publisher.publish(again, 20.0)
            third = await place(w, "o3", -9.0)

            async def all_there() -> bool:
                found = {record.body.order_id for record in await read_log(kafka, w.prefix)}
                return found >= {order.order, second.order, third.order}

            await eventually(all_there, 60.0)
        records = await read_log(kafka, w.prefix)
        # A repeat has the number of the first: a second record of it is the same ticket.
        assert len({(r.key, r.body.fingerprint) for r in records}) == 3
        body = next(r.body for r in records if r.body.order_id == order.order)
        assert (body.channel, body.customer_id, body.red) == (common_pb2.CHANNEL_SYSTEM, "c1", True)
        assert body.declared_category == common_pb2.CATEGORY_DELIVERY
        assert body.channel_facts[ORDER_LATE] == "11000"
        assert w.dead == []
