"""The Faust table of rows, with what Faust doesn't offer: awaited changelog records and access by partition.

Faust finds the partition of a write in the *current event*, and lets nobody wait for the changelog record. Both are
mended here and nowhere else (Faust 0.15: `tables/base.py`, `stores/rocksdb.py`).
"""

import asyncio
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import faust
from faust import streams
from faust.types import EventT


class RowTable(faust.Table):  # type: ignore[misc]  # Faust is untyped here
    """Ticket id → row, both bytes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unacknowledged: list[Any] = []

    def send_changelog(self, *args: Any, **kwargs: Any) -> Any:
        """As Faust's, and remembers what was sent."""
        sent = super().send_changelog(*args, **kwargs)
        self._unacknowledged.append(sent)
        return sent

    async def changelog_acknowledged(self) -> None:
        """Waits until the broker has every row written so far. Raises what the send raised."""
        waiting, self._unacknowledged = self._unacknowledged, []
        if waiting:
            await asyncio.gather(*waiting)

    @contextmanager
    def during(self, event: EventT) -> Iterator[None]:
        """Reads and writes inside belong to this event's partition."""
        token = streams._current_event.set(weakref.ref(event))
        try:
            yield
        finally:
            streams._current_event.reset(token)

    def rows_of(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """Every row of a partition that is assigned to this worker."""
        store = self.data
        yield from store._visible_items(store._db_for_partition(partition))

    def row_in(self, partition: int, key: bytes) -> bytes | None:
        """One row, outside of a stream: to look, never to write."""
        value: bytes | None = self.data._db_for_partition(partition).get(key)
        return value
