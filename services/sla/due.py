"""The timer: takes what is due from the heaps and *sends* a `due` message; only the agent decides and writes.

Each message carries the end offsets of the keys' input partitions, read at or after the deadline, so that a reply
that waits in a topic is always seen before the deadline is judged. After an assignment nothing is sent for a partition
until the end offsets seen then are processed, or a replay would fire old timers before the old replies.
"""

import asyncio
import gc
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from common.clock import Clock
from common.errors import Unavailable
from common.events import Outgoing
from common.ids import deterministic_id
from common.publisher import Publisher
from common.words import to_timestamp, to_us
from gen.pingxi.v1.internal_pb2 import DueCame, EndOffset
from services.sla.keeper import Keeper

log = logging.getLogger(__name__)

# The longest nap: a timer that was added meanwhile is never later than this.
TICK = 0.02
MOST_AT_ONCE = 2000
REBUILD_SLICE = 2000
# Timers in one message: the offsets and the way through the broker are paid once for all of them.
TOGETHER = 20
SAY_AFTER = 5.0


class DueSender:
    """One for each worker. `guards`: partition → end offsets to pass before its timers may fire."""

    def __init__(
        self, *, keeper: Keeper[Any, Any], publisher: Publisher, clock: Clock, bootstrap: str, topic_prefix: str
    ) -> None:
        self._keeper = keeper
        self._timers = keeper.timers
        self._publisher = publisher
        self._clock = clock
        self._bootstrap = bootstrap
        self._prefix = topic_prefix
        self._offsets: AIOKafkaConsumer | None = None
        self._guards: dict[int, dict[tuple[str, int], int]] = {}
        self._assigned: set[int] = set()
        self._waiting_since = clock.monotonic()

    async def start(self) -> None:
        """Connects what reads offsets (not a member of any group)."""
        self._offsets = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False)
        await self._offsets.start()

    async def stop(self) -> None:
        """Disconnects."""
        if self._offsets is not None:
            await self._offsets.stop()

    async def end_offsets(self, partitions: Iterable[int]) -> dict[tuple[str, int], int]:
        """The end of every input partition, now. Raises Unavailable."""
        assert self._offsets is not None
        try:
            ends = await asyncio.wait_for(self._offsets.end_offsets(self._places(partitions)), 10.0)
        except (KafkaError, OSError, TimeoutError) as error:
            raise Unavailable("end offsets can't be read") from error
        return {self._place(tp): offset for tp, offset in ends.items()}

    async def ends_of_mine(self) -> dict[tuple[str, int], int]:
        """The ends of the inputs of the partitions this worker has. Raises Unavailable."""
        return await self.end_offsets(set(self._assigned)) if self._assigned else {}

    def revoked(self, partitions: set[int]) -> None:
        """These went to other workers."""
        for partition in partitions:
            self._timers.drop(partition)
            self._guards.pop(partition, None)
            self._assigned.discard(partition)

    async def assigned(self, partitions: set[int]) -> None:
        """These are ours and their tables recovered: sets the guards, then fills the heaps from the rows."""
        new = partitions - self._assigned
        self.revoked(self._assigned - partitions)
        for partition in new:
            # From here on the agent's own timers are kept; those of older rows come below.
            self._timers.open(partition)
        ends = await self._until_available(new) if new else {}
        # What retention has removed will never be processed.
        for place, start in (await self._starts(new) if new else {}).items():
            self._keeper.positions[place] = max(start, self._keeper.positions.get(place, 0))
        for partition in new:
            self._guards[partition] = {place: end for place, end in ends.items() if place[1] == partition}
            timers: list[tuple[int, bytes]] = []
            for number, (key, value) in enumerate(self._keeper.table.rows_of(partition)):
                if (due := self._keeper.due_of(key, value)) is not None:
                    timers.append((to_us(due), key))
                if number % REBUILD_SLICE == REBUILD_SLICE - 1:
                    await asyncio.sleep(0)
            self._timers.extend(partition, timers)
            self._assigned.add(partition)
        # A million timers are a million objects that live long: full collections over them would stop the worker for
        # hundreds of milliseconds, at any moment.
        gc.freeze()
        log.info("timers rebuilt", extra={"count": sum(self._timers.sizes().values())})

    async def _starts(self, partitions: Iterable[int]) -> dict[tuple[str, int], int]:
        assert self._offsets is not None
        starts = await self._offsets.beginning_offsets(self._places(partitions))
        return {self._place(tp): offset for tp, offset in starts.items()}

    def _places(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(self._prefix + topic, p) for topic in self._keeper.inputs for p in partitions]

    def _place(self, tp: TopicPartition) -> tuple[str, int]:
        return tp.topic.removeprefix(self._prefix), tp.partition

    async def _until_available(self, partitions: set[int]) -> dict[tuple[str, int], int]:
        while True:
            try:
                return await self.end_offsets(partitions)
            except Unavailable:
                await asyncio.sleep(0.5)

    def _open(self, partition: int) -> bool:
        guard = self._guards.get(partition)
        if guard and any(self._keeper.positions.get(place, 0) < end for place, end in guard.items()):
            return False
        self._guards.pop(partition, None)
        return True

    def _say_what_waits(self, steady: float) -> None:
        if not self._guards:
            self._waiting_since = steady
        elif steady - self._waiting_since > SAY_AFTER:
            self._waiting_since = steady
            for partition, guard in self._guards.items():
                behind = {place: end - self._keeper.positions.get(place, 0) for place, end in guard.items()}
                count = sum(max(0, messages) for messages in behind.values())
                log.warning(
                    "timers wait for messages before them",
                    extra={"partition": partition, "count": count, "reason": str(behind)},
                )

    async def run(self) -> None:
        """Runs until cancelled."""
        last_wall, last_steady = self._clock.now(), self._clock.monotonic()
        while True:
            wall, steady = self._clock.now(), self._clock.monotonic()
            jump = (wall - last_wall).total_seconds() - (steady - last_steady)
            if abs(jump) > 1.0:
                # Deadlines are wall time: what the new time makes due is due.
                log.warning("the clock jumped", extra={"seconds": jump})
            last_wall, last_steady = wall, steady
            self._say_what_waits(steady)
            now_us = to_us(wall)
            due = {p: self._timers.pop_due(p, now_us, MOST_AT_ONCE) for p in list(self._assigned) if self._open(p)}
            due = {p: timers for p, timers in due.items() if timers}
            if due:
                await self._send(due)
            earliest = self._timers.earliest()
            oldest = 0.0 if earliest is None else max(0.0, (now_us - earliest) / 1e6)
            self._keeper.measure_timers(self._timers.sizes(), oldest)
            await self._clock.sleep(TICK)

    async def _send(self, due: dict[int, list[tuple[int, bytes]]]) -> None:
        """Sends the timers that really are due; the others are put back at their time."""
        now = self._clock.now()
        really: list[tuple[int, int, bytes]] = []
        for partition, timers in due.items():
            for key, due_us in {key: at for at, key in timers}.items():
                value = self._keeper.table.row_in(partition, key)
                at = None if value is None else self._keeper.due_of(key, value)
                if at is None or at > now:
                    self._timers.judged(partition, key)
                if at is not None and at > now:
                    self._timers.add(partition, to_us(at), key)
                elif at is not None:
                    self._timers.sent(partition, key, to_us(at))
                    really.append((partition, due_us, key))
        if not really:
            return
        try:
            # Read after `now`: whatever was sent before the deadline is below these offsets.
            ends = await self.end_offsets({partition for partition, _, _ in really})
            messages = [
                _message(self._keeper.due, partition, keys[start : start + TOGETHER], ends, now)
                for partition, keys in _by_partition(really).items()
                for start in range(0, len(keys), TOGETHER)
            ]
            await self._publisher.publish_all(messages, timeout=10.0)
        except Unavailable as error:
            log.warning("timers wait for the broker", extra={"reason": str(error), "count": len(really)})
            for partition, due_us, key in really:
                self._timers.add(partition, due_us, key)
            await self._clock.sleep(0.2)


def _by_partition(timers: Iterable[tuple[int, int, bytes]]) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    for partition, _, key in timers:
        found.setdefault(partition, []).append(key)
    return found


def _message(
    topic: str, partition: int, keys: Sequence[bytes], ends: Mapping[tuple[str, int], int], as_of: datetime
) -> Outgoing:
    ids = [key.decode() for key in keys]
    return Outgoing(
        topic=topic,
        key="",
        id=deterministic_id("due", to_us(as_of), *ids),
        subject=ids[0],
        time=as_of,
        body=DueCame(
            as_of=to_timestamp(as_of),
            end_offsets=[EndOffset(topic=t, partition=p, offset=o) for (t, p), o in ends.items() if p == partition],
            ticket_ids=ids,
        ),
        partition=partition,
    )
