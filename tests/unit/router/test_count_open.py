"""How often open tickets are counted."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from common import metrics
from common.clock import ManualClock
from common.errors import Unavailable
from services.router.app import count_open

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Slow:
    """Takes so many seconds to count, and ends the counting at the third time; the second time it doesn't answer."""

    def __init__(self, clock: ManualClock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self.begun: list[float] = []

    async def open_by_queue(self) -> dict[tuple[str, str], int]:
        self.begun.append(self._clock.monotonic())
        self._clock.advance(timedelta(seconds=self._seconds))
        if len(self.begun) == 3:
            raise asyncio.CancelledError
        if len(self.begun) == 2:
            raise Unavailable("away")
        return {("delivery", "urgent"): 7}


@pytest.mark.parametrize(
    ("seconds", "begun"), [(0.1, [0.0, 30.1, 60.2]), (8.0, [0.0, 408.0, 816.0])], ids=["few", "millions"]
)
async def test_open_tickets_are_counted_every_30_s_and_seldom_where_that_takes_long_also_in_vain(
    seconds: float, begun: list[float]
) -> None:
    clock = ManualClock(NOW)
    tickets = Slow(clock, seconds)
    with pytest.raises(asyncio.CancelledError):
        await count_open(tickets, clock)
    assert tickets.begun == pytest.approx(begun)
    assert metrics.tickets_open.labels("delivery", "urgent")._value.get() == 7
