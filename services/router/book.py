"""The policies in force, and their announcement on policies.v1."""

import asyncio
from collections.abc import Mapping, Sequence

from common.clock import Clock
from common.events import Outgoing
from common.ids import deterministic_id
from common.policyfiles import to_json
from common.words import to_timestamp
from gen.pingxi.v1.policy_pb2 import PolicyVersion
from rules.model import PolicySet
from services.router.relay import Log

POLICIES = "policies.v1"


class PolicyBook:
    """The `Policies` of ports.py: by brand. A version is announced before the first event that uses it, and again at
    each start (the topic is compacted by the version's hash)."""

    def __init__(self, policies: Mapping[str, PolicySet], publisher: Log, clock: Clock) -> None:
        self._policies = policies
        self._log = publisher
        self._clock = clock
        self._announced: set[str] = set()
        self._one_at_a_time = asyncio.Lock()

    def of(self, brand: str) -> PolicySet | None:
        """The brand's policies; None for a brand that doesn't exist."""
        return self._policies.get(brand)

    async def announce(self, hashes: Sequence[str]) -> None:
        """Returns once these versions are on policies.v1. Raises Unavailable."""
        if self._announced.issuperset(hashes):
            return
        async with self._one_at_a_time:
            wanted = set(hashes) - self._announced
            found = {policies.hash: policies for policies in self._policies.values() if policies.hash in wanted}
            await self._log.publish_all([self._message(policies) for policies in found.values()])
            self._announced |= wanted

    async def announce_all(self) -> None:
        """Announces everything that is loaded."""
        await self.announce([policies.hash for policies in self._policies.values()])

    @property
    def announced(self) -> bool:
        """Whether everything loaded is on policies.v1."""
        return self._announced.issuperset(policies.hash for policies in self._policies.values())

    def _message(self, policies: PolicySet) -> Outgoing:
        now = self._clock.now()
        return Outgoing(
            topic=POLICIES,
            key=policies.hash,
            id=deterministic_id("policy", policies.hash),
            subject=policies.brand.key,
            time=now,
            body=PolicyVersion(
                policy_hash=policies.hash,
                brand=policies.brand.key,
                content=to_json(policies),
                first_used_at=to_timestamp(now),
            ),
        )
