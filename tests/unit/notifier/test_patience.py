"""How long a message waits for the database: staff not at all once it was slow, customers as long as it takes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, PyMongoError

from common.clock import ManualClock
from common.errors import Unavailable
from services.notifier.model import Event, Notification, State
from services.notifier.store import MongoClaims
from tests.unit.notifier.behaviour import NOW, delivery, notification

STAFF = Notification(
    id="s1", event=Event.ESCALATION, ticket_id="T1", brand="default", recipient="role:supervisor", at=NOW
)


class Rows:
    """The collection. `fails`: what the next call raises; `taken`: sizes of the writes that came."""

    def __init__(self) -> None:
        self.fails: BaseException | None = None
        self.calls = 0
        self.taken: list[int] = []

    async def _answer(self) -> None:
        self.calls += 1
        error, self.fails = self.fails, None
        if error is not None:
            raise error

    async def create_index(self, *_: Any, **__: Any) -> None:
        pass

    async def insert_many(self, *_: Any, **__: Any) -> None:
        await self._answer()

    async def bulk_write(self, writes: list[Any], **_: Any) -> None:
        await self._answer()
        self.taken.append(len(writes))


@pytest.fixture
async def rows() -> Rows:
    return Rows()


@pytest.fixture
async def claims(rows: Rows) -> AsyncIterator[MongoClaims]:
    made = MongoClaims("mongodb://127.0.0.1:1/nothing", ManualClock(datetime(2026, 1, 1, tzinfo=UTC)))
    made._rows = rows  # type: ignore[assignment]
    yield made
    made.close()


async def test_a_slow_answer_to_staff_holds_up_staff_for_a_moment_and_no_customer(
    claims: MongoClaims, rows: Rows
) -> None:
    rows.fails = TimeoutError()
    with pytest.raises(Unavailable):
        await claims.claim(STAFF, NOW)
    with pytest.raises(Unavailable):
        await claims.claim(STAFF, NOW)
    assert rows.calls == 1
    assert await claims.claim(notification(), NOW) is State.CLAIMED


@pytest.mark.parametrize("error", [AutoReconnect("refused"), PyMongoError("away")])
async def test_a_database_that_is_away_holds_up_nobody_for_long(
    claims: MongoClaims, rows: Rows, error: PyMongoError
) -> None:
    rows.fails = error
    with pytest.raises(Unavailable):
        await claims.claim(notification(), NOW)
    for _ in range(100):
        with pytest.raises(Unavailable):
            await claims.claim(STAFF, NOW)
        with pytest.raises(Unavailable):
            await claims.claim(notification(), NOW)
    assert rows.calls == 1


async def test_many_records_are_written_in_pieces_that_a_busy_database_can_take(
    claims: MongoClaims, rows: Rows
) -> None:
    await claims.record([delivery(f"n{number}") for number in range(200)])
    assert sum(rows.taken) == 200
    assert max(rows.taken) <= 50


async def test_the_indexes_are_waited_for_as_long_as_the_message_can_wait(claims: MongoClaims, rows: Rows) -> None:
    begun = asyncio.Event()

    async def never(*_: Any, **__: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    rows.create_index = never  # type: ignore[method-assign]
    preparing = asyncio.ensure_future(claims.prepare(patience=3600.0))
    await begun.wait()
    with pytest.raises(Unavailable):
        await claims.prepare(patience=0.0)
    preparing.cancel()
    await asyncio.gather(preparing, return_exceptions=True)
