"""Automatic answers of a running router."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest

from common.clock import ManualClock
from common.grpc_server import GrpcServer
from gen.pingxi.v1 import common_pb2, sla_service_pb2, sla_service_pb2_grpc
from gen.pingxi.v1 import ticket_service_pb2 as pb
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from rules.number import from_random
from services.router.answering import OrderNews
from services.router.order_client import SlaOrders
from services.sla.order_facts import OrderFacts
from services.sla.server import SlaServicer
from tests.fakes_router import ROOT
from tests.integration.router.world import World
from tests.waiting import CLOCK, eventually

QUESTION = "请问我的外卖现在到哪里了"


class Orders:
    """The sla service's orders. `hangs`: answers only when the caller has long gone."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], OrderFacts] = {}
        self.hangs = asyncio.Event()
        self.hangs.set()
        self.asked = 0

    async def get(self, brand: str, order_id: str) -> OrderFacts | None:
        self.asked += 1
        await self.hangs.wait()
        return self.known.get((brand, order_id))

    async def count_of(self, brand: str, identity_hashes: tuple[str, ...], customer_id: str, since: datetime) -> int:
        raise AssertionError("nobody asks here")

    def has(self, n: int, customer_id: str) -> None:
        """An order on its way, expected in half an hour."""
        now = CLOCK.now()
        self.known["default", f"o-{n}"] = OrderFacts(
            order_id=f"o-{n}",
            brand="default",
            seq=2,
            customer_id=customer_id,
            region="",
            merchant_id="",
            courier_id="",
            station="",
            products=(),
            value_minor=100,
            currency="CNY",
            promised_at=now + timedelta(minutes=20),
            eta=now + timedelta(minutes=30),
            identity_hashes=(),
            occurred_at=now,
            picked_up_at=now,
        )


@asynccontextmanager
async def sla(world: World, orders: Orders) -> AsyncIterator[None]:
    """The part of the sla service that knows orders, where the router looks for it."""
    elsewhere: Any = None
    servicer = SlaServicer(elsewhere, CLOCK, elsewhere, {}, elsewhere, elsewhere, orders)
    name = sla_service_pb2.DESCRIPTOR.services_by_name["SlaService"].full_name
    services = [(sla_service_pb2_grpc.add_SlaServiceServicer_to_server, servicer, name)]

    async with GrpcServer(
        world.settings.sla_grpc, lambda bearer: "service" if world.keys.is_service(bearer) else None, services
    ):
        yield


async def ticket(world: World, n: int, version: int) -> pb.Ticket:
    """The ticket, once it has come so far."""
    found: list[pb.Ticket] = []

    async def there() -> bool:
        async with world.api() as api:
            try:
                answer = await api.call("GetTicket", pb.GetTicketRequest(ticket_id=from_random(n)))
            except grpc.aio.AioRpcError:
                return False
        found[:] = [answer.ticket]
        return bool(answer.ticket.version >= version)

    await eventually(there, instead=lambda: found)
    return found[0]


def answers(found: pb.Ticket) -> list[str]:
    """What a machine has said."""
    return [m.text for m in found.messages if m.automatic]


def replies(events: Sequence[TicketEvent]) -> list[TicketEvent]:
    return [event for event in events if event.HasField("replied")]


async def test_a_question_delivered_twice_is_answered_once_and_the_word_hands_over(world: World) -> None:
    async with world.running(), world.tail("tickets.v1") as tail:
        # Other tests of this process count here, too.
        before = await world.metric("pingxi_automatic_answers_total")
        opening = world.complaint(1, QUESTION, locale="zh-CN")
        await world.submit(opening, opening)
        assert answers(await ticket(world, 1, 2)) == [
            "您可以在“我的订单”里查看订单的实时位置和预计送达时间。回复“人工”转人工客服。"
        ]
        word = world.message(1, "m1", "人工")
        await world.submit(opening, word, word, world.message(1, "m2", "能开发票吗"))
        found = await ticket(world, 1, 4)
        assert found.snapshot.handed_over
        assert len(answers(found)) == 1
        await tail.until(lambda rows: len(rows) >= 4)
        kinds = [event.WhichOneof("change") for event in tail.events(from_random(1))]
        assert kinds == ["opened", "replied", "customer_replied", "customer_replied"]
        assert await world.metric("pingxi_automatic_answers_total") - before == 2


async def test_a_question_to_an_open_ticket_is_answered_and_the_red_channel_never(world: World) -> None:
    async with world.running():
        await world.submit(world.complaint(1), world.complaint(2, "吃了以后拉肚子去医院了"))
        await ticket(world, 1, 1)
        await ticket(world, 2, 1)
        await world.submit(world.message(1, "m1", "能开发票吗"), world.message(2, "m2", "能开发票吗"))
        assert len(answers(await ticket(world, 1, 3))) == 1
        red = await ticket(world, 2, 2)
        assert (red.snapshot.red, answers(red)) == (True, [])


async def test_what_the_sla_service_knows_of_the_order_is_said_to_its_owner(world: World) -> None:
    orders = Orders()
    orders.has(1, "customer-1")
    orders.has(2, "somebody-else")
    async with sla(world, orders), world.running():
        for n in (1, 2, 3):
            await world.submit(world.complaint(n, QUESTION, locale="zh-CN", order_id=f"o-{n}"))
        assert answers(await ticket(world, 1, 2))[0].startswith("您的订单已取货,正在配送,预计")
        for n in (2, 3):
            assert answers(await ticket(world, n, 2))[0].startswith("您可以在“我的订单”里查看")
    assert orders.asked == 3


async def test_who_doesnt_know_soon_is_left_alone_for_a_while(world: World, unused_tcp_port: int) -> None:
    orders, clock = Orders(), ManualClock(CLOCK.now())
    orders.has(1, "customer-1")
    nobody = SlaOrders(f"127.0.0.1:{unused_tcp_port}", world.keys.service, clock)
    assert await nobody.order("default", "o-1") is None
    await nobody.close()
    async with sla(world, orders):
        asking = SlaOrders(world.settings.sla_grpc, world.keys.service, clock, deadline=5)
        assert await asking.order("default", "o-2") is None
        found = await asking.order("default", "o-1")
        assert isinstance(found, OrderNews), "an unknown order is no reason to rest"
        assert (found.state, found.customer_id) == ("picked_up", "customer-1")
        orders.hangs.clear()
        assert await asking.order("default", "o-1") is None, "hangs"
        orders.hangs.set()
        assert (await asking.order("default", "o-1"), orders.asked) == (None, 3), "rests"
        clock.advance(timedelta(seconds=6))
        assert await asking.order("default", "o-1") == found
        await asking.close()


async def test_an_order_is_asked_for_by_brand_and_number(world: World) -> None:
    async with sla(world, Orders()), grpc.aio.insecure_channel(world.settings.sla_grpc) as channel:
        stub: Any = sla_service_pb2_grpc.SlaServiceStub(channel)
        metadata = (("authorization", f"Bearer {world.keys.service}"),)
        for request, code in (
            (sla_service_pb2.GetOrderRequest(brand="default"), grpc.StatusCode.INVALID_ARGUMENT),
            (sla_service_pb2.GetOrderRequest(brand="default", order_id="o-9"), grpc.StatusCode.NOT_FOUND),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.GetOrder(request, metadata=metadata, timeout=10)
            assert refused.value.code() is code


async def test_killed_in_the_middle_of_answering_every_question_is_answered_once(world: World) -> None:
    count = 60
    environment = os.environ | {
        f"PINGXI_{name.upper()}": str(value) for name, value in world.settings.model_dump().items() if value is not None
    }

    async def spawn() -> asyncio.subprocess.Process:
        command = (sys.executable, "-m", "services.router")
        quiet = asyncio.subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(*command, env=environment, cwd=ROOT, stderr=quiet)

    questions = [world.complaint(n, QUESTION) for n in range(1, count + 1)]
    process = await spawn()
    try:
        async with world.tail("tickets.v1") as tail:
            await eventually(world.ready)
            for question in questions:
                await world.submit(question)
            await tail.until(lambda rows: len(rows) > 2)
            process.kill()
            await process.wait()
            await world.submit(*questions)
            process = await spawn()

            def all_answered(_: Sequence[Any]) -> bool:
                return len({event.ticket_id for event in replies(tail.events())}) == count

            await tail.until(all_answered)
            await eventually(world.ready)
            said = {(event.ticket_id, event.version, event.replied.message_id) for event in replies(tail.events())}
            assert len(said) == count, "repeats have the same ids"
            assert {event.actor.kind for event in replies(tail.events())} == {common_pb2.Actor.KIND_BOT}
            assert len(answers(await ticket(world, count, 2))) == 1
    finally:
        process.kill()
        await process.wait()
