"""The watchdog as a Faust agent: the only writer of its table.

For each chunk of events: decide all → publish all effects and await them → write the rows → await their changelog
records → acknowledge. A crash in between repeats the chunk: the effects have the same ids, the rows the same versions.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import faust
from faust.types import EventT
from google.protobuf.message import Message as Proto

from common import metrics
from common.clock import Clock
from common.dead_letters import DeadLetters
from common.errors import PingxiError, Poison, Unavailable
from common.publisher import Publisher
from common.words import to_us
from gen.pingxi.v1.internal_pb2 import DueCame
from services.sla import model as m
from services.sla.judge import due_of, judge, read
from services.sla.outgoing import outgoing
from services.sla.policies import CalendarBook
from services.sla.rows import row_from_bytes, row_to_bytes
from services.sla.table import RowTable
from services.sla.timers import Timers
from services.sla.watchdog import Outcome, next_due, tick
from services.sla.wire import CalendarUnknown

log = logging.getLogger(__name__)

COMPLAINTS, TICKETS, DUE, COMMANDS = "complaints.v1", "tickets.v1", "sla-due", "sla-commands"
INPUTS = (COMPLAINTS, TICKETS, COMMANDS)
# Big enough to amortise the waits for the broker, small enough to repeat after a crash.
CHUNK = 50
# How soon a timer looks again that found its inputs behind.
LOOK_AGAIN = timedelta(milliseconds=50)
# So many unexpected failures in a row are a fault of ours: better to stop than to bury every message.
GIVE_UP_AFTER = 20


@dataclass
class Chunk:
    """Decisions of some events that aren't carried out yet."""

    rows: dict[bytes, m.Row] = field(default_factory=dict)
    writers: dict[bytes, EventT] = field(default_factory=dict)
    effects: list[m.Effect] = field(default_factory=list)
    look_again: list[tuple[int, int, bytes]] = field(default_factory=list)


class Watchdog:
    """Handles the events of the partitions this worker has. `positions` are the next offsets, for `due`."""

    def __init__(
        self,
        *,
        table: RowTable,
        timers: Timers,
        publisher: Publisher,
        calendars: CalendarBook,
        clock: Clock,
        topic_prefix: str,
        fail: Callable[[BaseException], None],
    ) -> None:
        self.table = table
        self.timers = timers
        self.positions: dict[tuple[str, int], int] = {}
        self._publisher = publisher
        self._dead_letters = DeadLetters(publisher, "sla")
        self.calendars = calendars
        self._clock = clock
        self._prefix = topic_prefix
        self._fail = fail
        self._failures = 0

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
        chunk = Chunk()
        for event in events:
            await self._decide(event, chunk)
        await self._publish(chunk.effects)
        for key, row in chunk.rows.items():
            with self.table.during(chunk.writers[key]):
                self.table[key] = row_to_bytes(row)
        await self.table.changelog_acknowledged()
        for key, row in chunk.rows.items():
            if (due := next_due(row)) is not None:
                self.timers.add(chunk.writers[key].message.partition, to_us(due), key)
        for partition, due_us, key in chunk.look_again:
            self.timers.add(partition, due_us, key)
        _measure(chunk.effects)

    async def _decide(self, event: EventT, chunk: Chunk) -> None:
        message = event.message
        topic = message.topic.removeprefix(self._prefix)
        headers = list(message.headers.items() if isinstance(message.headers, dict) else message.headers or ())
        key: bytes = message.key or b""
        try:
            body = read(topic, message.partition, message.offset, key, message.value, headers)
            if body is not None:
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

    async def _judge(self, event: EventT, key: bytes, body: Proto, chunk: Chunk) -> None:
        if isinstance(body, DueCame):
            self._judge_due(event, body, chunk)
            return
        try:
            row = chunk.rows.get(key) or self._read_row(event, key)
            outcome = judge(row, body, self.calendars, self._clock.now())
        except CalendarUnknown as unknown:
            # The router publishes a policy before the first event that uses it, but on another topic.
            if not await self.calendars.learn(unknown.calendar_hash):
                raise Poison("unknown_calendar", unknown.calendar_hash) from unknown
            await self._judge(event, key, body, chunk)
            return
        self._take(event, key, row, outcome, chunk)

    def _judge_due(self, event: EventT, body: DueCame, chunk: Chunk) -> None:
        tickets, as_of, passed = due_of(body, self.positions)
        now = self._clock.now()
        for key in (ticket.encode() for ticket in tickets):
            if not passed:
                chunk.look_again.append((event.message.partition, to_us(now + LOOK_AGAIN), key))
                continue
            row = chunk.rows.get(key) or self._read_row(event, key)
            if row is None:
                continue
            outcome = tick(row, as_of, now)
            if outcome.row == row and (due := next_due(row)) is not None:
                # The timer was used up without a change: the next one is set again.
                chunk.look_again.append((event.message.partition, to_us(due), key))
            self._take(event, key, row, outcome, chunk)

    def _take(self, event: EventT, key: bytes, row: m.Row | None, outcome: Outcome, chunk: Chunk) -> None:
        if outcome.row is not None and outcome.row != row:
            chunk.rows[key] = outcome.row
            chunk.writers[key] = event
        chunk.effects += outcome.effects

    def _read_row(self, event: EventT, key: bytes) -> m.Row | None:
        with self.table.during(event):
            value = self.table.get(key)
        return None if value is None else row_from_bytes(key.decode(), value, self.calendars)

    async def _publish(self, effects: list[m.Effect]) -> None:
        """Tries until the broker has them all; repeats carry the same ids."""
        messages = [outgoing(effect) for effect in effects]
        delay = 0.1
        while messages:
            try:
                await self._publisher.publish_all(messages, timeout=15.0)
                return
            except Unavailable as error:
                log.warning("waiting for the broker", extra={"reason": str(error), "count": len(messages)})
                await asyncio.sleep(delay)
                delay = min(delay * 2, 2.0)


def _measure(effects: list[m.Effect]) -> None:
    for effect in effects:
        match effect:
            case m.Breached():
                metrics.sla_breaches.labels(effect.clock.metric.value, effect.row.priority.value).inc()
                lateness = effect.breach.detected_at - effect.breach.breached_at
                metrics.sla_breach_lateness_seconds.observe(max(0.0, lateness.total_seconds()))
            case m.AtRisk():
                metrics.sla_at_risk.inc()
            case m.Escalated():
                metrics.escalations.labels(str(effect.breach.level)).inc()
            case _:
                pass


def build_app(
    *, app_id: str, broker: str, partitions: int, data: str, topic_prefix: str, standby: int
) -> tuple[faust.App, RowTable, Any]:
    """The Faust application, its table and the agent's input. Settings follow `pitfalls.md`, "Faust"."""
    Path(data).mkdir(parents=True, exist_ok=True)
    app = faust.App(
        app_id,
        broker=f"aiokafka://{broker}",
        datadir=data,
        store="rocksdb://",
        topic_partitions=partitions,
        topic_replication_factor=1,
        topic_disable_leader=True,
        table_standby_replicas=standby,
        web_enabled=False,
        autodiscover=False,
        broker_session_timeout=8.0,
        broker_heartbeat_interval=2.0,
        broker_commit_interval=1.0,
        broker_max_poll_records=1000,
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        producer_linger=0.002,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        logging_config={"version": 1, "disable_existing_loggers": False},
    )
    table = RowTable(
        app,
        name="clocks",
        key_type=bytes,
        value_type=bytes,
        partitions=partitions,
        options={"driver": "rocksdict"},
        help="What the watchdog keeps of each ticket.",
    )
    app.tables.add(table)
    topics = app.topic(
        *(topic_prefix + t for t in (COMPLAINTS, TICKETS, DUE, COMMANDS)),
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
    )
    return app, table, topics
