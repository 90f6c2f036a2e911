"""A compacted topic kept in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest

from common.events import Incoming, Outgoing
from common.follower import TopicFollower
from common.publisher import Publisher
from common.topics import ensure_topics
from gen.pingxi.v1.staff_pb2 import Person, Queue
from tests.waiting import eventually

NOW = datetime(2026, 11, 20, tzinfo=UTC)
TOPIC = "staff.v1"


class Taken:
    """What was taken; a person called "bad" can't be."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def take(self, message: Incoming) -> None:
        assert isinstance(message.body, Person)
        if message.body.id == "bad":
            raise ValueError("bad")
        self.ids.append(message.body.id)


@pytest.fixture
async def publisher(kafka: str, unique: str) -> AsyncIterator[Publisher]:
    await ensure_topics(kafka, prefix=f"{unique}.", partitions=1)
    publisher = Publisher(kafka, "test", topic_prefix=f"{unique}.")
    await publisher.start()
    yield publisher
    await publisher.stop()


async def publish(publisher: Publisher, *names: str) -> None:
    messages = [Outgoing(TOPIC, f"person/{name}", name, name, NOW, Person(id=name)) for name in names]
    await publisher.publish_all(messages, timeout=20)


@asynccontextmanager
async def following(follower: TopicFollower) -> AsyncIterator[None]:
    task = asyncio.ensure_future(follower.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_everything_there_is_taken_before_it_counts_as_loaded_and_then_what_comes(
    kafka: str, unique: str, publisher: Publisher
) -> None:
    await publish(publisher, *(f"p{n}" for n in range(1000)))
    taken = Taken()
    follower = TopicFollower(kafka, TOPIC, [Person], taken.take, service="test", topic_prefix=f"{unique}.")
    async with following(follower):
        await asyncio.wait_for(follower.loaded.wait(), 20)
        assert len(taken.ids) == 1000
        await publish(publisher, "late")

        async def late_is_there() -> bool:
            return taken.ids[-1] == "late"

        await eventually(late_is_there)
    # Another one reads everything again: nothing was committed.
    again = Taken()
    second = TopicFollower(kafka, TOPIC, [Person], again.take, service="test", topic_prefix=f"{unique}.")
    async with following(second):
        await asyncio.wait_for(second.loaded.wait(), 20)
    assert again.ids == taken.ids


async def test_what_cant_be_read_is_passed_over(kafka: str, unique: str, publisher: Publisher) -> None:
    await publish(publisher, "a", "bad")
    await publisher.publish_raw(TOPIC, b"person/b", None, [])
    await publisher.publish_raw(TOPIC, b"person/b", b"\xff", [("ce_type", b"pingxi.v1.Person")])
    await publisher.publish(Outgoing(TOPIC, "queue/default/q", "q", "q", NOW, Queue(name="q")), timeout=20)
    await publish(publisher, "c")
    taken = Taken()
    follower = TopicFollower(kafka, TOPIC, [Person], taken.take, service="test", topic_prefix=f"{unique}.")
    async with following(follower):
        await asyncio.wait_for(follower.loaded.wait(), 20)
    assert taken.ids == ["a", "c"]


async def test_an_empty_topic_is_loaded_at_once(kafka: str, unique: str, publisher: Publisher) -> None:
    follower = TopicFollower(kafka, TOPIC, [Person], Taken().take, service="test", topic_prefix=f"{unique}.")
    async with following(follower):
        await asyncio.wait_for(follower.loaded.wait(), 20)


async def test_a_topic_that_doesnt_exist_is_empty_and_is_followed_once_it_does(kafka: str, unique: str) -> None:
    prefix, taken = f"{unique}.none.", Taken()
    follower = TopicFollower(kafka, TOPIC, [Person], taken.take, service="test", topic_prefix=prefix)
    publisher = Publisher(kafka, "test", topic_prefix=prefix)

    async def there() -> bool:
        return taken.ids == ["a"]

    async with following(follower):
        await asyncio.wait_for(follower.loaded.wait(), 20)
        await ensure_topics(kafka, prefix=prefix, partitions=1)
        await publisher.start()
        await publish(publisher, "a")
        await eventually(there)
    await publisher.stop()
