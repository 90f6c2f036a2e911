"""A brand's policies through time: which version is in force, since when, who decided so and why. Frozen and pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from common.ids import deterministic_id
from common.policyfiles import Files, Texts, load_from, to_json
from rules.model import PolicySet
from services.router.model import Actor, ActorKind

FILES = Actor(ActorKind.SYSTEM, "files")
"""Who activates what was edited on disk."""


@dataclass(frozen=True)
class Version:
    """One activation. `number` counts those of a brand from 1; `content` is the whole policy set as canonical JSON.

    `files` are the brand's own files; what it inherits was taken over when it was activated. `disk` names what lay on
    disk then. `key` and `request` (a digest) tell a repeated call.
    """

    brand: str
    number: int
    policy_hash: str
    content: bytes
    files: Files
    active_since: datetime
    actor: Actor
    reason: str
    disk: str
    key: str = ""
    request: str = ""

    @property
    def cause(self) -> str:
        """Names the activation in the history of tickets."""
        return f"policy:{self.brand}/{self.number}"

    @property
    def event_id(self) -> str:
        """Of its announcement: the same whenever it is announced."""
        return deterministic_id("policy", self.brand, self.number, self.policy_hash)


def read(brand: str, brands: Mapping[str, Files]) -> PolicySet:
    """The policies of a brand from the files of all. Raises PolicyError, which calls the brand's own by their names."""
    return load_from(Texts(brands, lambda owner, name: name if owner == brand else f"{owner}/{name}"), brand)


def changed_files(present: Files, changes: Files) -> dict[str, str]:
    """The files with some of them replaced; an empty text takes one away."""
    return {name: text for name, text in {**present, **changes}.items() if text}


def disk_digest(policies: PolicySet, brands: Mapping[str, Files], loaded: Mapping[str, PolicySet]) -> str:
    """Changes with the texts a brand is made of on disk: its own files and those of the brands it extends."""
    chain: list[str] = []
    brand: str | None = policies.brand.key
    while brand is not None and brand not in chain:
        chain.append(brand)
        brand = loaded[brand].brand.extends if brand in loaded else None
    parts = [(each, sorted(brands.get(each, {}).items())) for each in chain]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def next_version(
    last: Version | None,
    policies: PolicySet,
    files: Files,
    now: datetime,
    actor: Actor,
    reason: str,
    disk: str,
    key: str = "",
    request: str = "",
) -> Version:
    """The activation after `last`. Its instant is later than the last one's, whatever the clocks say."""
    since = now if last is None else max(now, last.active_since + (last.active_since.resolution))
    return Version(
        brand=policies.brand.key,
        number=1 if last is None else last.number + 1,
        policy_hash=policies.hash,
        content=to_json(policies),
        files=dict(files),
        active_since=since,
        actor=actor,
        reason=reason,
        disk=disk,
        key=key,
        request=request,
    )
