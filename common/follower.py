"""A compacted topic kept in memory: read whole at the start, then followed. No group, nothing committed."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from google.protobuf.message import Message as Proto

from common.errors import Poison
from common.events import Decoder, Incoming

log = logging.getLogger(__name__)
_FIND_SECONDS = 5.0


class TopicFollower:
    """Hands each message of `topic` to `take`, in order, from the beginning on and again after every reconnection:
    `take` must tolerate repeats. A message that can't be read (Poison or ValueError, also from `take`) is logged and
    passed over.

    `loaded` is set once everything is taken that was there at the start; also where the topic doesn't exist.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        kinds: Sequence[type[Proto]],
        take: Callable[[Incoming], None],
        *,
        service: str,
        topic_prefix: str = "",
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._prefix = topic_prefix
        self._decoder = Decoder(kinds)
        self._take = take
        self._service = service
        self.loaded = asyncio.Event()

    async def run(self) -> None:
        """Follows until cancelled."""
        delay = 0.1
        while True:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap,
                group_id=None,
                client_id=f"pingxi-{self._service}",
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                fetch_max_wait_ms=100,
                metadata_max_age_ms=30_000,
            )
            try:
                await consumer.start()
                await self._follow(consumer)
            except (KafkaError, OSError) as error:
                log.warning("can't follow", extra={"topic": self._topic, "reason": type(error).__name__})
                await asyncio.sleep(delay)
                delay = min(delay * 2, 2.0)
            finally:
                await consumer.stop()

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        # A topic that has just been made may be without a leader, which the client only notices at its next refresh.
        ends = await asyncio.wait_for(self._to_the_beginning(consumer), _FIND_SECONDS)
        while True:
            if not self.loaded.is_set() and all([await consumer.position(tp) >= end for tp, end in ends.items()]):
                self.loaded.set()
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    self._read(record)

    async def _to_the_beginning(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        """Assigns all partitions; their present ends."""
        topic = self._prefix + self._topic
        # Subscribing would wait for a topic that doesn't exist without ever saying so.
        partitions = (await consumer._client.fetch_all_metadata()).partitions_for_topic(topic)
        if not partitions:
            self.loaded.set()
            raise UnknownTopicOrPartitionError
        places = [TopicPartition(topic, partition) for partition in partitions]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
        return ends

    def _read(self, record: ConsumerRecord) -> None:
        try:
            message = self._decoder.decode(
                self._topic, record.partition, record.offset, record.key, record.value, record.headers
            )
            if message is not None:
                self._take(message)
        except (Poison, ValueError) as error:
            log.error("passed over", extra={"topic": self._topic, "offset": record.offset, "reason": str(error)})
