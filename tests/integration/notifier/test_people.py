"""People instead of roles, as staff.v1 has them at the moment."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.protobuf.message import Message as Proto

from common.events import Outgoing
from rules.staff import Person, Queue, Record, Rota, Shift
from tests.integration.notifier.world import World, escalated, made
from tests.waiting import eventually
from wire.staff import STAFF, record_to_proto

NOW = datetime.now(UTC)


@pytest.fixture
async def world(kafka: str, mongo: str, unique: str, tmp_path: Path) -> AsyncIterator[World]:
    async with made(kafka, mongo, unique, tmp_path) as found:
        yield found


async def publish(world: World, *records: Record) -> None:
    def message(record: Record) -> Outgoing:
        body: Proto = record_to_proto(record)
        return Outgoing(STAFF, record.key, f"{record.key}-{record.version}", record.key, NOW, body)

    await world.publisher.publish_all([message(record) for record in records], timeout=20)


async def told(world: World, ticket: str, count: int) -> list[str]:
    async def enough() -> bool:
        return len(await world.sent(ticket)) >= count

    await eventually(enough)
    return sorted(row["recipient"] for row in await world.sent(ticket))


async def test_each_level_reaches_its_people_found_when_it_fires(world: World) -> None:
    zhao = Person("zhao", role="supervisor", version=1)
    await publish(
        world,
        zhao,
        Person("qian", version=1),
        Queue("default", "quality_control", leads=("zhao",), joint_with=("legal",), version=1),
        Queue("default", "legal", leads=("qian",), version=1),
        Rota("default", "emergency", (Shift("qian", NOW - timedelta(hours=1), NOW + timedelta(hours=1)),), 1),
    )
    # What came before the notifier started waits for the people, too.
    await world.publish(escalated("T1", 1), times=2)
    await world.start()
    assert await told(world, "T1", 2) == ["person:qian", "person:zhao"]
    await world.publish(escalated("T1", 2))
    assert await told(world, "T1", 4) == ["person:qian", "person:qian", "person:zhao", "person:zhao"]

    # Zhao leaves; an old version of hers that comes late doesn't bring her back.
    await publish(world, Person("zhao", role="supervisor", removed=True, version=2), zhao)
    await publish(world, Person("wu", role="supervisor", version=1))

    async def wu_is_known() -> bool:
        """A level of a ticket of its own each time, until the news has arrived."""
        probe = f"probe-{len(await world.sent())}"
        await world.publish(escalated(probe, 2))
        return "person:wu" in await told(world, probe, 2)

    await eventually(wu_is_known)
    await world.publish(escalated("T2", 1), escalated("T2", 2))
    assert await told(world, "T2", 4) == ["person:qian", "person:qian", "person:wu", "queue_lead:quality_control"]
