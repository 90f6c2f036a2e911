"""The real store keeps the fake's promises, and says quickly when the database is away."""

from collections.abc import AsyncIterator

import pytest

from common.clock import SystemClock
from common.errors import Unavailable
from deploy.local.ports import free_addresses
from services.notifier.store import MongoClaims
from tests.unit.notifier.behaviour import NOW, ClaimsBehaviour, notification


class TestMongoClaims(ClaimsBehaviour):
    @pytest.fixture
    async def claims(self, mongo: str) -> AsyncIterator[MongoClaims]:
        found = MongoClaims(mongo, SystemClock())
        await found.prepare()
        yield found
        found.close()


async def test_a_database_that_is_away_is_said_within_a_second_and_a_half_and_then_at_once() -> None:
    clock = SystemClock()
    claims = MongoClaims(f"mongodb://{free_addresses(1)[0]}/nothing", clock)
    started = clock.monotonic()
    with pytest.raises(Unavailable):
        await claims.claim(notification(), NOW)
    assert clock.monotonic() - started < 1.5
    started = clock.monotonic()
    for _ in range(100):
        with pytest.raises(Unavailable):
            await claims.claim(notification(), NOW)
    assert clock.monotonic() - started < 0.5
    claims.close()
