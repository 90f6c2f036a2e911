"""The Kafka loop every service shares: batches in, work done, offsets committed after it.

What it promises: a message is handled at least once; its offset is committed only after its handler returned; a message
that can't be processed goes to the dead letters with its reason and origin and its partition goes on; a part that is
away (Unavailable) is waited for, without losing the group membership.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from google.protobuf.message import Message as Proto

from common import metrics
from common.dead_letters import DeadLetters
from common.errors import PingxiError, Poison, Unavailable
from common.events import Decoder, Headers, Incoming
from common.publisher import Publisher
from common.tracing import continue_trace

log = logging.getLogger(__name__)

Handler = Callable[[Sequence[Incoming]], Awaitable[None]]


class Decodes(Protocol):
    """Turns a record into a message, as `events.Decoder` does; another for topics without CloudEvents headers."""

    def decode(
        self, topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> Incoming | None:
        """None for what isn't of use. Raises Poison."""
        ...


# So many unexpected failures in a row are a fault of ours, not of the messages: better to stop than to bury them all.
_GIVE_UP_AFTER = 20
_LEAVE_WITHIN = 1.5


class BatchConsumer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Consumes `topics` as `group` and hands batches to `handle`; `kinds` are the messages it has a use for.

    `handle` must tolerate repeats, and raises Unavailable to be called again with the same batch, Poison to give up one
    message. With a batch of several messages a Poison or an unexpected error isolates: each is handled alone.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        service: str,
        group: str,
        topics: Sequence[str],
        kinds: Sequence[type[Proto]] = (),
        decoder: Decodes | None = None,
        handle: Handler,
        publisher: Publisher,
        topic_prefix: str = "",
        max_batch: int = 500,
    ) -> None:
        self._bootstrap = bootstrap
        self._service = service
        self._group = topic_prefix + group
        self._prefix = topic_prefix
        self._topics = [topic_prefix + t for t in topics]
        self._decoder: Decodes = decoder or Decoder(kinds)
        self._handle = handle
        self._dead_letters = DeadLetters(publisher, service)
        self._max_batch = max_batch
        self._consumer: AIOKafkaConsumer | None = None
        self._busy = asyncio.Lock()
        self._failures = 0
        self.assigned = False
        # Whether everything of its partitions has been handled, as far as the broker's last answers say.
        self.caught_up = False

    async def run(self) -> None:
        """Runs until cancelled. Raises whatever is no message's fault."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=self._group,
            client_id=f"pingxi-{self._service}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=8_000,
            heartbeat_interval_ms=2_000,
            # A batch may wait for a database that is away; heartbeats go on meanwhile.
            max_poll_interval_ms=86_400_000,
            fetch_max_wait_ms=100,
            metadata_max_age_ms=30_000,
        )
        self._consumer = consumer
        try:
            await self._connect(consumer)
            consumer.subscribe(self._topics, listener=self)
            while True:
                batches = await consumer.getmany(timeout_ms=500, max_records=self._max_batch)
                if batches:
                    await self._process(batches)
                self._measure_lag()
        finally:
            await self._leave(consumer)

    async def _leave(self, consumer: AIOKafkaConsumer) -> None:
        try:
            await asyncio.wait_for(consumer.stop(), _LEAVE_WITHIN)
        except TimeoutError:
            # It waits for a group that is rebalancing, for up to a session time-out; the group forgets us by itself.
            await consumer._client.close()

    async def _connect(self, consumer: AIOKafkaConsumer) -> None:
        delay = 0.1
        while True:
            try:
                await consumer.start()
                return
            except (KafkaError, OSError) as error:
                log.warning("Kafka doesn't answer", extra={"reason": type(error).__name__})
                await asyncio.sleep(delay)
                delay = min(delay * 2, 1.0)

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Lets the batch in hand finish, within reason, so that little is handled twice."""
        try:
            await asyncio.wait_for(self._busy.acquire(), 5.0)
        except TimeoutError:
            return
        self._busy.release()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Notes that the group has answered; readiness depends on it."""
        self.assigned = True

    async def _process(self, batches: dict[TopicPartition, list[ConsumerRecord]]) -> None:
        async with self._busy:
            messages: list[Incoming] = []
            originals: dict[tuple[str, int, int], ConsumerRecord] = {}
            for records in batches.values():
                for record in records:
                    try:
                        message = self._decoder.decode(
                            record.topic.removeprefix(self._prefix),
                            record.partition,
                            record.offset,
                            record.key,
                            record.value,
                            record.headers,
                        )
                    except Poison as poison:
                        await self._bury(record, poison)
                        continue
                    if message is not None:
                        messages.append(message)
                        originals[message.topic, message.partition, message.offset] = record
            if messages:
                await self._handle_batch(messages, originals)
            await self._commit({tp: records[-1].offset + 1 for tp, records in batches.items()})

    async def _handle_batch(
        self, messages: Sequence[Incoming], originals: dict[tuple[str, int, int], ConsumerRecord]
    ) -> None:
        delay = 0.1
        while True:
            try:
                with continue_trace(messages[0].traceparent):
                    await self._handle(messages)
                self._failures = 0
                return
            except Unavailable as error:
                log.warning("waiting to try again", extra={"reason": str(error), "count": len(messages)})
                await asyncio.sleep(delay)
                delay = min(delay * 2, 2.0)
            except Exception as error:
                if len(messages) > 1:
                    for message in messages:
                        await self._handle_batch([message], originals)
                    return
                only = messages[0]
                if not isinstance(error, PingxiError):
                    self._failures += 1
                    log.exception("unexpected failure", extra={"topic": only.topic, "offset": only.offset})
                    if self._failures >= _GIVE_UP_AFTER:
                        raise
                await self._bury(originals[only.topic, only.partition, only.offset], error)
                return

    async def _bury(self, record: ConsumerRecord, error: Exception) -> None:
        await self._dead_letters.bury(
            error,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            value=record.value,
            headers=record.headers,
        )

    async def _commit(self, offsets: dict[TopicPartition, int]) -> None:
        assert self._consumer is not None
        owned = self._consumer.assignment()
        offsets = {tp: offset for tp, offset in offsets.items() if tp in owned}
        if not offsets:
            return
        try:
            await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError):
            log.info("partitions moved before the commit; the new owner repeats them")
        except KafkaError as error:
            # The work is done and repeatable; the next commit covers these offsets.
            log.warning("commit failed", extra={"reason": type(error).__name__})

    def _measure_lag(self) -> None:
        assert self._consumer is not None
        lag: dict[str, int] = dict.fromkeys(self._topics, 0)
        known = 0
        for tp in self._consumer.assignment():
            end = self._consumer.highwater(tp)
            state = self._consumer._subscription.subscription.assignment.state_value(tp)
            if end is not None and state is not None and state.has_valid_position:
                lag[tp.topic] += max(0, end - state.position)
                known += 1
        self.caught_up = 0 < known == len(self._consumer.assignment()) and not any(lag.values())
        for topic, behind in lag.items():
            metrics.consumer_lag.labels(self._service, topic.removeprefix(self._prefix)).set(behind)
