"""Batches taken by key."""

from collections.abc import Awaitable, Callable, Sequence

from common.events import Incoming
from common.gather import gather_bounded

# Messages under way at once.
AT_ONCE = 16


async def in_order_of_keys(messages: Sequence[Incoming], take: Callable[[Incoming], Awaitable[None]]) -> None:
    """Keys side by side, the messages of each one after the other. The first failure is raised."""
    by_key: dict[str, list[Incoming]] = {}
    for message in messages:
        by_key.setdefault(message.key, []).append(message)

    async def one(own: Sequence[Incoming]) -> None:
        for message in own:
            await take(message)

    await gather_bounded(AT_ONCE, [one(own) for own in by_key.values()])
