"""The table's rows give the state back, also after a death in the middle of a writing."""

import itertools
import secrets
from datetime import timedelta

import pytest

from rules.surges import SurgePolicy
from services.sla.surge.detector import Brand
from services.sla.surge.model import Dimension, Key, Orders
from services.sla.surge.rows import PART, changed_rows, everything_changed, journal, restore, whole
from services.sla.surge.rules import Rules, compile_rules
from tests.unit.sla.surge.town import MINUTE, NOON, RULES, Town, learnt, rows, us


class Table:
    """What a table keeps, and how a process that dies leaves it."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}
        self.number = 0

    def write(self, brand: Brand, dies_after: int = 10**9) -> int:
        """Journal, then rows, as the agent does; stops after so many writes. Returns how many there would be."""
        self.number += 1
        changed = changed_rows(brand, RULES)
        writes: list[tuple[bytes, bytes | None]] = [
            *journal(brand.name, self.number, changed).items(),
            *changed.items(),
        ]
        for key, value in writes[:dies_after]:
            if value is None:
                self.kept.pop(key, None)
            else:
                self.kept[key] = value
        return len(writes)

    def read(self, rules: Rules = RULES) -> Brand:
        found, _ = whole("town", self.kept.items())
        return restore("town", found, rules)


def busy() -> Town:
    """A town with an open incident, an ended one, orders and records."""
    town = learnt()
    town.orders(*[Orders(us(NOON), False, "r0") for _ in range(40)])
    town.orders(*[Orders(us(NOON), True, "r0", "m3", "k1", ("p1", "p2")) for _ in range(40)])
    town.each(rows(20, product="p1", station="s0-1", courier="k1"))
    town.tick(NOON + 30 * MINUTE)
    town.each(rows(14, NOON + 31 * MINUTE, category="price", merchants=("m9",), region="r2"))
    return town


def test_what_is_read_back_is_what_was_written() -> None:
    town, table = busy(), Table()
    everything_changed(town.brand)
    table.write(town.brand)
    back = table.read()
    assert back.sources == town.brand.sources
    assert back.incidents == town.brand.incidents
    assert back.counted.series == town.brand.counted.series
    assert back.counted.seasons == town.brand.counted.seasons
    assert back.counted.peers == town.brand.counted.peers
    assert back.counted.habits == town.brand.counted.habits
    assert back.counted.recent == town.brand.counted.recent
    assert back.quality.records == town.brand.quality.records
    assert back.regions.orders == town.brand.regions.orders
    assert back.regions.suggested == town.brand.regions.suggested


def test_a_detector_that_was_read_back_says_what_the_one_that_went_on_says() -> None:
    town, table = busy(), Table()
    everything_changed(town.brand)
    table.write(town.brand)
    other = Town(table.read(), offset=town.offset)
    town.effects.clear()
    for each in (town, other):
        each.each(rows(12, NOON + 40 * MINUTE, merchants=("m12",), region="r1"))
        each.tick(NOON + 70 * MINUTE)
        each.each(rows(30, NOON + timedelta(hours=25), category="delivery", merchants=("m4", "m5")))
    assert town.effects == other.effects
    assert town.effects


def test_only_what_changed_is_written_and_the_rest_stays() -> None:
    town, table = busy(), Table()
    everything_changed(town.brand)
    all_of_it = table.write(town.brand)
    town.each(rows(1, NOON + 46 * MINUTE))
    little = table.write(town.brand)
    assert little < 15 < all_of_it
    assert table.read().counted.series == town.brand.counted.series


def test_a_death_between_any_two_rows_leaves_the_state_before_or_after_and_nothing_between() -> None:
    before, after = busy(), None
    table = Table()
    everything_changed(before.brand)
    table.write(before.brand)
    old = table.read()
    kept = dict(table.kept)
    before.each(rows(9, NOON + 47 * MINUTE, merchants=("m12",), region="r1"))
    town_after = before.brand
    seen = set()
    for dies in itertools.count():
        table.kept = dict(kept)
        everything_changed(town_after)
        wanted = table.write(town_after, dies)
        found = table.read()
        assert found.sources in (old.sources, town_after.sources)
        same = found.counted.series == town_after.counted.series
        assert same == (found.sources == town_after.sources)
        assert same or found.counted.series == old.counted.series
        seen.add(same)
        if dies >= wanted:
            break
    assert seen == {True, False}
    assert after is None


def test_without_the_journal_a_death_would_leave_something_between() -> None:
    # A planted bug: rows are written without a journal before them.
    town, table = busy(), Table()
    everything_changed(town.brand)
    table.write(town.brand)
    old = table.read()
    town.each(rows(9, NOON + 47 * MINUTE, merchants=("m12",), region="r1"))
    changed = [(key, value) for key, value in changed_rows(town.brand, RULES).items() if value is not None]
    table.kept = {key: value for key, value in table.kept.items() if b"\0journal\0" not in key}
    table.kept.update(changed[:1])
    found = table.read()
    assert (found.counted.series, found.sources) != (old.counted.series, old.sources)
    assert (found.counted.series, found.sources) != (town.brand.counted.series, town.brand.sources)


def test_a_journal_in_parts_counts_only_when_all_are_there() -> None:
    content = {b"town\0series\0" + str(n).encode(): secrets.token_bytes(PART // 2) for n in range(5)}
    parts = journal("town", 7, dict(content))
    assert len(parts) > 2
    found, number = whole("town", parts.items())
    assert (found, number) == (content, 7)
    some = dict(list(parts.items())[:-1])
    assert whole("town", some.items()) == ({}, 7)


def test_brands_whose_names_begin_alike_are_apart() -> None:
    table = Table()
    everything_changed(busy().brand)
    table.write(learnt().brand)
    assert whole("tow", table.kept.items()) == ({}, 0)


@pytest.mark.parametrize("minutes", [2, 1])
def test_after_a_change_of_the_buckets_what_is_usual_is_still_known(minutes: int) -> None:
    town, table = busy(), Table()
    everything_changed(town.brand)
    table.write(town.brand)
    rules = compile_rules(SurgePolicy(bucket=timedelta(minutes=minutes), windows=(timedelta(minutes=10),)), "UTC")
    back = table.read(rules)
    key = Key("price", Dimension.ALL, "")
    assert back.counted.series[key].level == town.brand.counted.series[key].level
    assert (sum(back.counted.series[key].ring) > 0) == (minutes == 1)
    assert len(back.counted.series[key].ring) == rules.size
