"""What a customer who watches is told: everything once, in order, and again where a connection was lost."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rules.model import Promise
from services.intake.model import Progress, TimelineEntry
from services.intake.news import Place, news, place_of
from tests.unit.intake.fakes import NOW

ID, OTHER = "7K3M-9QXZ-4TPC-5", "AAAA-BBBB-CCCC-D"


def entry(kind: str, version: int) -> TimelineEntry:
    return TimelineEntry(NOW + timedelta(minutes=version), kind, version=version)


KNOWN = Progress(
    ID, "in_progress", None, Promise(None, None),
    timeline=(entry("received", 0), entry("routed", 1), entry("replied", 3)), version=3, served_by=ID,
)  # fmt: skip
UNKNOWN = Progress(ID, "received", None, Promise(None, None))


def kinds(progress: Progress, told: Place | None) -> list[str] | None:
    found = news(progress, told)
    return None if found is None else [each.kind for each in found.entries]


def test_who_begins_is_told_everything() -> None:
    found = news(KNOWN, None)
    assert found is not None
    assert [each.kind for each in found.entries] == ["received", "routed", "replied"]
    assert (found.place, found.reset) == (Place(ID, 3), False)


def test_who_comes_back_is_told_what_is_newer() -> None:
    assert kinds(KNOWN, Place(ID, 1)) == ["replied"]
    assert kinds(KNOWN, Place(ID, 0)) == ["routed", "replied"]
    assert kinds(KNOWN, Place(ID, 3)) is None


def test_a_change_nobody_sees_moves_the_place_only() -> None:
    found = news(replace(KNOWN, version=5), Place(ID, 3))
    assert found is not None
    assert (found.entries, found.place) == ((), Place(ID, 5))


def test_a_router_that_is_away_takes_nothing_back() -> None:
    assert news(UNKNOWN, Place(ID, 3)) is None
    assert news(replace(KNOWN, version=2), Place(ID, 3)) is None


def test_before_the_router_knows_it_the_first_entry_is_told_once() -> None:
    waiting = replace(UNKNOWN, timeline=(entry("received", 0),))
    found = news(waiting, None)
    assert found is not None
    assert found.place == Place(ID, 0)
    assert kinds(KNOWN, found.place) == ["routed", "replied"]


def test_where_nothing_is_known_at_first_nothing_is_missed_later() -> None:
    found = news(UNKNOWN, None)
    assert found is not None
    assert kinds(UNKNOWN, found.place) is None
    assert kinds(KNOWN, found.place) == ["received", "routed", "replied"]


def test_a_merging_starts_anew() -> None:
    found = news(replace(KNOWN, served_by=OTHER), Place(ID, 9))
    assert found is not None
    assert (len(found.entries), found.reset, found.place) == (3, True, Place(OTHER, 3))


@pytest.mark.parametrize("text", [None, "", "x", ":", ":3", "a:", "a:-1", "a:x", "a:١", "a" * 60 + ":1"])
def test_what_is_no_place_is_none(text: str | None) -> None:
    assert place_of(text) is None


def test_a_place_comes_back_as_it_was_written() -> None:
    assert place_of(str(Place(ID, 12))) == Place(ID, 12)
