"""Callers share calls; each gets its own result, and every failure reaches all it concerns."""

import asyncio
from collections.abc import Sequence

import pytest

from common.coalesce import Coalescer


class Work:
    """Doubles numbers. `gate`: what a call waits for."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.gate = asyncio.Event()
        self.begun = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        self.begun.set()
        await self.gate.wait()
        if self.error:
            raise self.error
        return [2 * item for item in items]


async def test_what_comes_during_a_call_goes_together_in_the_next() -> None:
    work = Work()
    double: Coalescer[int, int] = Coalescer(work, at_most=50)
    first = asyncio.create_task(double(1))
    await work.begun.wait()
    others = [asyncio.create_task(double(number)) for number in range(2, 10)]
    await asyncio.sleep(0)
    work.gate.set()
    assert await asyncio.gather(first, *others) == [2 * number for number in range(1, 10)]
    assert work.calls == [[1], list(range(2, 10))]


async def test_a_call_has_no_more_items_than_allowed() -> None:
    work = Work()
    work.gate.set()
    double: Coalescer[int, int] = Coalescer(work, at_most=3)
    assert await asyncio.gather(*map(double, range(10))) == [2 * number for number in range(10)]
    assert max(map(len, work.calls)) == 3
    assert await double(11) == 22


async def test_a_failure_reaches_those_of_the_call_and_nobody_else() -> None:
    work = Work()
    double: Coalescer[int, int] = Coalescer(work, at_most=50)
    work.error = OSError("away")
    first = asyncio.create_task(double(1))
    await work.begun.wait()
    work.gate.set()
    with pytest.raises(OSError, match="away"):
        await first
    work.error = None
    assert await double(2) == 4


async def test_who_stops_waiting_holds_up_nobody() -> None:
    work = Work()
    double: Coalescer[int, int] = Coalescer(work, at_most=50)
    first = asyncio.create_task(double(1))
    await work.begun.wait()
    gone, stays = asyncio.create_task(double(2)), asyncio.create_task(double(3))
    await asyncio.sleep(0)
    first.cancel()
    gone.cancel()
    await asyncio.gather(first, gone, return_exceptions=True)
    work.gate.set()
    assert await stays == 6
    assert work.calls == [[1], [3]]
