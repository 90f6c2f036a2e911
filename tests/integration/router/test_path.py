"""complaints.v1 to tickets.v1 on the real broker and database."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from aiokafka import ConsumerRecord

from common.events import Headers
from gen.pingxi.v1 import ticket_service_pb2 as pb
from gen.pingxi.v1.common_pb2 import Sealed
from gen.pingxi.v1.policy_pb2 import PolicyVersion
from rules.number import from_random
from services.router.model import event_id
from services.router.store import MongoTickets
from tests.fakes_router import ROOT
from tests.integration.router.world import Door, Tail, World
from tests.waiting import eventually


def headers(record: ConsumerRecord) -> dict[str, str]:
    found: Headers = record.headers
    return {name: value.decode() for name, value in found}


def versions(tail: Tail) -> Counter[tuple[str, int]]:
    return Counter((event.ticket_id, event.version) for event in tail.events())


def opened(count: int) -> set[tuple[str, int]]:
    return {(from_random(n), 1) for n in range(count)}


async def test_300_complaints_are_300_tickets_and_events_also_where_they_come_twice(world: World) -> None:
    complaints = [world.complaint(n) for n in range(300)]
    async with world.running(), world.tail("tickets.v1") as tickets, world.tail("policies.v1") as policies:
        before = await world.metric("pingxi_routing_seconds_count")
        await world.submit(*complaints)
        await world.submit(*complaints, world.complaint(300))
        await tickets.until(lambda rows: len(rows) >= 301)
        await eventually(lambda: pending_is(world, 0))
        await tickets.settle()
        assert versions(tickets) == Counter(opened(301))
        for record, event in zip(tickets.records, tickets.events(), strict=True):
            found = headers(record)
            assert found["ce_id"] == event.event_id == event_id(event.ticket_id, 1)
            assert (found["ce_type"], found["ce_subject"]) == ("pingxi.v1.TicketEvent", event.ticket_id)
            assert record.key.decode() == event.ticket_id
        await policies.settle()
        announced = {PolicyVersion.FromString(record.value).policy_hash for record in policies.records}
        assert {event.snapshot.policy_hash for event in tickets.events()} <= announced
        assert await world.metric("pingxi_routing_seconds_count") - before == 301


async def pending_is(world: World, count: int) -> bool:
    return await world.metric("pingxi_outbox_pending") == count


async def test_the_trace_of_a_complaint_goes_on_in_its_ticket_event(world: World) -> None:
    async with world.running(), world.tail("tickets.v1") as tickets, world.tail("complaints.v1") as complaints:
        await world.submit(world.complaint(1), world.complaint(2))
        await tickets.until(lambda rows: len(rows) == 2)
        await complaints.until(lambda rows: len(rows) == 2)
        came = {record.key: headers(record)["traceparent"].split("-")[1] for record in complaints.records}
        went = {record.key: headers(record)["traceparent"].split("-")[1] for record in tickets.records}
        assert came == went


async def test_what_cannot_be_processed_is_a_dead_letter_and_its_partition_goes_on(world: World) -> None:
    original = world.complaint(1)
    conflict = world.complaint(1, "别的", fingerprint="other")
    async with world.running(), world.tail("tickets.v1") as tickets, world.tail("dead-letters.v1") as letters:
        await world.submit(original)
        await world.submit(
            conflict,
            world.complaint(2, brand="nobody"),
            world.complaint(3, personal=Sealed(key_id="k1", ciphertext=b"x" * 40)),
            world.complaint(4, ticket_id="nonsense"),
            world.message(9, "m1"),
        )
        complaints = "complaints.v1"
        await world.publisher.publish_raw(complaints, b"k", b"\xff\xff", [("ce_type", b"pingxi.v1.ComplaintSubmitted")])
        await world.publisher.publish_raw(complaints, b"k", b"", [])
        await world.publisher.publish_raw(complaints, b"k", b"", [("ce_type", b"elsewhere.Thing")])
        after = [world.complaint(n) for n in range(10, 30)]
        await world.submit(*after)
        await tickets.until(lambda rows: len(rows) >= 21)
        await letters.until(lambda rows: len(rows) >= 8)
        reasons = Counter(headers(record)["reason"] for record in letters.records)
        assert reasons == {
            "idempotency_conflict": 1,
            "unknown_brand": 1,
            "seal_broken": 1,
            "invalid_message": 1,
            "unknown_ticket": 1,
            "undecodable": 1,
            "no_type": 1,
            "unknown_type": 1,
        }
        buried = next(r for r in letters.records if headers(r)["reason"] == "idempotency_conflict")
        assert buried.value == conflict.SerializeToString()
        assert headers(buried)["topic"].endswith("complaints.v1")
        assert headers(buried)["service"] == "router"
        async with world.api() as api:
            ticket = (await api.call("GetTicket", pb.GetTicketRequest(ticket_id=original.ticket_id))).ticket
        assert (ticket.description, ticket.version) == ("菜送错了", 1)


async def test_a_crash_between_publishing_and_clearing_makes_duplicates_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(store: MongoTickets, published: Mapping[str, int]) -> None:
        await asyncio.Event().wait()

    async with world.tail("tickets.v1") as tickets:
        with monkeypatch.context() as patch:
            patch.setattr(MongoTickets, "clear", hang)
            async with world.running() as task:
                await world.submit(world.complaint(0), world.message(0, "m1"))
                await tickets.until(lambda rows: len(rows) >= 1)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await world.submit(world.complaint(1))
        async with world.running():
            await tickets.until(lambda rows: len(versions(tickets)) == 3)
            await eventually(lambda: pending_is(world, 0))
            await tickets.settle()
        first = from_random(0)
        assert set(versions(tickets)) == {(first, 1), (first, 2), (from_random(1), 1)}
        ids = {(event.version, event.event_id) for event in tickets.events(first)}
        assert ids == {(1, event_id(first, 1)), (2, event_id(first, 2))}
        assert versions(tickets)[first, 1] > 1


async def test_killed_in_the_middle_of_a_batch_nothing_is_lost_and_stopped_it_ends_in_time(
    world: World, tmp_path: Path
) -> None:
    log = tmp_path / "router.log"
    environment = os.environ | {
        f"PINGXI_{name.upper()}": str(value) for name, value in world.settings.model_dump().items() if value is not None
    }

    async def spawn() -> asyncio.subprocess.Process:
        with log.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "services.router"), env=environment, cwd=ROOT, stderr=output
            )

    process = await spawn()
    try:
        async with world.tail("tickets.v1") as tickets:
            await eventually(world.ready)
            await world.submit(*[world.complaint(n) for n in range(600)])
            await tickets.until(lambda rows: len(rows) >= 1)
            process.send_signal(signal.SIGKILL)
            await process.wait()
            process = await spawn()
            await tickets.until(lambda rows: len(versions(tickets)) >= 600)
            assert set(versions(tickets)) == opened(600)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 10) == 0, log.read_text()[-2000:]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_without_a_database_complaints_wait_and_calls_are_answered_unavailable_soon(
    world: World, door: Door
) -> None:
    async with world.running(), world.tail("tickets.v1") as tickets:
        await world.submit(world.complaint(0))
        await tickets.until(lambda rows: len(rows) == 1)
        await door.shut()
        await world.submit(*[world.complaint(n) for n in range(1, 40)])
        async with world.api() as api:
            with pytest.raises(Exception, match="UNAVAILABLE"):
                await api.call("GetTicket", pb.GetTicketRequest(ticket_id=from_random(0)), timeout=3)
        assert "database" in await world.readiness()
        await door.open()
        await tickets.until(lambda rows: len(versions(tickets)) == 40)
        assert set(versions(tickets)) == opened(40)
        await eventually(world.ready)


async def test_without_a_broker_it_says_so_and_stops_at_once(world: World, unused_tcp_port: int) -> None:
    world.settings = world.settings.model_copy(update={"kafka": f"127.0.0.1:{unused_tcp_port}"})
    async with world.running(wait=False):
        await eventually(lambda: readiness_is(world, "waiting for Kafka"))


async def readiness_is(world: World, reason: str) -> bool:
    return await world.readiness() == reason
