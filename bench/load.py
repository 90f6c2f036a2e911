"""Load: closed, so many callers each with one call under way; or open, a call at each instant whatever it takes."""

import asyncio
import resource
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from bench.figures import percentile
from common.clock import SystemClock

CLOCK = SystemClock()
# One call; `index` is different for each.
Call = Callable[[int], Coroutine[Any, Any, None]]


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


async def open_loop(call: Call, calls: int, rate: float) -> None:
    """Begins `rate` calls a second, whatever becomes of those before; returns when all are done."""
    started = CLOCK.monotonic()
    async with asyncio.TaskGroup() as group:
        for index in range(calls):
            await asyncio.sleep(max(0.0, started + index / rate - CLOCK.monotonic()))
            group.create_task(call(index))


def cpu_seconds() -> float:
    """What this process has used of a core: the machine may be busy with other things."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
