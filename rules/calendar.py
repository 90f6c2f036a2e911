"""Working time. An instant is working time if its local wall clock lies inside a range of its local date.

That decides daylight saving too: an hour that is skipped isn't worked, an hour that comes twice counts twice.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from chinese_calendar import constants as china

from rules.model import Calendar, TimeRange

_DAY = timedelta(days=1)
_CHINA_YEARS = frozenset(day.year for day in china.holidays)
_LONGEST_CLOSURE_DAYS = 400


def covers(calendar: Calendar, day: date) -> bool:
    """Whether the calendar really knows `day`.

    False beyond the years of the published Chinese calendar: there the weekly hours are used (pitfalls.md), and the
    caller warns and counts.
    """
    if calendar.always or not calendar.china_holidays or day.year in _CHINA_YEARS:
        return True
    return any(own.date == day for own in calendar.dates)


def ranges_of(calendar: Calendar, day: date) -> tuple[TimeRange, ...]:
    """The ranges worked on a local date: the brand's own date, else China's calendar, else the weekly hours."""
    for own in calendar.dates:
        if own.date == day:
            return own.ranges
    if calendar.china_holidays and day in china.holidays:
        return ()
    if calendar.china_holidays and day in china.workdays:
        return calendar.weekly[calendar.made_up_as]
    return calendar.weekly[day.weekday()]


@lru_cache(maxsize=65536)
def _spans(calendar: Calendar, day: date) -> tuple[tuple[datetime, datetime], ...]:
    """The ranges of a local date as UTC spans, ascending."""
    ranges = ranges_of(calendar, day)
    if not ranges:
        return ()
    zone = ZoneInfo(calendar.time_zone)
    midnight = datetime.combine(day, time(), UTC)
    spans = []
    for start, end, offset in _pieces(zone, midnight - _DAY, midnight + 2 * _DAY):
        for each in ranges:
            opened = max(start, midnight + timedelta(minutes=each.start) - offset)
            closed = min(end, midnight + timedelta(minutes=each.end) - offset)
            if opened < closed:
                spans.append((opened, closed))
    return tuple(sorted(spans))


def _pieces(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """Parts of a few days with one UTC offset each (at most one change of offset in between)."""
    before, after = _offset(zone, start), _offset(zone, end)
    if before == after:
        yield start, end, before
        return
    low, high = start, end
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    yield start, high, before
    yield high, end, after


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _local_date(calendar: Calendar, instant: datetime) -> date:
    return instant.astimezone(ZoneInfo(calendar.time_zone)).date()


def open_at(calendar: Calendar, instant: datetime) -> bool:
    """Whether an instant is working time: from the start of a range to just before its end."""
    if calendar.always:
        return True
    return any(opened <= instant < closed for opened, closed in _spans(calendar, _local_date(calendar, instant)))


def working_time_between(calendar: Calendar, start: datetime, end: datetime) -> timedelta:
    """The working time from `start` to `end` (both aware), zero if `end` isn't later."""
    if end <= start:
        return timedelta()
    if calendar.always:
        return end - start
    total = timedelta()
    day, last = _local_date(calendar, start), _local_date(calendar, end)
    while day <= last:
        for opened, closed in _spans(calendar, day):
            total += max(timedelta(), min(closed, end) - max(opened, start))
        day += _DAY
    return total


def add_working_time(calendar: Calendar, start: datetime, amount: timedelta) -> datetime:
    """The first instant (UTC) at which the working time since `start` reaches `amount`; `start` itself for no amount.

    A range that is used up exactly ends there, not at the next opening. Raises ValueError for a calendar that is closed
    for more than a year on end (the policy check refuses such files).
    """
    start = start.astimezone(UTC)
    if amount <= timedelta():
        return start
    if calendar.always:
        return start + amount
    day, left, closed_days = _local_date(calendar, start), amount, 0
    while closed_days < _LONGEST_CLOSURE_DAYS:
        spans = _spans(calendar, day)
        for opened, closed in spans:
            opened = max(opened, start)
            if opened >= closed:
                continue
            if closed - opened >= left:
                return opened + left
            left -= closed - opened
        closed_days = 0 if spans else closed_days + 1
        day += _DAY
    raise ValueError(f"calendar {calendar.name} has no working time after {start.isoformat()}")
