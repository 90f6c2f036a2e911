"""Notices a worker that stands still, and ends it: started anew it joins its group again and goes on.

Seen in fault runs, both without a word: a broker that stood still while a worker joined left Faust's consumer waiting
for ever; after a rebalance it did not fetch one of its partitions any more, whose promises then lapsed unseen.
"""

from collections.abc import Awaitable, Callable, Mapping

from common.clock import Clock
from common.errors import Unavailable

# Far above what a group takes to let go of a dead member (8 s), to meet again and to recover its tables.
PATIENCE = 120.0
LOOK_EVERY = 5.0

# A topic and a partition, and the next offset there.
Offsets = Mapping[tuple[str, int], int]


class NeverJoined(Exception):
    """The group went on without this worker."""


class Joining:
    """Told when the worker starts to wait and when it has its partitions. Time without a broker doesn't count."""

    def __init__(self, clock: Clock, patience: float = PATIENCE) -> None:
        self._clock = clock
        self._patience = patience
        self._since: float | None = clock.monotonic()

    def begins(self) -> None:
        """Partitions were taken away: others follow, or the same again."""
        self._since = self._clock.monotonic()

    def ends(self) -> None:
        """The worker has what the group gave it, be it nothing."""
        self._since = None

    async def watch(self, broker_answers: Callable[[], Awaitable[object]]) -> None:
        """Until cancelled. `broker_answers` raises Unavailable where it doesn't. Raises NeverJoined."""
        while True:
            await self._clock.sleep(LOOK_EVERY)
            if self._since is None:
                continue
            try:
                await broker_answers()
            except Unavailable:
                self._since = self._clock.monotonic()
                continue
            if self._since is not None and self._clock.monotonic() - self._since > self._patience:
                raise NeverJoined(f"no partitions for {self._patience:.0f} s, though the broker answers")


class StandsStill(Exception):
    """Messages wait in a partition, and nobody takes them."""


class Progress:
    """Watches that every partition with messages moves on. Time without a broker doesn't count."""

    def __init__(self, clock: Clock, patience: float = PATIENCE) -> None:
        self._clock = clock
        self._patience = patience

    async def watch(self, ends: Callable[[], Awaitable[Offsets]], positions: Offsets) -> None:
        """Until cancelled. `ends` are those of this worker's partitions, and raises Unavailable; `positions` change
        meanwhile. Raises StandsStill.
        """
        since: dict[tuple[str, int], tuple[int, float]] = {}
        while True:
            await self._clock.sleep(LOOK_EVERY)
            try:
                found = await ends()
            except Unavailable:
                since = {}
                continue
            now = self._clock.monotonic()
            waiting = {place: at for place, end in found.items() if (at := positions.get(place, 0)) < end}
            since = {
                place: since[place] if place in since and since[place][0] == at else (at, now)
                for place, at in waiting.items()
            }
            for (topic, partition), (at, began) in since.items():
                if now - began > self._patience:
                    raise StandsStill(f"{topic}/{partition} stands at {at} for {self._patience:.0f} s")
