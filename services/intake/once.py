"""Doing something once for each idempotency key, as far as one process can know (mechanisms.md, "Numbers, keys")."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Generic, TypeVar

from common.clock import Clock
from common.errors import Conflict
from services.intake.memory import RecentKeys

R = TypeVar("R")


class Once(Generic[R]):
    """Repeats get the first one's answer, also while that is under way. One per kind of request and process."""

    def __init__(self, clock: Clock, what: str, recent: RecentKeys[R] | None = None) -> None:
        self._clock = clock
        self._what = what
        self._recent: RecentKeys[R] = RecentKeys() if recent is None else recent
        self._under_way: dict[str, asyncio.Task[R]] = {}

    async def do(
        self, made_id: str, fingerprint: str, act: Callable[[datetime], Awaitable[R]], admit: Callable[[], None]
    ) -> R:
        """What `act(tried_at)` gives, or gave. `tried_at` is when the first try was: a repeat must say the same.

        `admit` is asked before the first try only; what it raises leaves no trace. Raises Conflict where the key was
        used with another fingerprint, and what `act` raises.
        """
        seen = self._recent.get(made_id, self._clock.monotonic())
        if seen is not None:
            if seen.fingerprint != fingerprint:
                raise Conflict(f"the idempotency key was used for another {self._what}")
            if seen.receipt is not None:
                return seen.receipt
        task = self._under_way.get(made_id)
        if task is None:
            if seen is None:
                admit()
            # A try whose fate is unknown may be in the log by now: a repeat promises the same.
            tried_at = self._clock.now() if seen is None else seen.tried_at
            self._recent.put(made_id, fingerprint, tried_at, None, self._clock.monotonic())
            task = asyncio.create_task(self._act(made_id, fingerprint, tried_at, act))
            self._under_way[made_id] = task
            task.add_done_callback(lambda done: self._finished(made_id, done))
        # A caller who goes away must not take the send, or the others who wait for it, with him.
        return await asyncio.shield(task)

    def known(self, made_id: str) -> R | None:
        """The answer that was given, where this process remembers one."""
        seen = self._recent.get(made_id, self._clock.monotonic())
        return None if seen is None else seen.receipt

    async def drain(self) -> None:
        """Waits for what is under way."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _act(
        self, made_id: str, fingerprint: str, tried_at: datetime, act: Callable[[datetime], Awaitable[R]]
    ) -> R:
        receipt = await act(tried_at)
        self._recent.put(made_id, fingerprint, tried_at, receipt, self._clock.monotonic())
        return receipt

    def _finished(self, made_id: str, task: "asyncio.Task[R]") -> None:
        self._under_way.pop(made_id, None)
        if not task.cancelled():
            # Read it: all who waited may be gone, and asyncio would warn of an error nobody saw.
            task.exception()
