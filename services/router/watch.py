"""tickets.v1 as a stream for who watches: one groupless reader for all watchers of this process, from now on."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from google.protobuf.message import DecodeError

from common.errors import Unavailable
from common.words import from_timestamp
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from services.router.ports import Filter
from services.router.wire import TICKETS
from wire.words import category_from_proto, priority_from_proto, status_from_proto

log = logging.getLogger(__name__)

# A watcher that lags behind by so many events is sent away: it lists again, and watches anew.
_BEHIND_MOST = 10_000


class Watch:
    """`run` reads; `events` gives each watcher what fits its filter."""

    def __init__(self, bootstrap: str, topic_prefix: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic_prefix + TICKETS
        self._watchers: set[_Watcher] = set()
        self._reading = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled. While the log is away watchers are told so."""
        while True:
            consumer = AIOKafkaConsumer(
                self._topic, bootstrap_servers=self._bootstrap, auto_offset_reset="latest", fetch_max_wait_ms=100
            )
            try:
                await consumer.start()
                await consumer.seek_to_end()
                # Positions are found lazily: events of before this moment don't come, those after it do.
                for partition in consumer.assignment():
                    await consumer.position(partition)
                self._reading.set()
                async for record in consumer:
                    self._hand_out(record.value)
            except (KafkaError, OSError) as error:
                log.warning("watchers wait for Kafka", extra={"reason": type(error).__name__})
            finally:
                self._reading.clear()
                self._send_away("the message log isn't read any more")
                await consumer.stop()
            await asyncio.sleep(1.0)

    @contextmanager
    def watching(self, which: Filter) -> Iterator["_Watcher"]:
        """From here on nothing is missed. Raises Unavailable while the log isn't read."""
        if not self._reading.is_set():
            raise Unavailable("tickets can't be watched yet")
        watcher = _Watcher(which)
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def _hand_out(self, value: bytes | None) -> None:
        if not self._watchers or value is None:
            return
        try:
            event = TicketEvent.FromString(value)
        except DecodeError:
            return
        for watcher in list(self._watchers):
            watcher.offer(event)

    def _send_away(self, why: str) -> None:
        for watcher in list(self._watchers):
            watcher.end(why)


class _Watcher:
    def __init__(self, which: Filter) -> None:
        self._which = which
        self._queue: asyncio.Queue[TicketEvent | str] = asyncio.Queue()

    def offer(self, event: TicketEvent) -> None:
        if not fits(self._which, event):
            return
        if self._queue.qsize() >= _BEHIND_MOST:
            self.end("the watcher is too far behind")
        else:
            self._queue.put_nowait(event)

    def end(self, why: str) -> None:
        self._queue.put_nowait(why)

    async def events(self) -> AsyncIterator[TicketEvent]:
        """What fits, in the order of each ticket. Raises Unavailable at the end."""
        while True:
            item = await self._queue.get()
            if isinstance(item, str):
                raise Unavailable(item)
            yield item


def fits(which: Filter, event: TicketEvent) -> bool:
    """Whether the ticket, as it is after the event, is one of those."""
    ticket = event.snapshot
    at = from_timestamp(ticket.clock_facts.acknowledged_at)
    lists: list[tuple[tuple[Any, ...], Any]] = [
        (which.brands, ticket.brand),
        (which.statuses, status_from_proto(ticket.status)),
        (which.queues, ticket.queue),
        (which.priorities, priority_from_proto(ticket.priority)),
        (which.categories, category_from_proto(ticket.category)),
        (which.assignees, ticket.assignee),
    ]
    words = ("customer_id", "customer_ref", "order_id", "merchant_id", "region")
    return (
        all(not wanted or value in wanted for wanted, value in lists)
        and all(not getattr(which, name) or getattr(which, name) == getattr(ticket, name) for name in words)
        and (which.acknowledged_from is None or (at is not None and at >= which.acknowledged_from))
        and (which.acknowledged_to is None or (at is not None and at < which.acknowledged_to))
    )
