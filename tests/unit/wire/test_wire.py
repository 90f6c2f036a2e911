from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Poison
from common.sealing import Sealer
from gen.pingxi.v1.common_pb2 import Sealed
from gen.pingxi.v1.complaint_pb2 import PersonalContent
from gen.pingxi.v1.promise_pb2 import EscalationLevel as LevelProto
from gen.pingxi.v1.promise_pb2 import Target as TargetProto
from rules.model import Category, EscalationLevel, Metric, Priority, Promise, Status, Target, Way
from wire import words
from wire.personal import open_personal, seal_personal
from wire.promise import (
    promise_from_proto,
    promise_to_proto,
    target_from_proto,
    target_to_proto,
)

spans = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400))
levels = st.builds(
    EscalationLevel,
    level=st.integers(1, 9),
    after=spans,
    notify=st.lists(st.text(max_size=9), max_size=3).map(tuple),
    ways=st.lists(st.sampled_from(Way), max_size=3).map(tuple),
)
targets = st.builds(
    Target,
    metric=st.sampled_from(Metric),
    duration=spans,
    calendar=st.text(max_size=9),
    calendar_hash=st.text(max_size=9),
    warn_percent=st.lists(st.integers(1, 99), max_size=3).map(tuple),
    chain=st.lists(levels, max_size=3).map(tuple),
    return_after=st.none() | spans.filter(bool),
)
instants = st.none() | st.datetimes(
    min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)
)


@given(targets)
def test_a_target_comes_back_as_it_was(target: Target) -> None:
    message = target_to_proto(target, "red", "hash")
    assert (message.sla_policy, message.policy_hash) == ("red", "hash")
    assert target_from_proto(TargetProto.FromString(message.SerializeToString())) == target


@given(instants, instants)
def test_a_promise_comes_back_as_it_was(first: datetime | None, resolve: datetime | None) -> None:
    assert promise_from_proto(promise_to_proto(Promise(first, resolve))) == Promise(first, resolve)


def test_a_target_without_a_metric_is_refused() -> None:
    with pytest.raises(ValueError, match="metric 0"):
        target_from_proto(TargetProto(calendar="always"))


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(ValueError, match="pigeon"):
        target_from_proto(TargetProto(metric=1, chain=[LevelProto(level=1, ways=["pigeon"])]))  # type: ignore[arg-type]


def test_every_word_has_a_number_of_its_own_and_comes_back() -> None:
    assert [words.category_from_proto(words.category_to_proto(c)) for c in Category] == list(Category)
    assert [words.priority_from_proto(words.priority_to_proto(p)) for p in Priority] == list(Priority)
    assert [words.status_from_proto(words.status_to_proto(s)) for s in Status] == list(Status)
    assert [words.metric_from_proto(words.metric_to_proto(m)) for m in Metric] == list(Metric)


def test_unspecified_and_unknown_numbers_are_none() -> None:
    assert words.category_to_proto(None) == 0
    assert words.category_from_proto(0) is None
    assert words.metric_from_proto(999) is None


def test_what_is_sealed_for_one_ticket_opens_only_for_it() -> None:
    sealer = Sealer("k1", {"k1": b"k" * 32})
    content = PersonalContent(contact="+8613800138000", text="牛奶变质")
    sealed = seal_personal(sealer, "7K3M-9QXZ-4TPC-5", content)
    assert open_personal(sealer, "7K3M-9QXZ-4TPC-5", sealed) == content
    assert b"13800138000" not in sealed.SerializeToString()
    with pytest.raises(Poison, match="seal_broken"):
        open_personal(sealer, "other", sealed)
    with pytest.raises(Poison, match="unknown_seal_key"):
        open_personal(sealer, "7K3M-9QXZ-4TPC-5", Sealed(key_id="k9", ciphertext=sealed.ciphertext))
