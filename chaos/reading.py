"""The observer that reads along while the system runs, and a reader of everything there is."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from chaos.records import INTERNAL, JUDGED, mark_of
from common.clock import Clock


@dataclass
class Observer:
    """Reads along: when each record was first seen, and which there are to be repeated."""

    bootstrap: str
    clock: Clock
    seen_at: dict[tuple[str, int, int], datetime] = field(default_factory=dict)
    records: list[ConsumerRecord] = field(default_factory=list)
    last_at: float = 0.0

    async def run(self) -> None:
        """Until cancelled; rides out whatever is done to the broker."""
        consumer = AIOKafkaConsumer(
            *JUDGED, *INTERNAL, bootstrap_servers=self.bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=100
        )
        await consumer.start()
        try:
            async for record in consumer:
                self.seen_at[record.topic, record.partition, record.offset] = self.clock.now()
                self.last_at = self.clock.monotonic()
                self.records.append(record)
        finally:
            await asyncio.shield(asyncio.wait_for(consumer.stop(), 10.0))

    def some(self, topic: str, chance: random.Random, most: int) -> list[ConsumerRecord]:
        """Up to so many records of the system's own on a topic."""
        own = [r for r in self.records if r.topic == topic and not mark_of(r)]
        return chance.sample(own, min(most, len(own)))


async def read_whole(bootstrap: str, topics: Sequence[str]) -> list[ConsumerRecord]:
    """Everything that is on the topics now."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer:
        places = [
            TopicPartition(topic, number) for topic in topics for number in sorted(await _partitions(consumer, topic))
        ]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        await consumer.seek_to_beginning(*places)
        found: list[ConsumerRecord] = []
        open_ones = {place for place in places if ends[place]}
        while open_ones:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += records
            for place in [*open_ones]:
                if await consumer.position(place) >= ends[place]:
                    open_ones.discard(place)
        return [record for record in found if record.offset < ends[TopicPartition(record.topic, record.partition)]]


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    await consumer._client.force_metadata_update()
    found = consumer.partitions_for_topic(topic)
    if found is None:
        await consumer._client.add_topic(topic)
        found = consumer.partitions_for_topic(topic)
    return set(found or ())
