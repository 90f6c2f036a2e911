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
from services.router.versions import Version

POLICIES = "policies.v1"


class PolicyBook:
    """The `Policies` of ports.py: by brand. A version is announced before the first event that uses it, and again at
    each start (the topic is compacted by the version's hash).

    `policies` are those of the files; `adopt` puts activated versions in their place.
    """

    def __init__(self, policies: Mapping[str, PolicySet], publisher: Log, clock: Clock) -> None:
        self._policies = dict(policies)
        self._versions: dict[str, Version] = {}
        self._log = publisher
        self._clock = clock
        # What may have been used: also versions that were in force before.
        self._pending: dict[str, Outgoing] = {p.hash: self._of_files(p) for p in policies.values()}
        self._one_at_a_time = asyncio.Lock()

    def of(self, brand: str) -> PolicySet | None:
        """The brand's policies; None for a brand that doesn't exist."""
        return self._policies.get(brand)

    def version(self, brand: str) -> Version | None:
        """The activation that put them in force; None before the database was read."""
        return self._versions.get(brand)

    @property
    def brands(self) -> list[str]:
        """All brands, sorted."""
        return sorted(self._policies)

    async def publish(self, version: Version) -> None:
        """Returns once the version is on policies.v1. Raises Unavailable."""
        await self._log.publish_all([announcement(version)])

    def adopt(self, version: Version, policies: PolicySet, *, published: bool = False) -> None:
        """From now on this version is in force; an older one than the present changes nothing."""
        present = self._versions.get(version.brand)
        if present is not None and present.number >= version.number:
            return
        if present is None and (of_files := self._policies.get(version.brand)) is not None:
            # Never used: nothing is handled before the database was read.
            self._pending.pop(of_files.hash, None)
        if not published:
            self._pending[policies.hash] = announcement(version)
        self._policies[version.brand], self._versions[version.brand] = policies, version

    async def announce(self, hashes: Sequence[str]) -> None:
        """Returns once these versions are on policies.v1. Raises Unavailable."""
        if self._pending.keys().isdisjoint(hashes):
            return
        async with self._one_at_a_time:
            messages = {each: self._pending[each] for each in dict.fromkeys(hashes) if each in self._pending}
            await self._log.publish_all(list(messages.values()))
            for each, message in messages.items():
                # Unless it was activated again meanwhile.
                if self._pending.get(each) is message:
                    del self._pending[each]

    async def announce_all(self) -> None:
        """Announces everything that is pending."""
        await self.announce(list(self._pending))

    @property
    def announced(self) -> bool:
        """Whether everything in force is on policies.v1."""
        return not self._pending

    def _of_files(self, policies: PolicySet) -> Outgoing:
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


def announcement(version: Version) -> Outgoing:
    """The version for policies.v1: the same whenever, and by whichever router, it is announced."""
    return Outgoing(
        topic=POLICIES,
        key=version.policy_hash,
        id=version.event_id,
        subject=version.brand,
        time=version.active_since,
        body=PolicyVersion(
            policy_hash=version.policy_hash,
            brand=version.brand,
            content=version.content,
            first_used_at=to_timestamp(version.active_since),
            active_since=to_timestamp(version.active_since),
            files=version.files,
        ),
    )
