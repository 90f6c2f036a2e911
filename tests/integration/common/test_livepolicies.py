"""Policies followed on a real broker."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from common.events import Outgoing
from common.livepolicies import LivePolicies
from common.publisher import Publisher
from common.topics import ensure_topics
from tests.unit.common.test_livepolicies import T0, files, phone, version
from tests.waiting import eventually


async def test_versions_take_effect_as_they_come_whenever_the_topic_is_made(kafka: str, unique: str) -> None:
    prefix = f"{unique}."
    live = LivePolicies(kafka, prefix, files())
    following = asyncio.ensure_future(live.run())
    publisher = Publisher(kafka, "test", topic_prefix=prefix)
    await publisher.start()

    async def publish(name: str, minutes: float) -> None:
        body = version(name, minutes)
        await publisher.publish(
            Outgoing("policies.v1", body.policy_hash, name * 32, "default", T0 + timedelta(minutes=minutes), body), 20
        )

    async def caught_up() -> bool:
        return live.caught_up

    async def says(name: str) -> None:
        async def said() -> bool:
            return phone(live) == name

        await eventually(said, 30.0)

    try:
        await ensure_topics(kafka, prefix=prefix, partitions=1)
        await eventually(caught_up, 30.0)
        assert dict(live) == files()
        await publish("1", 0)
        await publish("2", 5)
        await says("2")
        await publish("1", 9)
        await says("1")
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await publisher.stop()
    again = LivePolicies(kafka, prefix, files())
    following = asyncio.ensure_future(again.run())

    async def same() -> bool:
        return again.caught_up and phone(again) == "1"

    try:
        await eventually(same, 30.0)
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
