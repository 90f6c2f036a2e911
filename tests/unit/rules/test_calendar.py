"""sla.md, "Calendar": weekly hours, holidays, made-up working days, local additions; correct across every odd day."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.calendar import add_working_time, covers, ranges_of, working_time_between
from rules.model import Calendar, OpenDate, TimeRange
from tests.unit.rules import slow_model
from tests.unit.rules.calendars import (
    AFTERNOON,
    ALWAYS,
    BERLIN,
    BRAND,
    MORNING,
    NEW_YORK,
    NIGHT,
    OFFICE,
    PLAIN,
    china,
    utc,
)

HOUR = timedelta(hours=1)
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("calendar", "start", "hours", "reached"),
    [
        pytest.param(OFFICE, "2026-03-02 11:00", 2, "2026-03-02 14:00", id="a lunch break doesn't count"),
        pytest.param(OFFICE, "2026-03-06 17:00", 2, "2026-03-09 10:00", id="a weekend doesn't count"),
        pytest.param(OFFICE, "2026-03-02 10:00", 2, "2026-03-02 12:00", id="a range used up ends there"),
        pytest.param(OFFICE, "2026-03-02 20:00", 1, "2026-03-03 10:00", id="a start after hours waits for the morning"),
        pytest.param(OFFICE, "2026-03-02 20:00", 0, "2026-03-02 20:00", id="no amount is due at the start"),
        pytest.param(OFFICE, "2026-09-30 17:00", 2, "2026-10-08 10:00", id="the national holiday doesn't count"),
        pytest.param(OFFICE, "2026-02-13 17:30", 1, "2026-02-14 09:30", id="a made-up Saturday counts like a Monday"),
        pytest.param(
            PLAIN, "2026-09-30 17:00", 2, "2026-10-01 10:00", id="without chinaHolidays it is an ordinary day"
        ),
        pytest.param(BRAND, "2026-03-03 17:30", 1, "2026-03-05 09:30", id="a date closed by the brand doesn't count"),
        pytest.param(BRAND, "2026-03-06 17:30", 1, "2026-03-07 10:30", id="a Saturday opened by the brand counts"),
        pytest.param(NIGHT, "2026-03-02 23:00", 3, "2026-03-03 02:00", id="midnight is no boundary"),
        pytest.param(NIGHT, "2028-02-28 23:00", 3, "2028-02-29 02:00", id="into a leap day"),
        pytest.param(PLAIN, "2028-02-29 17:00", 2, "2028-03-01 10:00", id="out of a leap day"),
        pytest.param(ALWAYS, "2026-12-31 23:00", 2, "2027-01-01 01:00", id="always is the round-the-clock calendar"),
    ],
)
def test_working_time_is_added(calendar: Calendar, start: str, hours: int, reached: str) -> None:
    assert add_working_time(calendar, china(start), hours * HOUR) == china(reached)


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        pytest.param("2026-03-28 23:00", "2026-03-29 23:00", 14, id="Berlin's spring: 01:00-04:00 has two hours"),
        pytest.param("2026-10-24 22:00", "2026-10-25 23:00", 16, id="Berlin's autumn: 01:00-04:00 has four hours"),
        pytest.param("2026-06-10 22:00", "2026-06-11 22:00", 15, id="an ordinary day has fifteen"),
    ],
)
def test_an_hour_skipped_is_not_worked_and_one_that_comes_twice_counts_twice(start: str, end: str, hours: int) -> None:
    assert working_time_between(BERLIN, utc(start), utc(end)) == hours * HOUR


def test_a_range_that_begins_in_the_skipped_hour_begins_with_the_next() -> None:
    calendar = Calendar("gap", time_zone="Europe/Berlin", weekly=((TimeRange(150, 240),),) * 7)
    assert working_time_between(calendar, utc("2026-03-29 00:00"), utc("2026-03-29 12:00")) == HOUR
    assert add_working_time(calendar, utc("2026-03-29 00:00"), timedelta(minutes=1)) == utc("2026-03-29 01:01")


def test_a_day_of_the_whole_clock_has_23_or_25_hours_when_the_clock_changes() -> None:
    assert working_time_between(NEW_YORK, utc("2026-03-08 05:00"), utc("2026-03-09 04:00")) == 23 * HOUR
    assert working_time_between(NEW_YORK, utc("2026-11-01 04:00"), utc("2026-11-02 05:00")) == 25 * HOUR


def test_beyond_the_published_years_weekly_hours_are_used_and_it_says_so() -> None:
    monday, holiday = date(2098, 10, 6), date(2026, 10, 1)
    assert covers(OFFICE, holiday)
    assert ranges_of(OFFICE, holiday) == ()
    assert not covers(OFFICE, monday)
    assert ranges_of(OFFICE, monday) == (MORNING, AFTERNOON)
    assert covers(PLAIN, monday)
    assert covers(ALWAYS, monday)


def test_a_date_the_brand_gave_itself_is_covered_in_any_year() -> None:
    own = replace(OFFICE, dates=(OpenDate(date(2098, 10, 6), ()),))
    assert covers(own, date(2098, 10, 6))
    assert not covers(own, date(2098, 10, 7))


def test_a_calendar_without_hours_is_an_error_not_an_endless_loop() -> None:
    with pytest.raises(ValueError, match="closed has no working time"):
        add_working_time(Calendar("closed"), utc("2026-03-01 00:00"), HOUR)


def test_calendars_with_the_same_hours_have_the_same_hash() -> None:
    assert Calendar("office", weekly=OFFICE.weekly, china_holidays=True).hash == OFFICE.hash
    assert PLAIN.hash != OFFICE.hash


@patient
@given(
    calendar=st.sampled_from([OFFICE, PLAIN, NIGHT, BERLIN, NEW_YORK, BRAND]),
    start=st.one_of(
        st.integers(0, 60 * 24 * 360),
        st.integers(60 * 24 * 86, 60 * 24 * 89),
        st.integers(60 * 24 * 296, 60 * 24 * 299),
        st.integers(60 * 24 * 65, 60 * 24 * 68),
    ),
    minutes=st.integers(0, 1500),
)
def test_working_time_equals_the_minute_by_minute_model(calendar: Calendar, start: int, minutes: int) -> None:
    begin = utc("2026-01-01 00:00") + start * slow_model.MINUTE
    end = begin + 3 * minutes * slow_model.MINUTE
    worked = slow_model.worked(calendar, begin, end)
    assert working_time_between(calendar, begin, end) == worked
    if worked:
        assert add_working_time(calendar, begin, worked) == slow_model.reached(calendar, begin, worked)


@patient
@given(
    calendar=st.sampled_from([OFFICE, PLAIN, NIGHT, BERLIN, NEW_YORK, BRAND]),
    start=st.datetimes(utc("2025-01-01 00:00").replace(tzinfo=None), utc("2027-12-31 00:00").replace(tzinfo=None)),
    amount=st.timedeltas(timedelta(microseconds=1), timedelta(days=10)),
)
def test_adding_is_the_inverse_of_counting(calendar: Calendar, start: object, amount: timedelta) -> None:
    begin = utc(str(start))
    end = add_working_time(calendar, begin, amount)
    assert working_time_between(calendar, begin, end) == amount
    assert working_time_between(calendar, begin, end - timedelta(microseconds=1)) < amount
