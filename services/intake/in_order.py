"""Work on a stream, several items at once, answered in the order they came."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


async def in_order(
    items: AsyncIterator[Item], work: Callable[[Item], Awaitable[Answer]], under_way: int
) -> AsyncIterator[tuple[int, Answer]]:
    """(position, answer) of each item as soon as it and all before it are done.

    No further item is read while `under_way` are. What `work` or the stream raises ends it, after the answers before.
    """
    begun: asyncio.Queue[asyncio.Task[Answer] | None] = asyncio.Queue()
    room = asyncio.Semaphore(under_way)

    async def read() -> None:
        try:
            await room.acquire()
            async for item in items:
                begun.put_nowait(asyncio.ensure_future(work(item)))
                await room.acquire()
        finally:
            begun.put_nowait(None)

    reading = asyncio.ensure_future(read())
    try:
        index = 0
        while (task := await begun.get()) is not None:
            answer = await task
            room.release()
            yield index, answer
            index += 1
        await reading
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        while not begun.empty():
            if (task := begun.get_nowait()) is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
