"""Another sealing key, on a running router: nothing is lost, and the old key can go."""

import asyncio
import json
import os
import sys
from dataclasses import replace
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient

from common.keys import load_keys, rotate
from gen.pingxi.v1 import ticket_service_pb2 as pb
from rules.number import from_random
from tests.fakes_router import ROOT
from tests.integration.router.world import World
from tests.waiting import eventually


async def reseal(world: World) -> tuple[int, str]:
    settings = world.settings
    variables = {"PINGXI_MONGO": settings.mongo, "PINGXI_KEYS": str(settings.keys)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.router", "reseal",
        cwd=ROOT, env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert b"Traceback" not in err, err.decode()
    return process.returncode or 0, out.decode()


async def test_after_resealing_the_old_key_isn_t_needed_any_more(world: World) -> None:
    get = pb.GetTicketRequest(ticket_id=from_random(1))
    async with world.running(), world.api() as api:
        await world.submit(world.complaint(1, "鸡蛋碎了"), world.complaint(2))
        await world.submit(world.message(1, "m1", "还没有人回"))

        async def stored() -> bool:
            tickets = (await api.call("ListTickets", pb.ListTicketsRequest())).tickets
            return sorted(ticket.version for ticket in tickets) == [1, 2]

        await eventually(stored)
        before = (await api.call("GetTicket", get)).ticket
    key = rotate(world.settings.keys)
    assert await reseal(world) == (0, f"2 tickets sealed with {key}; left: nothing\n")
    assert await reseal(world) == (0, f"0 tickets sealed with {key}; left: nothing\n")
    client: Any = AsyncIOMotorClient(world.settings.mongo)
    documents = [document async for document in client.get_default_database()["tickets"].find({})]
    client.close()
    assert {document["personal"]["key_id"] for document in documents} == {key}
    raw = json.loads(world.settings.keys.read_text())
    del raw["seal"]["keys"]["k1"]
    world.settings.keys.write_text(json.dumps(raw))
    world = replace(world, keys=load_keys(world.settings.keys))
    async with world.running(), world.api() as api:
        after = (await api.call("GetTicket", get)).ticket
    assert (after.contact, after.description) == ("+8613800000000", "鸡蛋碎了")
    assert [message.text for message in after.messages] == ["还没有人回"]
    assert after == before


async def test_without_the_key_that_sealed_it_a_ticket_is_left_and_said(world: World) -> None:
    async with world.running(), world.api() as api:
        await world.submit(world.complaint(1))

        async def stored() -> bool:
            return len((await api.call("ListTickets", pb.ListTicketsRequest())).tickets) == 1

        await eventually(stored)
    rotate(world.settings.keys)
    raw = json.loads(world.settings.keys.read_text())
    del raw["seal"]["keys"]["k1"]
    world.settings.keys.write_text(json.dumps(raw))
    assert await reseal(world) == (1, "0 tickets sealed with k2; left: 1 under k1\n")
