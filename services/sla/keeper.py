"""A Faust agent that keeps one row a key and what is due: the only writer of its table.

For each chunk of events: decide all → publish all effects and await them → write the rows → await their changelog
records → acknowledge. A crash in between repeats the chunk: the effects have the same ids, the rows the same versions.
But what comes twice may come in another order: a timer's message after a change that reached its own topic meanwhile.
What a timer finds is therefore on record, with the messages that tell it, before it is published: whoever goes on
knows of it, publishes it again, and takes it back where the change proves it wrong.
What it keeps, and what follows from a message, its subclasses say.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, TypeVar

from faust.types import EventT
from google.protobuf.message import Message as Proto

from common.clock import Clock
from common.dead_letters import DeadLetters
from common.errors import PingxiError, Unavailable
from common.events import Headers, Outgoing
from common.publisher import Publisher
from common.words import to_us
from gen.pingxi.v1.internal_pb2 import DueCame
from services.sla.judge import due_of
from services.sla.table import RowTable
from services.sla.timers import Timers
from services.sla.unpublished import unpublished_of, with_unpublished

log = logging.getLogger(__name__)

# Big enough to amortise the waits for the broker, small enough to repeat after a crash.
CHUNK = 50
# How soon a timer looks again that found its inputs behind.
LOOK_AGAIN = timedelta(milliseconds=50)
# So many unexpected failures in a row are a fault of ours: better to stop than to bury every message.
GIVE_UP_AFTER = 20

R = TypeVar("R")
E = TypeVar("E")


@dataclass
class Chunk(Generic[R, E]):
    """Decisions of some events that aren't carried out yet. A row that is None is to be forgotten.

    `left`: messages an earlier life may not have published. `first`: rows, with all that goes out until then, that are
    on record before.
    """

    rows: dict[bytes, R | None] = field(default_factory=dict)
    writers: dict[bytes, EventT] = field(default_factory=dict)
    effects: list[E] = field(default_factory=list)
    effects_of: dict[bytes, list[E]] = field(default_factory=dict)
    left: dict[bytes, list[Outgoing]] = field(default_factory=dict)
    first: dict[bytes, tuple[R, list[Outgoing]]] = field(default_factory=dict)
    look_again: list[tuple[int, int, bytes]] = field(default_factory=list)
    judged: list[tuple[int, bytes]] = field(default_factory=list)


class Keeper(ABC, Generic[R, E]):
    """Handles the events of the partitions this worker has. `positions` are the next offsets, for `due`.

    `inputs` are the topics whose messages a deadline must not overtake, `due` the topic of its own timers.
    """

    inputs: ClassVar[tuple[str, ...]]
    due: ClassVar[str]

    def __init__(
        self,
        *,
        table: RowTable,
        timers: Timers,
        publisher: Publisher,
        clock: Clock,
        topic_prefix: str,
        fail: Callable[[BaseException], None],
    ) -> None:
        self.table = table
        self.timers = timers
        self.positions: dict[tuple[str, int], int] = {}
        self._publisher = publisher
        self._dead_letters = DeadLetters(publisher, "sla")
        self._clock = clock
        self._prefix = topic_prefix
        self._fail = fail
        self._failures = 0

    @abstractmethod
    def read(
        self, topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> Proto | None:
        """The message; None for a type there is no use for. Raises Poison."""

    @abstractmethod
    def judge(self, row: R | None, body: Proto) -> tuple[R | None, Sequence[E]]:
        """The row to keep (None: none) and the effects to publish before it. Raises PingxiError."""

    @abstractmethod
    def tick(self, row: R, as_of: datetime, now: datetime) -> tuple[R | None, Sequence[E]]:
        """What is due at `as_of`; a row that is None is forgotten."""

    @abstractmethod
    def next_due(self, row: R) -> datetime | None:
        """When to look again; None: only when something happens. After a `tick` it is later than its `as_of`."""

    @abstractmethod
    def from_bytes(self, key: bytes, value: bytes) -> R:
        """The table's value to a row."""

    @abstractmethod
    def to_bytes(self, row: R) -> bytes:
        """A row to the table's value."""

    @abstractmethod
    def outgoing(self, effect: E) -> Outgoing:
        """The effect as the message it is published as; its id follows from what it is about."""

    def on_record_first(self, effects: Sequence[E]) -> bool:
        """Whether what a timer found could be proved wrong by what comes later."""
        return False

    async def learn(self, error: Exception) -> bool:
        """Whether what a message lacked is known now: then it is judged again. Raises Poison where it never will be."""
        return False

    def measure(self, effects: Sequence[E]) -> None:
        """Counts what was published."""

    def measure_timers(self, sizes: Mapping[int, int], oldest: float) -> None:
        """Says how many timers wait, by partition, and by how many seconds the oldest is late."""

    def due_of(self, key: bytes, value: bytes) -> datetime | None:
        """When a stored row is due."""
        return self.next_due(self.from_bytes(key, value))

    async def run(self, stream: Any) -> None:
        """The agent's body. Never lets an exception out: Faust would acknowledge the event (faust #527)."""
        queue = stream.channel.queue
        events: list[EventT] = []
        try:
            async for event in stream.noack().events():
                events.append(event)
                # Chunks grow with the load by themselves; nothing waits while the stream is idle.
                if len(events) < CHUNK and not queue.empty():
                    continue
                await self._process(events)
                for done in events:
                    await stream.ack(done)
                events = []
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  whatever it is, the process has to end before the event is lost
            self._fail(error)
            await asyncio.Event().wait()

    async def _process(self, events: list[EventT]) -> None:
        chunk: Chunk[R, E] = Chunk()
        for event in events:
            await self._decide(event, chunk)
        for key, (found, messages) in chunk.first.items():
            with self.table.during(chunk.writers[key]):
                self.table[key] = with_unpublished(self.to_bytes(found), messages)
        await self.table.changelog_acknowledged()
        left = [message for messages in chunk.left.values() for message in messages]
        await self._publish([*left, *map(self.outgoing, chunk.effects)])
        for key, row in chunk.rows.items():
            with self.table.during(chunk.writers[key]):
                if row is not None:
                    self.table[key] = self.to_bytes(row)
                elif self.table.get(key) is not None:
                    del self.table[key]
        await self.table.changelog_acknowledged()
        for key, row in chunk.rows.items():
            if row is not None and (due := self.next_due(row)) is not None:
                self.timers.add(chunk.writers[key].message.partition, to_us(due), key)
        for partition, key in chunk.judged:
            self.timers.judged(partition, key)
        for partition, due_us, key in chunk.look_again:
            self.timers.add(partition, due_us, key)
        self.measure(chunk.effects)

    async def _decide(self, event: EventT, chunk: Chunk[R, E]) -> None:
        message = event.message
        topic = message.topic.removeprefix(self._prefix)
        headers = list(message.headers.items() if isinstance(message.headers, dict) else message.headers or ())
        key: bytes = message.key or b""
        try:
            body = self.read(topic, message.partition, message.offset, key, message.value, headers)
            if isinstance(body, DueCame):
                self._judge_due(event, body, chunk)
            elif body is not None:
                await self._judge(event, key, body, chunk)
            self._failures = 0
        except Exception as error:
            if not isinstance(error, PingxiError):
                self._failures += 1
                log.exception("unexpected failure", extra={"topic": topic, "offset": message.offset})
                if self._failures >= GIVE_UP_AFTER:
                    raise
            await self._dead_letters.bury(
                error,
                topic=message.topic,
                partition=message.partition,
                offset=message.offset,
                key=message.key,
                value=message.value,
                headers=headers,
            )
        self.positions[topic, message.partition] = message.offset + 1

    async def _judge(self, event: EventT, key: bytes, body: Proto, chunk: Chunk[R, E]) -> None:
        try:
            row = self._row(event, key, chunk)
            after, effects = self.judge(row, body)
        except Exception as error:
            if not await self.learn(error):
                raise
            await self._judge(event, key, body, chunk)
            return
        self._take(event, key, row, after, effects, chunk)

    def _judge_due(self, event: EventT, body: DueCame, chunk: Chunk[R, E]) -> None:
        ids, as_of, passed = due_of(body, self.positions)
        now = self._clock.now()
        for key in (each.encode() for each in ids):
            if not passed:
                chunk.look_again.append((event.message.partition, to_us(now + LOOK_AGAIN), key))
                continue
            chunk.judged.append((event.message.partition, key))
            row = self._row(event, key, chunk)
            if row is None:
                continue
            after, effects = self.tick(row, as_of, now)
            if after == row and (due := self.next_due(row)) is not None:
                # The timer was used up without a change: the next one is set again.
                chunk.look_again.append((event.message.partition, to_us(due), key))
            self._take(event, key, row, after, effects, chunk)
            if after is not None and self.on_record_first(effects):
                messages = [*chunk.left.get(key, ()), *map(self.outgoing, chunk.effects_of[key])]
                chunk.first[key] = (after, messages)

    def _take(
        self, event: EventT, key: bytes, row: R | None, after: R | None, effects: Sequence[E], chunk: Chunk[R, E]
    ) -> None:
        if after != row:
            chunk.rows[key] = after
            chunk.writers[key] = event
        chunk.effects += effects
        chunk.effects_of.setdefault(key, []).extend(effects)

    def _row(self, event: EventT, key: bytes, chunk: Chunk[R, E]) -> R | None:
        if key in chunk.rows:
            return chunk.rows[key]
        with self.table.during(event):
            value = self.table.get(key)
        if value is None:
            return None
        row = self.from_bytes(key, value)
        if left := unpublished_of(value):
            chunk.left[key] = left
            chunk.rows[key] = row
            chunk.writers[key] = event
        return row

    async def _publish(self, messages: Sequence[Outgoing]) -> None:
        """Tries until the broker has them all; repeats carry the same ids."""
        delay = 0.1
        while messages:
            try:
                await self._publisher.publish_all(messages, timeout=15.0)
                return
            except Unavailable as error:
                log.warning("waiting for the broker", extra={"reason": str(error), "count": len(messages)})
                await asyncio.sleep(delay)
                delay = min(delay * 2, 2.0)
