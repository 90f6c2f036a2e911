"""Who is at work, and who is on call."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from rules.calendar import open_at
from rules.model import Calendar
from rules.staff import Person, Queue, Rota, Shift, at_work, present_or_all, staff_of
from tests.unit.rules.calendars import BERLIN, NEW_YORK, NIGHT, OFFICE, china, utc

HOURS: Mapping[tuple[str, str], Calendar] = {
    ("default", "office"): OFFICE,
    ("default", "night"): NIGHT,
    ("berlin", "day"): BERLIN,
    ("york", "day"): NEW_YORK,
}


def calendars(brand: str, name: str) -> Calendar | None:
    return HOURS.get((brand, name))


def working(at: datetime, brand: str = "default", **person: object) -> bool:
    return at_work(Person("li", **person), brand, calendars, at)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-20 08:59:59", False),
        ("2026-11-20 09:00", True),
        ("2026-11-20 11:59:59", True),
        # Lunch.
        ("2026-11-20 12:00", False),
        ("2026-11-20 13:00", True),
        ("2026-11-20 18:00", False),
        # Saturday; a made-up working Saturday; the national holiday.
        ("2026-11-21 10:00", False),
        ("2026-02-14 10:00", True),
        ("2026-10-01 10:00", False),
    ],
)
def test_working_hours_have_lunch_breaks_weekends_and_holidays(at: str, expected: bool) -> None:
    assert working(china(at), working_hours="office") is expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [("21:59", False), ("22:00", True), ("23:59", True), ("00:00", True), ("05:59", True), ("06:00", False)],
)
def test_a_night_shift_goes_over_midnight(at: str, expected: bool) -> None:
    assert working(china(f"2026-11-20 {at}"), working_hours="night") is expected


def test_working_hours_follow_the_wall_clock_over_a_change_of_daylight_saving() -> None:
    # Berlin works 8 to 20: from 7 UTC in winter, from 6 UTC in summer. The clocks change on 29 March 2026.
    before, after = utc("2026-03-28 06:30"), utc("2026-03-29 06:30")
    assert not working(before, "berlin", working_hours="day")
    assert working(after, "berlin", working_hours="day")
    # The skipped hour (2 to 3) isn't there; 1 to 4 is worked in the night of the change all the same.
    assert working(utc("2026-03-29 00:30"), "berlin", working_hours="day")
    assert working(utc("2026-03-29 01:59"), "berlin", working_hours="day")
    assert not working(utc("2026-03-29 02:00"), "berlin", working_hours="day")


def test_the_hour_that_comes_twice_is_worked_twice() -> None:
    for at in ("2026-11-01 05:30", "2026-11-01 06:30"):
        assert open_at(NEW_YORK, utc(at))


def test_away_and_removed_people_dont_work_and_without_hours_one_works_round_the_clock() -> None:
    at = china("2026-11-22 03:00")
    assert working(at)
    assert not working(at, away=True)
    assert not working(at, removed=True)


def test_hours_that_nobody_knows_any_more_make_nobody_unreachable() -> None:
    assert working(china("2026-11-22 03:00"), working_hours="renamed")


def test_the_hours_of_a_person_of_several_brands_are_found_where_they_are() -> None:
    at = china("2026-11-21 10:00")
    assert not working(at, "demo", brands=("demo", "default"), working_hours="office")


def test_if_nobody_is_at_work_everybody_is_told() -> None:
    day, night = Person("day", working_hours="office"), Person("night", working_hours="night")
    assert present_or_all([day, night], "default", calendars, china("2026-11-20 10:00")) == [day]
    assert present_or_all([day, night], "default", calendars, china("2026-11-20 23:00")) == [night]
    assert present_or_all([day, night], "default", calendars, china("2026-11-20 19:00")) == [day, night]


def test_on_call_across_midnight_from_the_start_to_just_before_the_end() -> None:
    start = china("2026-11-20 20:00")
    rota = Rota(
        "default",
        "emergency",
        (
            Shift("lin", start, start + timedelta(hours=12)),
            Shift("wu", start + timedelta(hours=12), start + timedelta(hours=24)),
        ),
    )
    second = timedelta(seconds=1)
    assert rota.on_call(start - second) == ()
    assert rota.on_call(start) == ("lin",)
    assert rota.on_call(china("2026-11-20 23:59")) == rota.on_call(china("2026-11-21 00:00")) == ("lin",)
    assert rota.on_call(china("2026-11-21 08:00") - second) == ("lin",)
    assert rota.on_call(china("2026-11-21 08:00")) == ("wu",)


def test_two_on_one_shift_are_both_on_call_each_once() -> None:
    start, end = utc("2026-11-20 00:00"), utc("2026-11-21 00:00")
    rota = Rota("default", "r", (Shift("b", start, end), Shift("a", start, end), Shift("b", start, end)))
    assert rota.on_call(start) == ("b", "a")


def test_of_one_record_the_highest_version_counts_and_removed_ones_are_not_there() -> None:
    staff = staff_of([Person("li", version=2, removed=True), Person("li", version=1), Queue("default", "q", version=1)])
    assert staff.person("li") is None
    assert staff.queue("default", "q") == Queue("default", "q", version=1)
    assert staff.queue("demo", "q") is None
