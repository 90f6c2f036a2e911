"""Notices a worker that waits for its partitions and never gets them, and ends it: started anew it joins again.

Seen in fault runs: a broker that stood still while a worker joined the group left Faust's consumer waiting for ever,
without a word, and every promise with it.
"""

import logging
from collections.abc import Awaitable, Callable

from common.clock import Clock
from common.errors import Unavailable

log = logging.getLogger(__name__)

# Far above what a group takes to let go of a dead member (8 s), to meet again and to recover its tables.
PATIENCE = 120.0
LOOK_EVERY = 5.0


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
