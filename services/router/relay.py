"""From the outboxes of the tickets to tickets.v1: in order per ticket, each acknowledged before the next, then cleared.

Nobody waits for the clearing: what was published is remembered until it is cleared, many tickets at a time. A crash
before that repeats events with the same ids; it never loses or reorders them.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Protocol

from aiokafka.structs import RecordMetadata

from common import metrics
from common.clock import Clock
from common.errors import Unavailable
from common.events import Outgoing
from common.words import from_timestamp, word_of
from gen.pingxi.v1.common_pb2 import Channel
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from services.router.model import Event
from services.router.wire import StoredEvent, stored_event

log = logging.getLogger(__name__)

_CHUNK = 500
# Deliveries side by side: one that waits for the database holds up only its own tickets.
_AT_ONCE = 8
# Outboxes emptied in one write: while it lasts no ticket can be changed.
_CLEAR_AT_ONCE = 20
_LAST_CLEARING_SECONDS = 1.0
_SWEEP_SECONDS = 1.0
# Younger leftovers may be in another process's hands.
_LEFT_ALONE = timedelta(seconds=2)


class Outboxes(Protocol):
    """The rows the relay works on; every call raises Unavailable. See `MongoTickets`."""

    async def uncleared(self, ticket_ids: Sequence[str]) -> list[StoredEvent]: ...

    async def leftovers(self, unchanged_for: timedelta, limit: int) -> list[str]: ...

    async def clear(self, published: Mapping[str, int]) -> None: ...

    async def pending(self) -> int: ...


class Log(Protocol):
    """Where events go: `common.publisher.Publisher`."""

    async def publish_all(self, messages: Sequence[Outgoing], timeout: float | None = None) -> list[RecordMetadata]: ...


class Relay:
    """The `Outbox` of ports.py. Of one ticket only one call at a time publishes in this process."""

    def __init__(self, rows: Outboxes, publisher: Log, clock: Clock) -> None:
        self._rows = rows
        self._log = publisher
        self._clock = clock
        self._busy: set[str] = set()
        self._freed = asyncio.Condition()
        self._woken: set[str] = set()
        self._alarm = asyncio.Event()
        # The newest version of each ticket that was published and isn't cleared.
        self._published: dict[str, int] = {}
        self._clearing = asyncio.Event()

    @asynccontextmanager
    async def hold(self, ticket_ids: Sequence[str]) -> AsyncIterator[None]:
        """Waits for others, then keeps them out."""
        mine = set(ticket_ids)
        async with self._freed:
            await self._freed.wait_for(lambda: self._busy.isdisjoint(mine))
            self._busy |= mine
        try:
            yield
        finally:
            self._busy -= mine
            async with self._freed:
                self._freed.notify_all()

    async def publish(self, events: Sequence[Event]) -> None:
        """The first events of new tickets, from memory: within their `hold` nothing older can wait in the outbox."""
        await self._publish([stored_event(event) for event in events])

    async def deliver(self, ticket_ids: Sequence[str]) -> None:
        """Publishes what these tickets have in their outboxes."""
        await self._deliver(ticket_ids)

    async def _deliver(self, ticket_ids: Sequence[str]) -> int:
        """How many events that were."""
        count = 0
        for start in range(0, len(ticket_ids), _CHUNK):
            chunk = ticket_ids[start : start + _CHUNK]
            async with self.hold(chunk):
                # As of before they are read: what is cleared meanwhile may be among them.
                done = {ticket_id: self._published.get(ticket_id, 0) for ticket_id in chunk}
                events = [e for e in await self._rows.uncleared(chunk) if e.version > done[e.ticket_id]]
                await self._publish(events)
                count += len(events)
        return count

    async def clear(self) -> None:
        """Takes what was published out of the outboxes. Raises Unavailable: the next call goes on."""
        while self._published:
            few = dict(islice(self._published.items(), _CLEAR_AT_ONCE))
            await self._rows.clear(few)
            for ticket_id, version in few.items():
                if self._published[ticket_id] == version:
                    del self._published[ticket_id]

    def wake(self, ticket_id: str) -> None:
        """Has `run` deliver this ticket at once."""
        self._woken.add(ticket_id)
        self._alarm.set()

    async def run(self) -> None:
        """Delivers what it is woken for, and sweeps for leftovers: at the start all, then every second."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sweep_always())
                group.create_task(self._clear_always())
                await self._deliver_woken(group)
        finally:
            # Whoever comes next would repeat it.
            with suppress(Unavailable, TimeoutError):
                await asyncio.wait_for(self.clear(), _LAST_CLEARING_SECONDS)

    async def _deliver_woken(self, group: asyncio.TaskGroup) -> None:
        under_way: set[asyncio.Task[None]] = set()

        def ended(task: asyncio.Task[None]) -> None:
            under_way.discard(task)
            self._alarm.set()

        while True:
            await self._alarm.wait()
            self._alarm.clear()
            if self._woken and len(under_way) < _AT_ONCE:
                woken, self._woken = list(self._woken), set()
                task = group.create_task(self._insist(partial(self.deliver, woken)))
                under_way.add(task)
                task.add_done_callback(ended)

    async def _clear_always(self) -> None:
        while True:
            await self._clearing.wait()
            self._clearing.clear()
            await self._insist(self.clear)

    async def _sweep_always(self) -> None:
        unchanged_for = timedelta()
        while True:
            await self._insist(partial(self._sweep, unchanged_for))
            unchanged_for = _LEFT_ALONE
            await asyncio.sleep(_SWEEP_SECONDS)

    async def _insist(self, work: Callable[[], Awaitable[object]]) -> None:
        """Tries until it succeeds."""
        delay = 0.1
        while True:
            try:
                await work()
                return
            except Unavailable as error:
                log.warning("events wait in the outbox", extra={"reason": str(error)})
            await asyncio.sleep(delay)
            delay = min(delay * 2, 1.0)

    async def _sweep(self, unchanged_for: timedelta) -> None:
        metrics.outbox_pending.set(await self._rows.pending())
        more = True
        while more:
            found = await self._rows.leftovers(unchanged_for, _CHUNK)
            # None of them: they only wait for being cleared.
            more = await self._deliver(found) > 0 and len(found) == _CHUNK

    async def _publish(self, events: Sequence[StoredEvent]) -> None:
        queues: dict[str, list[StoredEvent]] = {}
        for event in events:
            queues.setdefault(event.ticket_id, []).append(event)
        depth = 0
        while batch := [queue[depth] for queue in queues.values() if depth < len(queue)]:
            messages = [message for event in batch for message in event.messages()]
            await self._log.publish_all(messages)
            self._published |= {event.ticket_id: event.version for event in batch}
            self._clearing.set()
            _measure(messages, self._clock.now())
            depth += 1


def _measure(messages: Sequence[Outgoing], now: datetime) -> None:
    for message in messages:
        body = message.body
        if isinstance(body, TicketEvent) and body.WhichOneof("change") == "opened":
            acknowledged_at = from_timestamp(body.snapshot.clock_facts.acknowledged_at)
            if acknowledged_at is not None:
                metrics.routing_seconds.observe(max(0.0, (now - acknowledged_at).total_seconds()))
        elif isinstance(body, TicketEvent) and body.version == 1:
            metrics.complaints_joined.labels(word_of(Channel.DESCRIPTOR, body.snapshot.channel)).inc()
        if isinstance(body, TicketEvent) and (outcome := _answer_outcome(body)):
            metrics.automatic_answers.labels(body.snapshot.brand, body.snapshot.answered_topic, outcome).inc()


def _answer_outcome(event: TicketEvent) -> str:
    """What an event says of a machine's answer, "" for nothing."""
    if event.HasField("replied") and event.replied.topic:
        return "answered"
    if event.HasField("customer_replied") and event.customer_replied.handed_over:
        return "handed_over"
    return "reopened" if event.HasField("reopened") and event.snapshot.answered_topic else ""
