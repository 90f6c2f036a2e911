"""Where Faust 0.15 is mended, and nowhere else: its table, and the offsets it goes on from after a rebalance.

- It finds the partition of a write in the *current event*, and lets nobody wait for the changelog record
  (`tables/base.py`, `stores/rocksdb.py`).
- A changelog it has just made has no partitions in the metadata of the consumer, on a busy machine for a while, and it
  takes that for a mismatch (`tables/base.py: _verify_source_topic_partitions`): the first event ended the worker.
- After a rebalance it drops what was fetched meanwhile and seeks to the committed offsets, but a partition that has
  none stays where the dropped messages ended: they are lost (`aiokafka: seek_to_committed`, seen when a worker was
  killed in its first second).
- It seeks there as well before the tables are recovered, where it was fetching when the rebalance came
  (`transport/consumer.py: getmany`): what was filled from the tables then stayed without the rows that came after.
"""

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import faust
from faust import streams
from faust.types import TP, EventT


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

    def _verify_source_topic_partitions(self, source_topic: str) -> None:
        if self.app.consumer.topic_partitions(self.changelog_topic_name):
            super()._verify_source_topic_partitions(source_topic)

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


def rewind_after_recovery(app: faust.App, positioned: Callable[[Mapping[TP, int]], Awaitable[None]]) -> None:
    """Makes every assigned partition go on from its committed offset, or from its beginning where it has none.

    `positioned` is awaited with the offset each partition goes on from, after each recovery and before the stream does.
    """
    consumer = app.consumer
    seek_to_committed, recovery_completed = consumer.perform_seek, app.tables.recovery.on_recovery_completed
    # The generation of the group whose tables are recovered and whose stream hasn't gone on yet.
    completing: int | None = None

    async def on_recovery_completed(generation_id: int = 0) -> None:
        nonlocal completing
        completing = generation_id
        try:
            await recovery_completed(generation_id)
        finally:
            completing = None

    async def perform_seek() -> None:
        await seek_to_committed()
        starts: dict[TP, int] = {}
        tables = {table.changelog_topic_name for table in app.tables.values()}
        for tp in consumer.assignment():
            if tp.topic in tables:
                continue
            committed = consumer._read_offset.get(tp)
            if not committed:
                await consumer.seek(tp, 0)
            starts[tp] = committed or 0
        if completing is not None and completing == app.consumer_generation_id:
            await positioned(starts)

    app.tables.recovery.on_recovery_completed = on_recovery_completed
    consumer.perform_seek = perform_seek
