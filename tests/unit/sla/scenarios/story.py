"""A story: what is promised, what happens when, and everything the watchdog says about it. Read from YAML."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from rules.model import Calendar, EscalationLevel, Metric, OpenDate, TimeRange, Way

FOLDER = Path(__file__).parent
MONDAY = "2026-03-02"

_DAY = (TimeRange(9 * 60, 12 * 60), TimeRange(13 * 60, 18 * 60))
_NINE_TO_FIVE = (TimeRange(9 * 60, 17 * 60),)
_CLOSED: tuple[TimeRange, ...] = ()
CALENDARS: Mapping[str, Calendar] = {
    each.name: each
    for each in (
        Calendar("always", always=True),
        Calendar("office", weekly=(_DAY,) * 5 + (_CLOSED,) * 2, china_holidays=True),
        Calendar(
            "brand",
            weekly=(_DAY,) * 5 + (_CLOSED,) * 2,
            china_holidays=True,
            dates=(OpenDate(date(2026, 3, 4), ()), OpenDate(date(2026, 2, 18), (TimeRange(10 * 60, 12 * 60),))),
        ),
        Calendar("night", weekly=((TimeRange(0, 6 * 60), TimeRange(22 * 60, 24 * 60)),) * 7),
        Calendar("new_york", "America/New_York", weekly=(_NINE_TO_FIVE,) * 5 + (_CLOSED,) * 2),
        Calendar("new_york_nights", "America/New_York", weekly=((TimeRange(0, 6 * 60),),) * 7),
    )
}
CALENDAR_WORDS: Mapping[str, str] = {
    "always": "round the clock",
    "office": "Monday to Friday 09:00-12:00 and 13:00-18:00 in China, with China's holidays and made-up working days",
    "brand": "as `office`, but closed on 2026-03-04 and open 10:00-12:00 on 2026-02-18, a holiday",
    "night": "every day 22:00-06:00 in China",
    "new_york": "Monday to Friday 09:00-17:00 in New York",
    "new_york_nights": "every day 00:00-06:00 in New York",
}

_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_TIME = re.compile(r"(?:(\d{4}-\d\d-\d\d) )?(\d\d:\d\d(?::\d\d)?)([+-]\d\d:\d\d)?")


def duration(text: str) -> timedelta:
    """ "30m", "2h", "90s", "3d"."""
    return int(text[:-1]) * _UNITS[text[-1]]


@dataclass(frozen=True)
class Promised:
    """A target as a story names it: "first_response 30m of office"."""

    metric: Metric
    target: timedelta
    calendar: Calendar


def promised(text: str) -> tuple[Promised, ...]:
    """ "first_response 30m of office, resolution 48h"."""
    found = []
    for each in text.split(","):
        metric, target, *calendar = each.split()
        found.append(Promised(Metric(metric), duration(target), CALENDARS[calendar[1] if calendar else "always"]))
    return tuple(found)


@dataclass(frozen=True)
class Line:
    """Something that happens: `at` by its own time, and learnt by the watchdog at `seen`."""

    at: datetime
    seen: datetime
    what: str


@dataclass(frozen=True)
class Story:
    """One row of the table. `then` is all that the watchdog says, in order; `reason` that of the last breach.

    `waits`: the maximum of a pause, and how long after the reminder it is closed, or "never".
    """

    says: str
    promises: str
    happens: tuple[str, ...]
    then: tuple[str, ...] = ()
    zone: str = "Asia/Shanghai"
    day: str = MONDAY
    warn: tuple[int, ...] = ()
    levels: tuple[str, ...] = ()
    back: str = ""
    waits: tuple[str, ...] = ("72h", "24h")
    machines_count: bool = False
    reason: str = ""
    section: str = ""

    def instant(self, text: str, day: str = "") -> datetime:
        """A time of the story (of its first day where it names none) in UTC."""
        found = _TIME.fullmatch(text)
        if found is None:
            raise ValueError(f"not a time: {text!r}")
        local = datetime.fromisoformat(f"{found[1] or day or self.day} {found[2]}{found[3] or ''}")
        return (local if found[3] else local.replace(tzinfo=ZoneInfo(self.zone))).astimezone(UTC)

    def written(self, instant: datetime | None) -> str:
        """As in the story's lines: with a date unless it is the first day, with the offset where it is ambiguous."""
        if instant is None:
            return "never"
        local = instant.astimezone(ZoneInfo(self.zone))
        text = local.strftime("%H:%M:%S" if local.second else "%H:%M")
        text += local.isoformat()[-6:] if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset() else ""
        return text if local.date().isoformat() == self.day else f"{local.date()} {text}"

    def lines(self) -> list[Line]:
        """What happens, in the order the watchdog learns it."""
        found = []
        for text in self.happens:
            time = _TIME.match(text)
            if time is None:
                raise ValueError(f"no time: {text!r}")
            what, _, seen = text[time.end() :].strip().removesuffix(")").partition(" (seen ")
            at = self.instant(time[0])
            found.append(Line(at, self.instant(seen, time[1] or "") if seen else at, what))
        return found

    def chain(self) -> tuple[EscalationLevel, ...]:
        """ "0s queue_lead", "5m role:supervisor": the levels."""
        return tuple(
            EscalationLevel(number, duration(text.split()[0]), tuple(text.split()[1:]), (Way.CONSOLE,))
            for number, text in enumerate(self.levels, 1)
        )


@dataclass(frozen=True)
class Decision:
    """A row about priority: a complaint and what the shipped policies decide."""

    says: str
    complaint: Mapping[str, str]
    decides: Mapping[str, str]
    section: str = ""


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _story(section: str, row: Mapping[str, Any]) -> Story:
    blocks = {name: _lines(row[name]) for name in ("happens", "then") if name in row}
    lists = {name: tuple(row[name]) for name in ("warn", "levels", "waits") if name in row}
    return Story(**{**row, **blocks, **lists, "section": section})


def sections() -> list[str]:
    """The headings, in the order of the page: "1-metrics" is the first."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def stories() -> list[Story]:
    """All rows with a story."""
    return [_story(name, row) for name in sections() for row in _rows(name) if "happens" in row]


def decisions() -> list[Decision]:
    """All rows about a complaint's way."""
    return [Decision(**row, section=name) for name in sections() for row in _rows(name) if "complaint" in row]


def _rows(section: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = yaml.safe_load((FOLDER / f"{section}.yaml").read_text())
    return rows
