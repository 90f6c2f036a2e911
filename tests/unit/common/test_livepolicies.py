"""Which version of a brand's policies a service goes by."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from common.livepolicies import LivePolicies
from common.policyfiles import load_all, to_json
from common.words import to_timestamp
from gen.pingxi.v1.policy_pb2 import PolicyVersion
from rules.model import PolicySet
from tests.fakes_router import ROOT

T0 = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


@cache
def files() -> Mapping[str, PolicySet]:
    return load_all(ROOT / "policies")


def version(phone: str, minutes: float | None, brand: str = "default") -> PolicyVersion:
    """A version of a brand that differs by its telephone number."""
    policies = files()["default"]
    policies = replace(policies, brand=replace(policies.brand, support_phone=phone, key=brand))
    since = None if minutes is None else T0 + timedelta(minutes=minutes)
    return PolicyVersion(
        policy_hash=policies.hash,
        brand=brand,
        content=to_json(policies),
        active_since=to_timestamp(since),
        files={"brand.yaml": phone},
    )


@pytest.fixture
def live() -> LivePolicies:
    return LivePolicies("nowhere:1", "", files())


def phone(live: LivePolicies, brand: str = "default") -> str:
    return live[brand].brand.support_phone


def test_files_are_in_force_until_the_topic_speaks_of_the_brand(live: LivePolicies) -> None:
    assert dict(live) == files()
    assert live.take(version("1", 0))
    assert (phone(live), live["demo"]) == ("1", files()["demo"])
    assert live.announced_files() == {"default": {"brand.yaml": "1"}}


def test_the_newest_activation_wins_in_whatever_order_they_come(live: LivePolicies) -> None:
    assert [live.take(each) for each in (version("2", 5), version("1", 0), version("2", 5))] == [True, False, False]
    assert phone(live) == "2"
    # An older content that was activated again.
    assert live.take(version("1", 9))
    assert phone(live) == "1"


def test_a_version_that_was_never_active_changes_nothing(live: LivePolicies) -> None:
    assert not live.take(version("1", None))
    assert dict(live) == files()


def test_a_brand_without_files_begins_with_its_first_version(live: LivePolicies) -> None:
    live.take(version("1", 0, brand="new"))
    assert (phone(live, "new"), len(live)) == ("1", 3)


def test_files_that_are_read_again_count_only_for_brands_the_topic_has_not_spoken_of(live: LivePolicies) -> None:
    live.take(version("1", 0))
    again = {b: replace(p, brand=replace(p.brand, support_phone="9")) for b, p in files().items()}
    live.refresh(again)
    assert (phone(live), phone(live, "demo")) == ("1", "9")


def test_what_cannot_be_read_leaves_what_is_in_force(live: LivePolicies) -> None:
    live.take(version("1", 0))
    broken = version("2", 5)
    broken.content = b'{"brand": 1}'
    with pytest.raises(ValueError, match="not a policy set"):
        live.take(broken)
    assert phone(live) == "1"


def test_listeners_hear_of_each_change_once(live: LivePolicies) -> None:
    heard: list[str] = []
    live.when_changed(lambda: heard.append(phone(live)))
    for each in (version("1", 0), version("1", 0), version("2", 1), version("3", None)):
        live.take(each)
    assert heard == ["1", "2"]
