"""The timer that only sends: nothing early, stale timers put back, a jump of the clock makes due what is due by it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest

from common.clock import ManualClock
from common.events import Outgoing
from common.words import to_us
from gen.pingxi.v1.internal_pb2 import DueCame
from rules.model import Metric
from services.sla.due import DueSender
from services.sla.rows import row_from_bytes, row_to_bytes
from services.sla.stream import DUE, INPUTS
from services.sla.timers import Timers
from services.sla.watchdog import next_due
from tests.unit.sla.life import Life, NoCalendars, at, target


class OneTicket:
    """A keeper with one partition, and one row in it."""

    inputs = INPUTS
    due = DUE

    def __init__(self, life: Life) -> None:
        self.life = life
        self.timers = Timers()
        self.calendars = NoCalendars()
        self.positions: dict[tuple[str, int], int] = {}
        self.table = self
        self.oldest = 0.0

    def rows_of(self, partition: int) -> list[tuple[bytes, bytes]]:
        assert self.life.row is not None
        return [(self.life.row.ticket_id.encode(), row_to_bytes(self.life.row))]

    def due_of(self, key: bytes, value: bytes) -> datetime | None:
        return next_due(row_from_bytes(key.decode(), value, self.calendars))

    def measure_timers(self, sizes: Mapping[int, int], oldest: float) -> None:
        assert oldest >= 0
        self.oldest = oldest

    def row_in(self, partition: int, key: bytes) -> bytes:
        return self.rows_of(partition)[0][1]


class Sent:
    """A publisher that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[Outgoing] = []

    async def publish_all(self, messages: Sequence[Outgoing], timeout: float) -> None:
        self.messages += messages


@pytest.fixture
def life() -> Life:
    life = Life(in_force=(target(Metric.FIRST_RESPONSE, 30),))
    life.complaint()
    return life


async def run(
    life: Life,
    clock: ManualClock,
    ends: dict[tuple[str, int], int],
    ticks: int,
    meanwhile: Callable[[Timers], None] = lambda timers: None,
    keeper: OneTicket | None = None,
) -> list[Outgoing]:
    sent, watchdog = Sent(), keeper or OneTicket(life)
    made: Any = {"keeper": watchdog, "publisher": sent, "clock": clock, "bootstrap": "", "topic_prefix": ""}
    sender: Any = DueSender(**made)

    async def end_offsets(partitions: object) -> dict[tuple[str, int], int]:
        return ends

    async def starts(partitions: object) -> dict[tuple[str, int], int]:
        return {}

    sender.end_offsets, sender._starts = end_offsets, starts
    await sender.assigned({0})
    running = asyncio.ensure_future(sender.run())
    for tick in range(ticks):
        await asyncio.sleep(0)
        if tick == ticks // 2:
            meanwhile(watchdog.timers)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return sent.messages


async def test_nothing_is_sent_before_its_time(life: Life) -> None:
    assert await run(life, ManualClock(at(29)), {}, 50) == []


async def test_what_is_due_is_sent_with_the_end_offsets_of_its_inputs(life: Life) -> None:
    (message,) = (await run(life, ManualClock(at(30)), {("tickets.v1", 0): 0}, 50))[:1]
    assert isinstance(message.body, DueCame)
    assert list(message.body.ticket_ids) == ["7K3M-9QXZ-4TPC-5"]
    assert [(end.topic, end.offset) for end in message.body.end_offsets] == [("tickets.v1", 0)]


async def test_after_an_assignment_nothing_is_sent_until_the_inputs_are_processed(life: Life) -> None:
    assert await run(life, ManualClock(at(31)), {("tickets.v1", 0): 5}, 50) == []


async def test_a_jump_of_the_clock_makes_due_what_is_due_by_it(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock(at(1))
    messages = await run(life, clock, {}, 50, lambda timers: setattr(clock, "_now", at(61)))
    assert len(messages) >= 1
    assert "the clock jumped" in caplog.text


async def test_a_timer_of_a_deadline_that_moved_is_put_back_and_not_sent(life: Life) -> None:
    life.retargeted(5, target(Metric.FIRST_RESPONSE, 100))
    key = b"7K3M-9QXZ-4TPC-5"
    seen: list[Timers] = []

    def add_the_old_one(timers: Timers) -> None:
        timers.add(0, to_us(at(30)), key)
        seen.append(timers)

    assert await run(life, ManualClock(at(31)), {}, 50, add_the_old_one) == []
    assert seen[0].earliest() == to_us(at(100))


async def test_a_timer_that_was_sent_and_is_not_judged_shows_as_late_from_its_own_time(life: Life) -> None:
    keeper, clock = OneTicket(life), ManualClock(at(30))

    def an_hour_later(timers: Timers) -> None:
        # Nobody has judged it; it looks again a moment later, as one does whose inputs are behind.
        timers.add(0, to_us(at(90)), b"7K3M-9QXZ-4TPC-5")
        clock._now = at(90)

    assert await run(life, clock, {}, 50, an_hour_later, keeper)
    assert 3600 <= keeper.oldest < 3610
    keeper.timers.judged(0, b"7K3M-9QXZ-4TPC-5")
    assert keeper.timers.earliest() is None
