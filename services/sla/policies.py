"""The policies the sla service works with: brands' files for compensation, every version's calendars for clocks."""

import asyncio
import logging
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from common.errors import Unavailable
from common.events import Decoder
from common.policyfiles import from_json
from gen.pingxi.v1.policy_pb2 import PolicyVersion
from rules.model import Calendar, PolicySet

log = logging.getLogger(__name__)
_TOPIC = "policies.v1"


class CalendarBook:
    """Calendars by content hash, from the brands' present files and from `policies.v1`."""

    def __init__(self, bootstrap: str, topic_prefix: str, present: Mapping[str, PolicySet]) -> None:
        self._bootstrap = bootstrap
        self._topic = topic_prefix + _TOPIC
        self._decoder = Decoder([PolicyVersion])
        self._by_hash: dict[str, Calendar] = {}
        for policies in present.values():
            self._add(policies)

    def _add(self, policies: PolicySet) -> None:
        for calendar in policies.calendars.values():
            self._by_hash[calendar.hash] = calendar

    def calendar(self, calendar_hash: str) -> Calendar | None:
        """None where no version read so far has it."""
        return self._by_hash.get(calendar_hash)

    async def learn(self, calendar_hash: str) -> bool:
        """Reads `policies.v1` to its end; whether the calendar is known now. Tries until the broker answers."""
        delay = 0.1
        while True:
            try:
                await asyncio.wait_for(self._read_all(), 30.0)
                return calendar_hash in self._by_hash
            except (KafkaError, OSError, TimeoutError, Unavailable) as error:
                log.warning("waiting for policies.v1", extra={"reason": type(error).__name__})
                await asyncio.sleep(delay)
                delay = min(delay * 2, 2.0)

    async def _read_all(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        try:
            await consumer.start()
            partitions = consumer.partitions_for_topic(self._topic) or {0}
            places = [TopicPartition(self._topic, p) for p in partitions]
            ends = await consumer.end_offsets(places)
            consumer.assign(places)
            while any([await consumer.position(tp) < ends[tp] for tp in places]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for r in records:
                        message = self._decoder.decode(r.topic, r.partition, r.offset, r.key, r.value, r.headers)
                        if message is not None and isinstance(message.body, PolicyVersion):
                            self._add(from_json(message.body.content))
        finally:
            await consumer.stop()
