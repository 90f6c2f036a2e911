"""The watchdog as a Faust agent: what it keeps of a ticket, and what follows from each message (see `keeper.py`)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import faust
from google.protobuf.message import Message as Proto

from common import metrics
from common.errors import Poison
from common.events import Headers, Outgoing
from services.sla import model as m
from services.sla.judge import judge, read
from services.sla.keeper import Keeper
from services.sla.outgoing import outgoing
from services.sla.policies import CalendarBook
from services.sla.rows import row_from_bytes, row_to_bytes
from services.sla.table import RowTable
from services.sla.watchdog import next_due, tick
from services.sla.wire import CalendarUnknown

COMPLAINTS, TICKETS, DUE, COMMANDS = "complaints.v1", "tickets.v1", "sla-due", "sla-commands"
INPUTS = (COMPLAINTS, TICKETS, COMMANDS)


class Watchdog(Keeper[m.Row, m.Effect]):
    """Keeps the clocks of each ticket."""

    inputs = INPUTS
    due = DUE

    def __init__(self, *, calendars: CalendarBook, **given: Any) -> None:
        super().__init__(**given)
        self.calendars = calendars

    def read(
        self, topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> Proto | None:
        """See `judge.read`."""
        return read(topic, partition, offset, key, value, headers)

    def judge(self, row: m.Row | None, body: Proto) -> tuple[m.Row | None, Sequence[m.Effect]]:
        """See `judge.judge`."""
        outcome = judge(row, body, self.calendars, self._clock.now())
        # What is known of a ticket stays.
        return outcome.row or row, outcome.effects

    async def learn(self, error: Exception) -> bool:
        """The router publishes a policy before the first event that uses it, but on another topic."""
        if not isinstance(error, CalendarUnknown):
            return False
        if not await self.calendars.learn(error.calendar_hash):
            raise Poison("unknown_calendar", error.calendar_hash) from error
        return True

    def tick(self, row: m.Row, as_of: datetime, now: datetime) -> tuple[m.Row | None, Sequence[m.Effect]]:
        """See `watchdog.tick`."""
        outcome = tick(row, as_of, now)
        return outcome.row or row, outcome.effects

    def on_record_first(self, effects: Sequence[m.Effect]) -> bool:
        """A reply from before the deadline may still be on its way: then the breach is retracted."""
        return any(isinstance(effect, m.Breached) for effect in effects)

    def next_due(self, row: m.Row) -> datetime | None:
        """See `watchdog.next_due`."""
        return next_due(row)

    def from_bytes(self, key: bytes, value: bytes) -> m.Row:
        """See `rows.py`."""
        return row_from_bytes(key.decode(), value, self.calendars)

    def to_bytes(self, row: m.Row) -> bytes:
        """See `rows.py`."""
        return row_to_bytes(row)

    def outgoing(self, effect: m.Effect) -> Outgoing:
        """See `outgoing.py`."""
        return outgoing(effect)

    def measure(self, effects: Sequence[m.Effect]) -> None:
        """Breaches, warnings and escalations."""
        _measure(effects)

    def measure_timers(self, sizes: Mapping[int, int], oldest: float) -> None:
        """Armed timers by partition, and the watchdog's own watchdog."""
        for partition, size in sizes.items():
            metrics.sla_armed_timers.labels(str(partition)).set(size)
        metrics.sla_oldest_due_seconds.set(oldest)


def _measure(effects: Sequence[m.Effect]) -> None:
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
