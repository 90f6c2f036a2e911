"""The Kafka loop on a real broker: at least once, nothing lost, no message stops a partition."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaConsumer

from common.consumer import BatchConsumer, Handler
from common.errors import Poison, Unavailable
from common.events import Incoming, Outgoing
from common.publisher import Publisher
from common.topics import ensure_topics
from gen.pingxi.v1.complaint_pb2 import ComplaintSubmitted
from tests.waiting import eventually

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def complaint(number: int) -> Outgoing:
    return Outgoing("complaints.v1", f"k{number}", f"id{number}", "s", NOW, ComplaintSubmitted(ticket_id=f"k{number}"))


@asynccontextmanager
async def consuming(kafka: str, prefix: str, publisher: Publisher, handle: Handler) -> AsyncIterator[None]:
    consumer = BatchConsumer(
        kafka,
        service="test",
        group="group",
        topics=["complaints.v1"],
        kinds=[ComplaintSubmitted],
        handle=handle,
        publisher=publisher,
        topic_prefix=prefix,
    )
    running = asyncio.ensure_future(consumer.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def publisher(kafka: str, unique: str) -> AsyncIterator[Publisher]:
    await ensure_topics(kafka, prefix=f"{unique}.", partitions=2)
    publisher = Publisher(kafka, "test", topic_prefix=f"{unique}.")
    await publisher.start()
    await publisher.publish_all([complaint(n) for n in range(20)], timeout=30)
    yield publisher
    await publisher.stop()


async def dead_letters(kafka: str, unique: str, count: int) -> list[dict[str, bytes]]:
    consumer = AIOKafkaConsumer(f"{unique}.dead-letters.v1", bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        found: list[dict[str, bytes]] = []
        async with asyncio.timeout(30):
            while len(found) < count:
                record = await consumer.getone()
                found.append({**dict(record.headers), "value": record.value})
        return found
    finally:
        await consumer.stop()


async def test_every_message_is_handled_and_a_restart_repeats_only_what_was_not_committed(
    kafka: str, unique: str, publisher: Publisher
) -> None:
    first: list[str] = []
    second: list[str] = []

    async def handle(messages: Sequence[Incoming]) -> None:
        first.extend(m.id for m in messages)

    async def handle_again(messages: Sequence[Incoming]) -> None:
        second.extend(m.id for m in messages)

    async with consuming(kafka, f"{unique}.", publisher, handle):

        async def all_handled() -> bool:
            return len(first) == 20

        await eventually(all_handled)
        # The offsets are committed right after the handler returned; the next message shows that.
        await publisher.publish(complaint(20), 10)

        async def next_handled() -> bool:
            return "id20" in first

        await eventually(next_handled)
    async with consuming(kafka, f"{unique}.", publisher, handle_again):
        await publisher.publish(complaint(21), 10)

        async def new_handled() -> bool:
            return "id21" in second

        await eventually(new_handled)
    assert set(second) <= {"id20", "id21"}


async def test_one_message_that_cannot_be_processed_is_buried_and_the_others_are_handled(
    kafka: str, unique: str, publisher: Publisher
) -> None:
    handled: set[str] = set()

    async def handle(messages: Sequence[Incoming]) -> None:
        for message in messages:
            if message.id == "id7":
                raise Poison("idempotency_conflict")
            if message.id == "id8":
                raise ZeroDivisionError("a secret")
        handled.update(m.id for m in messages)

    async with consuming(kafka, f"{unique}.", publisher, handle):
        found = await dead_letters(kafka, unique, 2)

        async def all_handled() -> bool:
            return len(handled) == 18

        await eventually(all_handled)
    assert sorted(f["reason"] for f in found) == [b"idempotency_conflict", b"unexpected"]
    assert {f["topic"] for f in found} == {f"{unique}.complaints.v1".encode()}
    assert {ComplaintSubmitted.FromString(f["value"]).ticket_id for f in found} == {"k7", "k8"}
    assert not any(b"secret" in f["error"] for f in found)


async def test_a_part_that_is_away_is_waited_for_and_nothing_is_lost(
    kafka: str, unique: str, publisher: Publisher
) -> None:
    calls = 0
    handled: list[str] = []

    async def handle(messages: Sequence[Incoming]) -> None:
        nonlocal calls
        calls += 1
        if calls <= 3:
            raise Unavailable("the database is away")
        handled.extend(m.id for m in messages)

    async with consuming(kafka, f"{unique}.", publisher, handle):

        async def all_handled() -> bool:
            return len(set(handled)) == 20

        await eventually(all_handled)
    assert len(handled) == 20


async def test_bytes_of_no_known_form_are_buried_with_their_origin(
    kafka: str, unique: str, publisher: Publisher
) -> None:
    handled: list[str] = []

    async def handle(messages: Sequence[Incoming]) -> None:
        handled.extend(m.id for m in messages)

    await publisher.publish_raw("complaints.v1", b"k", b"not a protobuf", [])
    async with consuming(kafka, f"{unique}.", publisher, handle):
        found = await dead_letters(kafka, unique, 1)
    assert found[0]["value"] == b"not a protobuf"
    assert found[0]["reason"] == b"no_type"
    assert found[0]["offset"].isdigit()


async def test_a_broker_that_is_away_makes_a_send_unknown_within_its_time(unique: str) -> None:
    publisher = Publisher("127.0.0.1:1", "test", topic_prefix=unique)
    await publisher.start()
    with pytest.raises(Unavailable):
        await publisher.publish(complaint(1), timeout=0.5)
    assert not publisher.ready
    await publisher.stop()
