"""Waiting for a condition, with a deadline, instead of sleeping and hoping."""

import asyncio
from collections.abc import Awaitable, Callable

from common.clock import SystemClock

CLOCK = SystemClock()


async def eventually(
    condition: Callable[[], Awaitable[bool]], within: float = 40.0, instead: Callable[[], object] = lambda: ""
) -> None:
    """Returns when the condition holds; fails the test if it doesn't within that many seconds, telling `instead`."""
    give_up = CLOCK.monotonic() + within
    while not await condition():
        assert CLOCK.monotonic() < give_up, f"not within {within} s: {instead()}"
        await asyncio.sleep(0.02)
