"""The clock minute by minute: the slow and obvious way, which the fast one is compared with.

It knows nothing of `rules.calendar` but the ranges of a date; instants are whole minutes.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from rules.calendar import ranges_of
from rules.clock import Segments
from rules.model import Calendar

MINUTE = timedelta(minutes=1)


def is_open(calendar: Calendar, instant: datetime) -> bool:
    """Whether the minute that begins at `instant` is working time: its local wall clock lies inside a range."""
    if calendar.always:
        return True
    local = instant.astimezone(ZoneInfo(calendar.time_zone))
    minute = local.hour * 60 + local.minute
    return any(each.start <= minute < each.end for each in ranges_of(calendar, local.date()))


def worked(calendar: Calendar, start: datetime, end: datetime) -> timedelta:
    """The working time between two whole minutes."""
    minutes = int((end - start) / MINUTE)
    return MINUTE * sum(is_open(calendar, start + MINUTE * index) for index in range(minutes))


def reached(calendar: Calendar, start: datetime, amount: timedelta) -> datetime:
    """The first whole minute at which the working time since `start` is `amount`."""
    instant, total = start, timedelta()
    while total < amount:
        total += MINUTE if is_open(calendar, instant) else timedelta()
        instant += MINUTE
    return instant.astimezone(UTC)


def counts(segments: Segments, instant: datetime) -> bool:
    """Whether the minute that begins at `instant` counts."""
    for each in segments:
        if each.start <= instant and (each.end is None or instant < each.end):
            return each.state == "running" and is_open(each.terms.calendar, instant)
    return False


def elapsed(segments: Segments, at: datetime) -> timedelta:
    """Elapsed time up to the whole minute `at`."""
    start = segments[0].start
    return MINUTE * sum(counts(segments, start + MINUTE * i) for i in range(int((at - start) / MINUTE)))


def deadline(segments: Segments, horizon: datetime) -> datetime | None:
    """The first whole minute at which elapsed is the last target, not before that took effect; None by `horizon`."""
    target, total, instant = segments[-1].terms.target, timedelta(), segments[0].start
    while total < target:
        if instant >= horizon:
            return None
        total += MINUTE if counts(segments, instant) else timedelta()
        instant += MINUTE
    effective = segments[-1].start
    for each in reversed(segments):
        if each.terms != segments[-1].terms:
            break
        effective = each.start
    return max(instant, effective)
