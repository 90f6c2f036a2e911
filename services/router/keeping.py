"""What is kept for how long: pictures that no ticket uses go after a day (services/router/store_uploads.py)."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from common.clock import Clock
from common.errors import Unavailable
from services.router.ports import Pictures

log = logging.getLogger(__name__)

_EVERY_SECONDS = 600.0


class Keeping:
    """`run` looks every ten minutes; `look` is one look.

    `caught_up` says whether all complaints that came in have been read: one that waits in the log may use a picture.
    """

    def __init__(self, pictures: Pictures, clock: Clock, unused_for: timedelta, caught_up: Callable[[], bool]) -> None:
        self._pictures = pictures
        self._clock = clock
        self._unused_for = unused_for
        self._caught_up = caught_up

    async def run(self) -> None:
        """Until cancelled; a database that is away is waited for."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                log.warning("unused pictures stay", extra={"reason": str(error)})
            await asyncio.sleep(_EVERY_SECONDS)

    async def look(self) -> int:
        """How many went. Raises Unavailable."""
        gone = 0
        while self._caught_up():
            found = await self._pictures.sweep(self._clock.now() - self._unused_for)
            gone += found
            if not found:
                break
        if gone:
            log.info("unused pictures deleted", extra={"count": gone})
        return gone
