"""What is a surge, what isn't, and what becomes of one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bench.simulate import START, complaints
from rules.surges import SurgePolicy
from services.sla.surge import counting
from services.sla.surge.baseline import Season
from services.sla.surge.detector import Brand, close
from services.sla.surge.model import Change, Counts, Dimension, Key, OrderAffected
from services.sla.surge.rules import compile_rules
from tests.unit.sla.surge.town import DAYS, MINUTE, NOON, RULES, Town, learnt, rows, small, us


def test_silence_is_no_surge_and_opens_nothing_when_it_ends() -> None:
    town = learnt()
    for hours in range(1, 48):
        assert town.tick(NOON + timedelta(hours=hours)) == []
    town.each(rows(2, NOON + timedelta(hours=48)))
    assert town.opened == []


def test_from_night_to_lunch_complaints_rise_twentyfold_without_an_alarm() -> None:
    town = learnt()
    by_hour = town.brand.counted.seasons["delivery"].factors
    assert max(by_hour) > 20 * min(by_hour), "the day has its peaks"
    town.each(complaints(small(), START + timedelta(days=DAYS, hours=11), 3 * 24))
    assert town.opened == []


def test_without_seasons_the_same_lunch_would_be_an_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    # A planted bug: every hour is taken to be like the night.
    town = learnt()
    monkeypatch.setattr(Season, "settle", lambda *_: None)
    for season in town.brand.counted.seasons.values():
        season.factors = [0.05] * 168
    town.each(complaints(small(), START + timedelta(days=DAYS, hours=11), 3))
    assert town.opened


def test_a_rise_is_told_with_the_very_complaint_that_makes_it_significant() -> None:
    town = learnt()
    answers = [bool(town.tell(row)) for row in rows(12)]
    first = answers.index(True)
    assert [incident.key for incident in town.opened] == [Key("product_quality", Dimension.MERCHANT, "m3")]
    assert 4 <= first <= 7, "at least five, and not many more"
    assert town.opened[0].opened_us == rows(12)[first].at_us


def test_four_complaints_are_never_a_surge() -> None:
    town = learnt()
    town.each(rows(4, every=timedelta(seconds=1)))
    assert town.opened == []


def test_a_slow_rise_is_found() -> None:
    town = learnt()
    # One complaint in five minutes at a shop that has one in several days.
    town.each(rows(12, every=timedelta(minutes=5)))
    assert [incident.key.value for incident in town.opened] == ["m3"]
    assert town.opened[0].window == 60


def test_two_causes_at_once_are_two_incidents() -> None:
    town = learnt()
    both = rows(12) + rows(12, region="r2", merchants=("m9",), every=timedelta(seconds=25))
    town.each(sorted(both, key=lambda row: row.at_us))
    assert {incident.key.value for incident in town.opened} == {"m3", "m9"}


def test_the_same_shop_with_two_kinds_of_complaints_is_an_incident_of_each_kind() -> None:
    town = learnt()
    both = rows(12) + rows(12, category="missing_or_wrong")
    town.each(sorted(both, key=lambda row: row.at_us))
    assert {incident.key.category for incident in town.opened} == {"product_quality", "missing_or_wrong"}


def test_a_storm_over_a_region_is_one_incident_and_not_one_of_each_shop() -> None:
    town = learnt()
    town.each(rows(60, category="delivery", merchants=[f"m{n}" for n in range(15)], every=timedelta(seconds=15)))
    last = {incident.id: incident for change in Change for incident in town.told(change)}
    assert [incident.key for incident in last.values()] == [Key("delivery", Dimension.REGION, "r0")]


def test_a_failure_everywhere_is_one_incident() -> None:
    town = learnt()
    spread = [
        replace(row, region=f"r{index % 3}", station=f"s{index % 12}")
        for index, row in enumerate(
            rows(80, category="system", merchants=[f"m{n}" for n in range(29)], every=timedelta(seconds=10))
        )
    ]
    town.each(spread)
    last = {incident.id: incident for change in Change for incident in town.told(change)}
    assert [incident.key for incident in last.values()] == [Key("system", Dimension.ALL, "")]


def test_a_bad_batch_of_one_product_is_named_by_the_product() -> None:
    town = learnt()
    other = rows(2, NOON + timedelta(seconds=3), product="p3-2")
    batch = sorted(rows(14, product="p3-0") + other, key=lambda row: row.at_us)
    town.each(batch)
    last = [*town.opened, *town.told(Change.UPDATED)][-1]
    assert last.key == Key("product_quality", Dimension.PRODUCT, "p3-0")


def test_a_complaint_that_comes_eight_minutes_late_is_judged_and_one_of_eleven_minutes_is_dropped() -> None:
    town = learnt()
    town.tick(NOON + 9 * MINUTE)
    town.each(rows(12, every=timedelta(seconds=3)))
    assert [incident.key.value for incident in town.opened] == ["m3"]
    late = learnt()
    late.tick(NOON + 11 * MINUTE)
    late.each(rows(12, every=timedelta(seconds=3)))
    assert late.opened == []
    assert late.brand.counted.dropped == 12


def test_the_same_message_twice_and_in_other_portions_counts_once() -> None:
    once, twice = learnt(), learnt()
    batch = tuple((2_000_000 + index, row) for index, row in enumerate(rows(12)))
    once.take(Counts("town", "tickets.v1/3", batch))
    for part in (batch[:3], batch[:7], batch, batch[2:5], batch):
        twice.take(Counts("town", "tickets.v1/3", part))
    key = Key("product_quality", Dimension.MERCHANT, "m3")
    assert once.brand.counted.counts(key, RULES) == twice.brand.counted.counts(key, RULES)
    assert once.opened[0].key == twice.opened[0].key
    assert len(twice.opened) == 1


def test_a_ticket_that_was_published_twice_counts_once() -> None:
    town = learnt()
    four = rows(4)
    town.each([*four, *four, *four])
    assert town.opened == []


def test_taken_twice_they_would_be_a_surge(monkeypatch: pytest.MonkeyPatch) -> None:
    # A planted bug: what is known already isn't noticed, because nothing is kept.
    monkeypatch.setattr(counting, "MOST_RECENT", 0)
    town = learnt()
    four = rows(4)
    town.each([*four, *four, *four])
    assert town.opened


def test_later_complaints_attach_by_themselves_and_each_ticket_is_told_once() -> None:
    town = learnt()
    batch = rows(30)
    town.each(batch)
    town.tick(NOON + 12 * MINUTE)
    fresh = [ticket for change in (Change.OPENED, Change.UPDATED) for i in town.told(change) for ticket in i.fresh]
    assert fresh == [row.ticket for row in batch]
    last = town.told(Change.UPDATED)[-1]
    assert (last.complaints, last.merchants) == (30, {"m3": 30})
    assert sum(last.minutes.values()) == 30
    assert [i.version for i in [*town.opened, *town.told(Change.UPDATED)]] == list(range(1, last.version + 1))


def test_each_order_behind_an_incident_is_asked_for_once() -> None:
    town = learnt()
    batch = rows(20)
    same = [replace(row, ticket=f"again-{row.ticket}") for row in batch[5:8]]
    town.each(sorted([*batch, *same], key=lambda row: row.at_us))
    asked = [effect.complaint.order for effect in town.effects if isinstance(effect, OrderAffected)]
    assert sorted(asked) == sorted({row.order for row in batch})


def test_a_failure_everywhere_is_no_fault_of_an_order() -> None:
    town = learnt()
    town.each(rows(60, category="system", merchants=[f"m{n}" for n in range(29)], every=timedelta(seconds=10)))
    for index, effect in enumerate(town.effects):
        if isinstance(effect, OrderAffected):
            before = [e for e in town.effects[:index] if getattr(e, "incident", None)]
            assert any(e.incident.key.dimension is not Dimension.ALL for e in before)  # type: ignore[union-attr]


def test_an_incident_ends_when_the_rate_has_been_back_for_a_quarter_of_an_hour_though_nobody_complains() -> None:
    town = learnt()
    town.each(rows(30))
    [incident] = town.opened
    end = NOON + timedelta(seconds=20 * 29)
    for minute in range(1, 40):
        town.tick(end + minute * MINUTE)
    [closed] = town.told(Change.CLOSED)
    assert closed.id == incident.id
    assert 15 * MINUTE <= timedelta(microseconds=closed.closed_us - us(end)) <= 17 * MINUTE


def test_what_is_left_of_an_ended_surge_in_the_longer_windows_opens_nothing() -> None:
    town = learnt()
    town.each(rows(30))
    end = NOON + timedelta(seconds=20 * 29)
    for minute in range(1, 20):
        town.tick(end + minute * MINUTE)
    assert town.told(Change.CLOSED)
    town.each(rows(2, end + 21 * MINUTE) + rows(1, end + 25 * MINUTE, merchants=("m4",)))
    assert len(town.opened) == 1


def test_a_second_surge_of_the_same_shop_is_an_incident_of_its_own() -> None:
    town = learnt()
    town.each(rows(30))
    for minute in range(1, 90):
        town.tick(NOON + 10 * MINUTE + minute * MINUTE)
    town.each(rows(12, NOON + 105 * MINUTE))
    first, second = town.opened
    assert first.key == second.key
    assert first.id != second.id


def test_what_a_person_closed_stays_closed_while_it_goes_on() -> None:
    town = learnt()
    town.each(rows(12))
    [incident] = town.opened
    found = close(town.brand, incident.id, "closed by lin", town.brand.counted.now_us, RULES)
    assert [effect.why for effect in found] == ["closed by lin"]  # type: ignore[union-attr]
    assert close(town.brand, incident.id, "again", town.brand.counted.now_us, RULES) == []
    assert close(town.brand, "nonsense", "", town.brand.counted.now_us, RULES) == []
    town.each(rows(40, NOON + 5 * MINUTE))
    assert len(town.opened) == 1


def test_a_new_brand_is_only_watched_at_first() -> None:
    town = Town(Brand("new"))
    town.each(rows(40))
    assert town.opened == []
    town.tick(NOON + timedelta(hours=25))
    town.each(rows(40, NOON + timedelta(hours=25)))
    assert town.opened


def test_the_scale_of_seconds_finds_a_surge_within_seconds() -> None:
    second = timedelta(milliseconds=500)
    policy = SurgePolicy(
        bucket=second,
        windows=(second, second * 5, second * 15, second * 60),
        late=second * 10,
        learn=second,
        close_after=second * 16,
        update_every=second,
        day=(1,) * 24,
        floors=dict.fromkeys(("all", "region", "station", "merchant", "product"), 4000),
        false_per_year=3000,
    )
    town = Town(Brand("demo"), compile_rules(policy, "UTC"))
    town.tick(NOON)
    town.tick(NOON + second * 4)
    town.each(rows(9, NOON + second * 4, every=second / 2))
    assert [incident.key.value for incident in town.opened] == ["m3"]


def test_values_beyond_the_bound_are_not_followed_but_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    town = learnt()
    monkeypatch.setattr(counting, "MOST_SERIES", len(town.brand.counted.series))
    town.tell(*rows(3, merchants=("m-new", "m-newer", "m-newest")))
    assert town.brand.counted.unfollowed == 3
    assert Key("product_quality", Dimension.MERCHANT, "m-new") not in town.brand.counted.series


def test_after_years_of_silence_a_brand_goes_on() -> None:
    town = learnt()
    town.tick(NOON + timedelta(days=2000))
    assert town.brand.counted.hour > 0
    town.each(rows(12, NOON + timedelta(days=2000, hours=1)))
    assert [incident.key.value for incident in town.opened] == ["m3"]
