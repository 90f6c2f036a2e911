"""One customer, one ticket, on the real broker and database."""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Any

import grpc

from gen.pingxi.v1 import common_pb2
from gen.pingxi.v1 import ticket_service_pb2 as pb
from gen.pingxi.v1.complaint_pb2 import ComplaintSubmitted, PersonalContent, ThreadHint
from rules.number import from_random
from tests.fakes_router import ROOT
from tests.integration.router.world import World
from tests.waiting import eventually
from wire.personal import seal_personal

PHONE = "+8613900000001"
SMS, HOTLINE, APP = common_pb2.CHANNEL_SMS, common_pb2.CHANNEL_HOTLINE, common_pb2.CHANNEL_APP


def sent(world: World, n: int, text: str, contact: str = PHONE, **changes: Any) -> ComplaintSubmitted:
    """A complaint of somebody without a customer id."""
    content = seal_personal(world.keys.sealer(), from_random(n), PersonalContent(contact=contact, text=text))
    return world.complaint(n, **{"customer_id": "", "customer_ref": f"anon-{contact}", "personal": content, **changes})


async def stored(world: World, numbers: Sequence[int]) -> dict[int, pb.Ticket]:
    """The tickets of these complaints, once all are there."""
    found: dict[int, pb.Ticket] = {}

    async def all_there() -> bool:
        async with world.api() as api:
            for n in numbers:
                if n not in found:
                    try:
                        answer = await api.call("GetTicket", pb.GetTicketRequest(ticket_id=from_random(n)))
                    except grpc.aio.AioRpcError:
                        return False
                    found[n] = answer.ticket
        return True

    await eventually(all_there)
    return found


async def said_to(world: World, ticket_id: str, count: int) -> list[str]:
    """What the customer said to a ticket, once there are so many texts."""
    texts: list[str] = []

    async def enough() -> bool:
        async with world.api() as api:
            ticket = (await api.call("GetTicket", pb.GetTicketRequest(ticket_id=ticket_id))).ticket
        texts[:] = [ticket.description, *(each.text for each in ticket.messages if each.public)]
        return len(texts) >= count

    await eventually(enough, instead=lambda: texts)
    return texts


async def test_two_routers_at_once_open_one_ticket_for_twenty_texts_of_a_number(
    world: World, unused_tcp_port_factory: Any
) -> None:
    other = World(
        world.settings.model_copy(
            update={
                "router_grpc": f"127.0.0.1:{unused_tcp_port_factory()}",
                "router_metrics": f"127.0.0.1:{unused_tcp_port_factory()}",
            }
        ),
        world.keys,
        world.publisher,
    )
    numbers = range(1, 21)
    async with world.running(), other.running():
        await asyncio.gather(*(world.submit(sent(world, n, f"第{n}条", channel=SMS)) for n in numbers))
        tickets = await stored(world, numbers)
        own = [n for n, ticket in tickets.items() if not ticket.snapshot.merged_into]
        assert len(own) == 1
        survivor = from_random(own[0])
        assert {t.snapshot.merged_into for n, t in tickets.items() if n != own[0]} == {survivor}
        assert sorted(await said_to(world, survivor, 20)) == sorted(f"第{n}条" for n in numbers)


async def test_one_order_by_two_channels_at_once_is_one_ticket_and_its_promises_are_taken_over(world: World) -> None:
    async with world.running(), world.tail("tickets.v1") as events:
        form = sent(world, 1, "少送了一份", order_id="o-1", customer_id="c-1", customer_ref="c-1")
        call = sent(world, 2, "少了一份菜", order_id="o-1", channel=HOTLINE)
        await world.submit(form, call)
        tickets = await stored(world, (1, 2))
        joined = next(t for t in tickets.values() if t.snapshot.merged_into)
        survivor = joined.snapshot.merged_into
        assert {joined.id, survivor} == {from_random(1), from_random(2)}
        assert set(await said_to(world, survivor, 2)) == {"少送了一份", "少了一份菜"}
        kept = next(t for t in tickets.values() if not t.snapshot.merged_into)
        assert joined.snapshot.customer_ref == kept.snapshot.customer_ref

        def taken_over(_: Sequence[Any]) -> bool:
            return any(list(event.merged.merged) == [joined.id] for event in events.events(survivor))

        await events.until(taken_over)
        (told,) = events.events(joined.id)
        assert (told.version, told.merged.into) == (1, survivor)


async def test_complaints_delivered_twice_join_once(world: World) -> None:
    texts = [sent(world, n, f"第{n}条", channel=SMS) for n in (1, 2, 3)]
    async with world.running():
        await world.submit(*texts, *texts)
        tickets = await stored(world, (1, 2, 3))
        survivor = next(ticket.id for ticket in tickets.values() if not ticket.snapshot.merged_into)
        assert len(await said_to(world, survivor, 3)) == 3
    async with world.running():
        await world.submit(*texts, sent(world, 4, "第4条", channel=SMS))
        assert sorted(await said_to(world, survivor, 4)) == ["第1条", "第2条", "第3条", "第4条"]


async def test_a_reply_by_mail_adds_to_the_ticket_that_knows_the_message(world: World) -> None:
    mail: dict[str, Any] = {"contact": "guest@example.com", "channel": common_pb2.CHANNEL_MAIL}
    async with world.running():
        await world.submit(sent(world, 1, "少送了", thread_hint=ThreadHint(mail_references=["<1@x>"]), **mail))
        await stored(world, (1,))
        await world.submit(
            sent(world, 2, "还没回复", thread_hint=ThreadHint(mail_references=["<2@x>", "<1@x>"]), **mail),
            sent(world, 3, "另一件事", thread_hint=ThreadHint(mail_references=["<3@x>"]), **mail),
            sent(world, 4, "按工单号", thread_hint=ThreadHint(ticket_id=from_random(1)), **mail),
        )
        tickets = await stored(world, (2, 3, 4))
        assert [tickets[n].snapshot.merged_into for n in (2, 3, 4)] == [from_random(1), "", from_random(1)]


async def test_killed_in_the_middle_of_joining_every_text_is_in_its_one_ticket_once(world: World) -> None:
    people, each = 4, 10
    environment = os.environ | {
        f"PINGXI_{name.upper()}": str(value) for name, value in world.settings.model_dump().items() if value is not None
    }

    async def spawn() -> asyncio.subprocess.Process:
        command = (sys.executable, "-m", "services.router")
        quiet = asyncio.subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(*command, env=environment, cwd=ROOT, stderr=quiet)

    texts = {
        n: sent(world, n, f"第{n}条", contact=f"+861390000000{n % people}", channel=SMS)
        for n in range(1, people * each + 1)
    }
    process = await spawn()
    try:
        async with world.tail("tickets.v1") as events:
            await eventually(world.ready)
            for n in texts:
                await world.submit(texts[n])
            await events.until(lambda rows: len(rows) > people)
            process.kill()
            await process.wait()
            process = await spawn()
            tickets = await stored(world, list(texts))
        own = {n: ticket for n, ticket in tickets.items() if not ticket.snapshot.merged_into}
        assert sorted(n % people for n in own) == list(range(people))
        for first, ticket in own.items():
            said = await said_to(world, ticket.id, each)
            assert sorted(said) == sorted(f"第{n}条" for n in texts if n % people == first % people)
    finally:
        process.kill()
        await process.wait()
