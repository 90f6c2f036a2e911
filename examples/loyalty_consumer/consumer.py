"""The loop: apply, answer, commit, in this order, so that a crash repeats and never forgets."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from google.protobuf.message import DecodeError

from examples.loyalty_consumer.settings import Settings
from examples.loyalty_consumer.store import Promise, Receipt, Store
from gen.pingxi.v1 import voucher_pb2 as pb

log = logging.getLogger("loyalty")
VOUCHERS = "vouchers.v1"
RECEIPTS = "voucher-receipts.v1"
_KINDS: Mapping[str, type[Promise]] = {
    f"pingxi.v1.{kind.DESCRIPTOR.name}": kind for kind in (pb.VoucherIssued, pb.VoucherReversed, pb.PointsGranted)
}


def promise_of(record: ConsumerRecord) -> Promise | None:
    """The message; None for a kind added later, which is none of ours. Raises ValueError where it can't be read."""
    headers = dict(record.headers)
    name = headers.get("ce_type", b"").decode(errors="replace")
    kind = _KINDS.get(name)
    if kind is None:
        if name.startswith("pingxi.v1."):
            return None
        raise ValueError("header ce_type is missing or foreign")
    try:
        promise = kind.FromString(record.value or b"")
    except DecodeError as error:
        raise ValueError(f"not a {name}") from error
    if not (promise.grant_id if isinstance(promise, pb.PointsGranted) else promise.voucher_id):
        raise ValueError("it has no id")
    return promise


def headers_of(receipt: Receipt) -> list[tuple[str, bytes]]:
    """CloudEvents, binary binding."""
    words = {
        "ce_specversion": "1.0",
        "ce_id": receipt.id,
        "ce_source": "/loyalty",
        "ce_type": f"pingxi.v1.{receipt.kind}",
        "ce_subject": receipt.key,
        "ce_time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "content-type": "application/protobuf",
    }
    return [(name, value.encode()) for name, value in words.items()]


class Loyalty:
    """Consumes vouchers.v1 as one member of a group."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. A broker that is away is waited for."""
        delay = 0.2
        while not stop.is_set():
            try:
                await self._connected(stop)
                delay = 0.2
            except (KafkaError, OSError) as error:
                log.warning("Kafka doesn't answer: %s", type(error).__name__)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)

    async def _connected(self, stop: asyncio.Event) -> None:
        settings = self._settings
        producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all", enable_idempotence=True)
        consumer = AIOKafkaConsumer(
            settings.topic_prefix + VOUCHERS,
            bootstrap_servers=settings.kafka,
            group_id=settings.topic_prefix + settings.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=8_000,
            heartbeat_interval_ms=2_000,
        )
        try:
            await producer.start()
            await consumer.start()
            while not stop.is_set():
                batches = await consumer.getmany(timeout_ms=250, max_records=500)
                for records in batches.values():
                    self.apply(records)
                # Also what an earlier life, or the till, has left in the outbox.
                await self._send(producer)
                if batches:
                    await _commit(consumer, {tp: records[-1].offset + 1 for tp, records in batches.items()})
        finally:
            await consumer.stop()
            await producer.stop()

    def apply(self, records: Sequence[ConsumerRecord]) -> None:
        """Takes them into the books."""
        for record in records:
            try:
                promise = promise_of(record)
            except ValueError as error:
                self._store.unreadable(record.topic, record.partition, record.offset, str(error))
                log.error("message %s/%s/%s: %s", record.topic, record.partition, record.offset, error)
                continue
            if promise is not None:
                self._store.apply(promise)

    async def _send(self, producer: AIOKafkaProducer) -> None:
        topic = self._settings.topic_prefix + RECEIPTS
        while receipts := self._store.unsent():
            sends = [
                await producer.send(topic, value=r.body, key=r.key.encode(), headers=headers_of(r)) for r in receipts
            ]
            await asyncio.gather(*sends)
            self._store.sent(receipts)


async def _commit(consumer: AIOKafkaConsumer, offsets: dict[TopicPartition, int]) -> None:
    owned = consumer.assignment()
    offsets = {tp: offset for tp, offset in offsets.items() if tp in owned}
    try:
        if offsets:
            await consumer.commit(offsets)
    except (CommitFailedError, IllegalStateError):
        log.info("partitions moved: their new owner repeats these messages")
