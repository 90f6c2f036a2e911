"""The policies in force, by brand, as `policies.v1` says: a mapping that follows the topic.

Until the topic has said something of a brand, its files are in force: so a service starts without the router.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from common.errors import Poison
from common.events import Decoder
from common.policyfiles import Files, from_json
from common.words import from_timestamp
from gen.pingxi.v1.policy_pb2 import PolicyVersion
from rules.model import PolicySet

log = logging.getLogger(__name__)
TOPIC = "policies.v1"
_DECODER = Decoder([PolicyVersion])


class LivePolicies(Mapping[str, PolicySet]):
    """Of each brand the version with the newest `active_since`.

    Messages may come twice and in any order of their instants; a version that was never active changes nothing.
    """

    def __init__(
        self,
        bootstrap: str,
        topic_prefix: str,
        present: Mapping[str, PolicySet],
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = topic_prefix + TOPIC
        self._policies = dict(present)
        self._since: dict[str, datetime] = {}
        self._files: dict[str, Files] = {}
        self._listeners: list[Callable[[], None]] = []
        self.caught_up = False

    def __getitem__(self, brand: str) -> PolicySet:
        return self._policies[brand]

    def __iter__(self) -> Iterator[str]:
        return iter(self._policies)

    def __len__(self) -> int:
        return len(self._policies)

    def when_changed(self, listener: Callable[[], None]) -> None:
        """Has `listener` called after each change."""
        self._listeners.append(listener)

    def announced_files(self) -> dict[str, Files]:
        """The files of the versions in force, by brand and name, of brands that the topic has spoken of."""
        return dict(self._files)

    def refresh(self, present: Mapping[str, PolicySet]) -> None:
        """The files were read again: in force for brands that the topic hasn't spoken of."""
        self._policies |= {brand: policies for brand, policies in present.items() if brand not in self._since}

    def take(self, version: PolicyVersion) -> bool:
        """A version was announced; whether it is in force now. Raises ValueError where it can't be read."""
        since = from_timestamp(version.active_since)
        known = self._since.get(version.brand)
        if since is None or (known is not None and since <= known):
            return False
        self._policies[version.brand] = from_json(version.content)
        self._since[version.brand], self._files[version.brand] = since, dict(version.files)
        for listener in self._listeners:
            listener()
        return True

    async def run(self) -> None:
        """Follows the topic until cancelled; tries as long as the broker doesn't answer."""
        delay = 0.1
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError) as error:
                log.warning("waiting for policies.v1", extra={"reason": type(error).__name__})
                await asyncio.sleep(delay)
                delay = min(delay * 2, 2.0)

    async def _follow(self) -> None:
        # Without a group, "earliest" reads from the beginning; a seek would race with the first reset of the position.
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=200,
        )
        try:
            await consumer.start()
            if self._topic not in await consumer.topics():
                raise UnknownTopicOrPartitionError
            # One partition (topics.yaml): versions are announced in the order of their activation.
            places = [TopicPartition(self._topic, 0)]
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            while True:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        self._read(record)
                if not self.caught_up:
                    self.caught_up = all([await consumer.position(tp) >= ends[tp] for tp in places])
        finally:
            await consumer.stop()

    def _read(self, record: ConsumerRecord) -> None:
        try:
            found = _DECODER.decode(
                record.topic, record.partition, record.offset, record.key, record.value, record.headers
            )
            if found is not None and isinstance(found.body, PolicyVersion) and self.take(found.body):
                log.info("policies changed", extra={"brand": found.body.brand, "policy": found.body.policy_hash})
        except (Poison, ValueError) as error:
            # An older program and a newer policy, say: what is in force stays.
            log.error("a policy version can't be used", extra={"offset": record.offset, "reason": str(error)})
