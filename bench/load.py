"""Closed-loop load: so many callers, each with one call under way, until enough calls are done."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bench.figures import percentile
from common.clock import SystemClock

CLOCK = SystemClock()
# One call; `index` is different for each.
Call = Callable[[int], Awaitable[None]]


@dataclass(frozen=True)
class Load:
    """What came of it: calls a second, and how long calls took, in seconds and in order."""

    rate: float
    seconds: Sequence[float]

    @property
    def p50(self) -> float:
        return percentile(self.seconds, 0.5)

    @property
    def p99(self) -> float:
        return percentile(self.seconds, 0.99)


async def closed_loop(call: Call, calls: int, callers: int) -> Load:
    """Makes `calls` calls by `callers` at once. An error of any of them ends it: what fails isn't fast."""
    taken: list[float] = []
    following = iter(range(calls))

    async def caller() -> None:
        for index in following:
            started = CLOCK.monotonic()
            await call(index)
            taken.append(CLOCK.monotonic() - started)

    started = CLOCK.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    return Load(calls / (CLOCK.monotonic() - started), sorted(taken))
