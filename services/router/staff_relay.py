"""From the database to staff.v1, as the relay of the tickets: stored first, published, then cleared.

The topic is compacted: only the newest version of a record matters, and readers pass over older ones.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Protocol

from common.clock import Clock
from common.errors import Unavailable
from common.events import Outgoing
from common.ids import deterministic_id
from rules.staff import Record
from services.router.relay import Log
from wire.staff import STAFF, record_to_proto

log = logging.getLogger(__name__)
_CHUNK = 200
_SWEEP_SECONDS = 1.0


class Unpublished(Protocol):
    """The rows the relay works on; every call raises Unavailable."""

    async def unpublished(self, limit: int) -> list[Record]:
        """Records whose present version isn't known to be on staff.v1."""
        ...

    async def published(self, record: Record) -> None:
        """This version is."""
        ...


class StaffRelay:
    """Publishes what was stored; a crash in between repeats it with the same id."""

    def __init__(self, rows: Unpublished, publisher: Log, clock: Clock) -> None:
        self._rows = rows
        self._log = publisher
        self._clock = clock
        self._alarm = asyncio.Event()

    def wake(self) -> None:
        """Has `run` look at once."""
        self._alarm.set()

    async def deliver(self) -> None:
        """Publishes and clears everything that waits. Raises Unavailable."""
        more = True
        while more:
            records = await self._rows.unpublished(_CHUNK)
            await self._log.publish_all([self._message(record) for record in records])
            for record in records:
                await self._rows.published(record)
            more = len(records) == _CHUNK

    async def run(self) -> None:
        """Delivers at the start, when woken, and every second."""
        while True:
            self._alarm.clear()
            try:
                await self.deliver()
            except Unavailable as error:
                log.warning("staff waits to be published", extra={"reason": str(error)})
                await asyncio.sleep(_SWEEP_SECONDS)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._alarm.wait(), _SWEEP_SECONDS)

    def _message(self, record: Record) -> Outgoing:
        return Outgoing(
            topic=STAFF,
            key=record.key,
            id=deterministic_id("staff", record.key, record.version),
            subject=record.key,
            time=self._clock.now(),
            body=record_to_proto(record),
        )
