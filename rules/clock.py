"""The clock of one promise: a list of segments. Deadline and elapsed time are pure functions of it (sla.md, "Clock").

    segments = begin(at, terms)                 # running
    segments = pause(segments, at)              # waiting for the customer
    segments = resume(segments, at)             # he answered
    segments = retarget(segments, at, terms)    # elapsed is kept, the new target is for the whole
    segments = stop(segments, at)               # met, cancelled, or over
    segments = reopen(segments, at)             # the time it stood still isn't counted

Every operation returns new segments. Operations come in the order of time; one that comes late (before the last change)
is taken to have happened at the last change, but for `stop`, which takes back all that follows ("met in time wins").
Segments are contiguous but for the gap before a reopening, and only the last may be open-ended.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from rules.calendar import add_working_time, working_time_between
from rules.model import Calendar, Metric

PAUSABLE = frozenset({Metric.NEXT_RESPONSE, Metric.UPDATE, Metric.RESOLUTION})
"""The metrics whose clock may wait for the customer; never first_response and routing (sla.md, "Pause")."""


@dataclass(frozen=True)
class Terms:
    """What is promised: `target` of `calendar` time, under a version of a policy (e.g. "red 3f2a…")."""

    target: timedelta
    calendar: Calendar
    policy: str


@dataclass(frozen=True)
class Segment:
    """A stretch of a clock under one set of terms; `end` None while it lasts."""

    state: Literal["running", "paused"]
    start: datetime
    end: datetime | None
    terms: Terms


Segments = tuple[Segment, ...]


def begin(at: datetime, terms: Terms) -> Segments:
    """A clock that starts running at `at`."""
    return (Segment("running", at, None, terms),)


def pause(segments: Segments, at: datetime) -> Segments:
    """Waiting for the customer from `at`. A paused or stopped clock stays as it is."""
    return _change(segments, at, "paused") if is_running(segments) else segments


def resume(segments: Segments, at: datetime) -> Segments:
    """Running again from `at`. A running or stopped clock stays as it is."""
    return _change(segments, at, "running") if is_paused(segments) else segments


def retarget(segments: Segments, at: datetime, terms: Terms) -> Segments:
    """New terms from `at`; elapsed and paused time are kept. A stopped clock, or equal terms, stay as they are."""
    last = segments[-1]
    if last.end is not None or last.terms == terms:
        return segments
    return _change(segments, at, last.state, terms)


def stop(segments: Segments, at: datetime) -> Segments:
    """Ended at `at`: nothing counts afterwards. A stop that comes late takes back what was recorded after it."""
    kept = tuple(each for each in segments if each.start < at) or segments[:1]
    last = kept[-1]
    end = max(last.start, at if last.end is None else min(at, last.end))
    return (*kept[:-1], replace(last, end=end))


def reopen(segments: Segments, at: datetime) -> Segments:
    """Running again after a stop, with the time it had used (sla.md, "Reopen"). A clock that goes on stays as it is."""
    last = segments[-1]
    if last.end is None:
        return segments
    return (*segments, Segment("running", max(at, last.end), None, last.terms))


def _change(
    segments: Segments, at: datetime, state: Literal["running", "paused"], terms: Terms | None = None
) -> Segments:
    last = segments[-1]
    at = max(at, last.start)
    following = Segment(state, at, None, terms or last.terms)
    kept = segments[:-1] if at == last.start else (*segments[:-1], replace(last, end=at))
    return (*kept, following)


def is_running(segments: Segments) -> bool:
    """Whether time counts now."""
    return segments[-1].end is None and segments[-1].state == "running"


def is_paused(segments: Segments) -> bool:
    """Whether the clock waits for the customer."""
    return segments[-1].end is None and segments[-1].state == "paused"


def elapsed(segments: Segments, at: datetime) -> timedelta:
    """The calendar time in running segments up to `at`."""
    return sum((_counted(each, at) for each in segments), timedelta())


def paused(segments: Segments, at: datetime) -> timedelta:
    """The wall-clock time spent paused up to `at` (for explanations, and for the maximum of a pause)."""
    spans = (min(at, each.end or at) - each.start for each in segments if each.state == "paused")
    return sum((max(span, timedelta()) for span in spans), timedelta())


def paused_since(segments: Segments) -> datetime | None:
    """When the present pause began (a retarget doesn't interrupt it), or None."""
    since = None
    for each in reversed(segments):
        if each.state != "paused" or (since is None and each.end is not None):
            break
        since = each.start
    return since


def _counted(segment: Segment, at: datetime) -> timedelta:
    if segment.state == "paused":
        return timedelta()
    end = at if segment.end is None else min(at, segment.end)
    return working_time_between(segment.terms.calendar, segment.start, end)


def reaches(segments: Segments, amount: timedelta) -> datetime | None:
    """The first instant at which `elapsed` is `amount`: None if it never gets there as things stand."""
    left = amount
    for each in segments:
        if left <= timedelta():
            return each.start
        if each.state == "paused":
            continue
        if each.end is None:
            return add_working_time(each.terms.calendar, each.start, left)
        counted = _counted(each, each.end)
        if counted >= left:
            return add_working_time(each.terms.calendar, each.start, left)
        left -= counted
    return None


def effective_at(segments: Segments) -> datetime:
    """When the present terms took effect: pauses don't matter, a change to the same terms as before the last does."""
    at = segments[-1].start
    for each in reversed(segments):
        if each.terms != segments[-1].terms:
            break
        at = each.start
    return at


def computed(segments: Segments) -> datetime | None:
    """When elapsed reaches the present target, even before the target took effect. None: see `deadline`."""
    return reaches(segments, segments[-1].terms.target)


def deadline(segments: Segments) -> datetime | None:
    """`due_at`: the first instant at which elapsed reaches the target, but never before the target took effect.

    None while the clock is paused or stopped short of its target. A deadline that was passed stays where it was.
    """
    instant = computed(segments)
    return None if instant is None else max(instant, effective_at(segments))


def breached(segments: Segments, at: datetime) -> bool:
    """Whether the promise is broken at `at`. Met exactly at the deadline is too late ("before the deadline")."""
    due_at = deadline(segments)
    return due_at is not None and due_at <= at


def by_retarget(segments: Segments) -> bool:
    """Whether the breach comes from a change of terms (`cause: retarget`): the new deadline was past already.

    Such a breach escalates but doesn't compensate.
    """
    instant = computed(segments)
    return instant is not None and instant < effective_at(segments)


def met_in_time(segments: Segments, met_at: datetime) -> bool:
    """Whether an event that met the promise at its own time `met_at` was in time, however late it arrived."""
    return not breached(stop(segments, met_at), met_at)


def warnings(segments: Segments, percents: tuple[int, ...]) -> tuple[tuple[int, datetime], ...]:
    """The at-risk points that are ahead or passed, as (percent, instant); none while the clock can't reach them.

    Like a deadline, a point isn't before its target took effect. Points whose instant isn't before the deadline are
    left out: there the breach speaks.
    """
    points, due_at, since = [], deadline(segments), effective_at(segments)
    for percent in percents:
        instant = reaches(segments, segments[-1].terms.target * percent / 100)
        if instant is not None and (due_at is None or max(instant, since) < due_at):
            points.append((percent, max(instant, since)))
    return tuple(points)


def may_breach_again(segments: Segments, breached_due: datetime, at: datetime) -> bool:
    """Whether a promise that was already breached (due at `breached_due`) counts as a new one (n + 1) at `at`.

    Only when its deadline has moved later, to an instant still ahead; new terms that leave it in the past never repeat
    the breach (sla.md, "Retarget").
    """
    instant = computed(segments)
    if instant is None:
        # Paused short of its target: wherever the pause ends, the deadline is after that.
        return segments[-1].end is None
    return instant > max(breached_due, at)


def breach_id(ticket: str, metric: Metric, instance: int, n: int) -> str:
    """The identity of a breach, 32 hex characters (mechanisms.md, "Identity").

    `instance` counts the starts of a repeating metric; `n` grows only when `may_breach_again`.
    """
    return hashlib.sha256(f"{ticket}\n{metric}\n{instance}\n{n}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Explanation:
    """One segment in figures: what it counted, and the sum so far. `end` None: it lasts."""

    state: Literal["running", "paused", "stopped"]
    start: datetime
    end: datetime | None
    counted: timedelta
    elapsed: timedelta
    terms: Terms


def explain(segments: Segments, at: datetime) -> tuple[Explanation, ...]:
    """Why this deadline: every segment up to `at` with what it counted, and the gaps between (the time resolved)."""
    return tuple(_explanations(segments, at))


def _explanations(segments: Segments, at: datetime) -> Iterator[Explanation]:
    total, previous_end = timedelta(), None
    for each in segments:
        if each.start > at:
            return
        if previous_end is not None and previous_end < each.start:
            yield Explanation("stopped", previous_end, each.start, timedelta(), total, each.terms)
        counted = _counted(each, at)
        total += counted
        end = each.end if each.end is not None and each.end <= at else None
        yield Explanation(each.state, each.start, end, counted, total, each.terms)
        previous_end = each.end


def reason(metric: Metric, segments: Segments, at: datetime) -> str:
    """One line for the history of a ticket: "resolution due 2026-03-01T12:10:00Z, policy red 1a2b, paused 0 min"."""
    due_at = deadline(segments)
    when = "not due" if due_at is None else f"due {due_at.isoformat(timespec='seconds').replace('+00:00', 'Z')}"
    minutes = paused(segments, at) // timedelta(minutes=1)
    return f"{metric} {when}, policy {segments[-1].terms.policy}, paused {minutes} min"
