"""Calendars that the tests share."""

from datetime import UTC, date, datetime

from rules.model import Calendar, OpenDate, TimeRange

MORNING, AFTERNOON = TimeRange(9 * 60, 12 * 60), TimeRange(13 * 60, 18 * 60)
WEEK = ((MORNING, AFTERNOON),) * 5 + ((), ())
ALWAYS = Calendar("always", always=True)
OFFICE = Calendar("office", weekly=WEEK, china_holidays=True)
PLAIN = Calendar("plain", weekly=WEEK)
NIGHT = Calendar("night", weekly=((TimeRange(0, 6 * 60), TimeRange(22 * 60, 1440)),) * 7)
BERLIN = Calendar("berlin", time_zone="Europe/Berlin", weekly=((TimeRange(60, 240), TimeRange(480, 1200)),) * 7)
NEW_YORK = Calendar("new_york", time_zone="America/New_York", weekly=((TimeRange(0, 1440),),) * 7)
BRAND = Calendar(
    "brand",
    weekly=WEEK,
    china_holidays=True,
    dates=(OpenDate(date(2026, 3, 4), ()), OpenDate(date(2026, 3, 7), (TimeRange(600, 720),))),
)


def utc(text: str) -> datetime:
    """As in "2026-03-01 12:00" in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def china(text: str) -> datetime:
    """As in "2026-03-01 12:00" in China, as UTC."""
    return datetime.fromisoformat(f"{text}+08:00").astimezone(UTC)
