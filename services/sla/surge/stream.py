"""The surge detector as a Faust agent: the only writer of the table `surges`, key brand.

For each chunk: decide → publish the effects and await them. Rows are written and events acknowledged together, about
once a second: until then a crash repeats them, with the same effects and ids. The order is always effects, journal,
rows, acknowledgement (rows.py says why a journal).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import faust
from faust.types import TP, EventT

from common import metrics
from common.clock import Clock
from common.dead_letters import DeadLetters
from common.errors import PingxiError, Poison, Unavailable
from common.events import Decoder, Outgoing
from common.publisher import Publisher
from common.words import to_us
from gen.pingxi.v1.internal_pb2 import SlaCommand, SurgeCounts
from rules.model import PolicySet
from services.sla.surge.counter import COUNTS, message_of
from services.sla.surge.detector import Brand, close, take
from services.sla.surge.model import Counts, Dimension, Effect, OrderAffected
from services.sla.surge.rows import changed_rows, everything_changed, journal, restore, whole
from services.sla.surge.rules import Rules, compile_rules
from services.sla.surge.wire import counts_from_proto, outgoing
from services.sla.table import RowTable

log = logging.getLogger(__name__)

COMMANDS = "sla-commands"
CHUNK = 100
WRITE_EVERY = 1.0
TICK = 0.5
# So many complaints are judged before others (the watchdog's timers) get their turn.
SLICE = 500
GIVE_UP_AFTER = 20
# A replay of old history finds old incidents; nobody is paid for them (claims: compensation.md, 48 h).
TOO_OLD_TO_PAY_US = 24 * 3_600_000_000


@dataclass
class Held:
    """A brand whose partition this worker has. `number`: of its last writing."""

    brand: Brand
    rules: Rules
    policy: PolicySet
    number: int
    partition: int
    last: EventT


class SurgeDetector:
    """Handles the events of the partitions this worker has."""

    def __init__(
        self,
        *,
        table: RowTable,
        publisher: Publisher,
        policies: Mapping[str, PolicySet],
        clock: Clock,
        topic_prefix: str,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._table = table
        self._publisher = publisher
        self._policies = policies
        self._clock = clock
        self._prefix = topic_prefix
        self._fail = fail
        self._dead_letters = DeadLetters(publisher, "sla")
        self._decoder = Decoder((SurgeCounts, SlaCommand))
        self._held: dict[str, Held] = {}
        self._unacknowledged: list[EventT] = []
        self._written = clock.monotonic()
        self._failures = 0

    async def run(self, stream: Any) -> None:
        """The agent's body. Never lets an exception out: Faust would acknowledge the event (faust #527)."""
        queue = stream.channel.queue
        events: list[EventT] = []
        try:
            async for event in stream.noack().events():
                events.append(event)
                if len(events) < CHUNK and not queue.empty():
                    continue
                await self._process(events)
                self._unacknowledged += events
                events = []
                # Without a brand there is nothing to write, and no tick that would come back to it.
                if not self._held or self._clock.monotonic() - self._written >= WRITE_EVERY:
                    await self._write(stream)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  whatever it is, the process has to end before the event is lost
            self._fail(error)
            await asyncio.Event().wait()

    def revoked(self, partitions: set[TP]) -> None:
        """These went away, perhaps to come back: what wasn't written is read again, and repeats the same effects."""
        gone = {tp.partition for tp in partitions if tp.topic.removeprefix(self._prefix) == COUNTS}
        self._held = {name: held for name, held in self._held.items() if held.partition not in gone}
        self._unacknowledged = [e for e in self._unacknowledged if e.message.partition not in gone]
        self._measure()

    async def tick(self) -> None:
        """Tells the brands that time passes, until cancelled: what is over has to end without any complaint.

        A tick goes through the topic like everything else, behind what was counted before it.
        """
        while True:
            await self._clock.sleep(TICK)
            now_us = to_us(self._clock.now())
            waiting = bool(self._unacknowledged)
            ticks = [
                message_of(Counts(name, "", as_of_us=now_us), now_us)
                for name, held in self._held.items()
                if waiting or held.brand.incidents
            ]
            try:
                await self._publisher.publish_all(ticks)
            except Unavailable as error:
                log.warning("ticks wait for the broker", extra={"reason": str(error)})

    async def _process(self, events: list[EventT]) -> None:
        effects: list[tuple[Effect, str]] = []
        for event in events:
            effects += await self._decide(event)
        await self._publish(effects)
        self._measure()

    async def _decide(self, event: EventT) -> list[tuple[Effect, str]]:
        message = event.message
        topic = message.topic.removeprefix(self._prefix)
        headers = list(message.headers.items() if isinstance(message.headers, dict) else message.headers or ())
        try:
            found = self._decoder.decode(topic, message.partition, message.offset, message.key, message.value, headers)
            self._failures = 0
            if found is None:
                return []
            if isinstance(found.body, SlaCommand):
                return self._command(event, found.body, found.key)
            if isinstance(found.body, SurgeCounts):
                return await self._count(event, found.body, found.key)
            return []
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
            return []

    async def _count(self, event: EventT, body: SurgeCounts, key: str) -> list[tuple[Effect, str]]:
        counts = counts_from_proto(body, key)
        held = self._hold(event, counts.brand)
        effects: list[Effect] = []
        for start in range(0, max(1, len(counts.complaints)), SLICE):
            part = Counts(
                counts.brand,
                counts.source,
                counts.complaints[start : start + SLICE],
                counts.orders if start == 0 else (),
                counts.as_of_us if start + SLICE >= len(counts.complaints) else 0,
            )
            effects += take(held.brand, part, held.rules)
            await asyncio.sleep(0)
        return [(effect, held.policy.hash) for effect in effects]

    def _command(self, event: EventT, body: SlaCommand, key: str) -> list[tuple[Effect, str]]:
        if body.WhichOneof("command") != "close_incident":
            return []
        if key not in self._policies:
            raise Poison("unknown_brand", key[:40])
        held = self._hold(event, key)
        at_us = max(held.brand.counted.now_us, body.at.ToMicroseconds())
        command = body.close_incident
        why = f"closed by {body.actor.id}: {command.reason}" if command.reason else f"closed by {body.actor.id}"
        closed = close(held.brand, command.incident_id, why, at_us, held.rules)
        return [(effect, held.policy.hash) for effect in closed]

    def _hold(self, event: EventT, name: str) -> Held:
        """The brand's state: in memory, else from its rows; read again where its policy has changed."""
        policy = self._policies.get(name)
        if policy is None:
            raise Poison("unknown_brand", name[:40])
        held = self._held.get(name)
        if held is None:
            rules = compile_rules(policy.surge, policy.brand.time_zone)
            rows, number = whole(name, self._table.rows_of(event.message.partition))
            held = Held(restore(name, rows, rules), rules, policy, number, event.message.partition, event)
            self._held[name] = held
        elif held.policy.surge != policy.surge:
            rules = compile_rules(policy.surge, policy.brand.time_zone)
            rows = {key: value for key, value in self._all_rows(held).items() if value is not None}
            held.brand, held.rules, held.policy = restore(name, rows, rules), rules, policy
            everything_changed(held.brand)
        held.last = event
        return held

    def _all_rows(self, held: Held) -> dict[bytes, bytes | None]:
        """The state as it is now: what is stored, with what has changed since."""
        rows, _ = whole(held.brand.name, self._table.rows_of(held.partition))
        return {**rows, **changed_rows(held.brand, held.rules)}

    async def _write(self, stream: Any) -> None:
        for name, held in list(self._held.items()):
            rows = changed_rows(held.brand, held.rules)
            held.number += 1
            with self._table.during(held.last):
                for key, value in journal(name, held.number, rows).items():
                    self._table[key] = value
            await self._table.changelog_acknowledged()
            if self._held.get(name) is not held:
                # Its partition went away meanwhile; whoever has it now reads the journal.
                continue
            with self._table.during(held.last):
                for key, content in rows.items():
                    if content is not None:
                        self._table[key] = content
                    elif self._table.get(key) is not None:
                        del self._table[key]
        await self._table.changelog_acknowledged()
        events, self._unacknowledged = self._unacknowledged, []
        for event in events:
            await stream.ack(event)
        self._written = self._clock.monotonic()

    async def _publish(self, effects: list[tuple[Effect, str]]) -> None:
        """Tries until the broker has them all; repeats carry the same ids."""
        oldest = to_us(self._clock.now()) - TOO_OLD_TO_PAY_US
        messages: list[Outgoing] = [
            outgoing(effect, policy)
            for effect, policy in effects
            if not (isinstance(effect, OrderAffected) and effect.at_us < oldest)
        ]
        delay = 0.1
        while messages:
            try:
                await self._publisher.publish_all(messages, timeout=15.0)
                return
            except Unavailable as error:
                log.warning("waiting for the broker", extra={"reason": str(error), "count": len(messages)})
                await asyncio.sleep(delay)
                delay = min(delay * 2, 2.0)

    def _measure(self) -> None:
        opened = Counter(
            incident.key.dimension
            for held in self._held.values()
            for incident in held.brand.incidents.values()
            if not incident.closed_us
        )
        for dimension in Dimension:
            metrics.surges_open.labels(dimension.value).set(opened[dimension])


def add_surges(app: faust.App, topic_prefix: str, partitions: int) -> tuple[RowTable, Any]:
    """The detector's table and input, in the application of the watchdog."""
    table = RowTable(
        app,
        name="surges",
        key_type=bytes,
        value_type=bytes,
        partitions=partitions,
        options={"driver": "rocksdict"},
        help="What the surge detector keeps of each brand.",
    )
    app.tables.add(table)
    topics = app.topic(
        topic_prefix + COUNTS,
        topic_prefix + COMMANDS,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
    )
    return table, topics
