"""Stored history: a topic from an instant to its present end, read without a group, so that nobody's offsets move."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from google.protobuf.message import Message as Proto

from common.errors import Poison, Unavailable
from common.events import Decoder, Incoming
from common.words import to_us

_BATCH = 500
# Clocks of brokers and services differ a little.
_SLACK = timedelta(minutes=10)


@dataclass(frozen=True)
class Batch:
    """Some messages, those of a partition in order; `done` of `total` records have been read so far."""

    messages: Sequence[Incoming]
    done: int
    total: int


async def read_history(
    bootstrap: str, topic: str, kinds: Sequence[type[Proto]], since: datetime | None = None
) -> AsyncIterator[Batch]:
    """What `topic` holds now, from `since` on; messages that can't be read are passed over. Nothing for a topic that
    doesn't exist. Raises Unavailable."""
    decoder = Decoder(kinds)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=100
    )
    try:
        await consumer.start()
        if topic not in await consumer.topics():
            return
        # The metadata of a topic come with the first request for it.
        partitions = await consumer._client._wait_on_metadata(topic) or {0}
        places = [TopicPartition(topic, partition) for partition in sorted(partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        starts = await consumer.beginning_offsets(places)
        if since is not None:
            at = (to_us(since - _SLACK) or 0) // 1000
            found = await consumer.offsets_for_times(dict.fromkeys(places, at))
            starts = {tp: found[tp].offset if found.get(tp) else ends[tp] for tp in places}
        for tp, offset in starts.items():
            consumer.seek(tp, offset)
        total = sum(ends[tp] - starts[tp] for tp in places)
        open_ones = {tp for tp in places if starts[tp] < ends[tp]}
        while open_ones:
            messages: list[Incoming] = []
            for tp, records in (await consumer.getmany(timeout_ms=500, max_records=_BATCH)).items():
                for r in records:
                    if r.offset >= ends[tp]:
                        break
                    try:
                        message = decoder.decode(topic, r.partition, r.offset, r.key, r.value, r.headers)
                    except Poison:
                        continue
                    if message is not None:
                        messages.append(message)
            at_now = {tp: min(await consumer.position(tp), ends[tp]) for tp in places}
            open_ones = {tp for tp in places if at_now[tp] < ends[tp]}
            yield Batch(messages, sum(at_now[tp] - starts[tp] for tp in places), total)
    except (KafkaError, OSError) as error:
        raise Unavailable(f"Kafka at {bootstrap} doesn't answer: {type(error).__name__}") from error
    finally:
        await consumer.stop()
