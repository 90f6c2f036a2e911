"""Many callers, few calls: what comes while a call is under way goes together in the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Coalescer(Generic[T, R]):
    """One item a caller, one result for each; at most one call of `work` at a time, with at most `at_most` items.

    `work` gives a result for each item, in order. What it raises, all callers of that call get. A caller who is
    cancelled, or stops waiting, takes nothing back: the item may have been worked on.
    """

    def __init__(self, work: Callable[[Sequence[T]], Awaitable[Sequence[R]]], at_most: int) -> None:
        self._work = work
        self._at_most = at_most
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, item: T) -> R:
        """The result of `item`. Raises what `work` raises."""
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await result

    async def _run(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = self._waiting[: self._at_most], self._waiting[self._at_most :]
                # Nobody waits for these any more, and nothing was done for them.
                taken = [(item, future) for item, future in taken if not future.done()]
                if taken:
                    await self._call(taken)
        finally:
            self._running = None

    async def _call(self, taken: Sequence[tuple[T, "asyncio.Future[R]"]]) -> None:
        try:
            results = await self._work([item for item, _ in taken])
        except Exception as error:  # noqa: BLE001 — it is raised in those who wait for it
            for _, future in taken:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in zip(taken, results, strict=True):
            if not future.done():
                future.set_result(result)
