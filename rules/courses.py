"""When each promise starts, what keeps it and what ends it: the table of metrics in `sla.md`, as operations.

A ticket carries its courses; whatever happens to the ticket is one function here. The watchdog runs a clock for every
course whose metric has a target. Only the last two instances of a metric are kept: the one before may have ended by the
same event that started the present one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from rules.clock import PAUSABLE
from rules.words import Metric


@dataclass(frozen=True)
class Interval:
    """A stretch of time; without an end it lasts."""

    start: datetime
    end: datetime | None = None


@dataclass(frozen=True)
class Course:
    """One instance of a promise. `pauses`: waiting for the customer; `gaps`: stood resolved, not counted at all.

    `over` says why it ended without being met ("resolved", "closed", "reopened", "merged"), "" while it goes on.
    """

    metric: Metric
    instance: int
    start: datetime
    met_at: datetime | None = None
    pauses: tuple[Interval, ...] = ()
    gaps: tuple[Interval, ...] = ()
    over: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it can still be met."""
        return self.met_at is None and not self.over


Courses = tuple[Course, ...]


def current(courses: Courses, metric: Metric) -> Course | None:
    """The latest instance of a metric."""
    return max((c for c in courses if c.metric is metric), key=lambda c: c.instance, default=None)


def opened(acknowledged_at: datetime) -> Courses:
    """The complaint was acknowledged: routing, first response and resolution start."""
    return tuple(
        Course(metric, 1, acknowledged_at) for metric in (Metric.ROUTING, Metric.FIRST_RESPONSE, Metric.RESOLUTION)
    )


def routed(courses: Courses, at: datetime) -> Courses:
    """It is in a queue, and nobody owns it yet."""
    return _start(_meet(courses, Metric.ROUTING, at), Metric.ASSIGNMENT, at)


def owned(courses: Courses, at: datetime) -> Courses:
    """A named person owns it."""
    return _meet(courses, Metric.ASSIGNMENT, at)


def disowned(courses: Courses, at: datetime) -> Courses:
    """Nobody owns it any more: a new owner-less period (none starts while one lasts)."""
    last = current(courses, Metric.ASSIGNMENT)
    return courses if last is not None and last.is_open else _start(courses, Metric.ASSIGNMENT, at)


def answered(courses: Courses, at: datetime, *, automatic: bool = False, automatic_counts: bool = False) -> Courses:
    """A public answer. A machine's is an update, but a response only where the policy says so."""
    if not automatic or automatic_counts:
        courses = _meet(courses, Metric.FIRST_RESPONSE, at)
        courses = _meet(courses, Metric.NEXT_RESPONSE, at)
    return _start(_meet(courses, Metric.UPDATE, at), Metric.UPDATE, at)


def customer_wrote(courses: Courses, at: datetime) -> Courses:
    """A customer's message: time runs again, and the next response starts at the oldest unanswered one.

    Before the first response that promise alone counts (Zendesk: "next reply time" starts after the first reply).
    """
    courses = resumed(courses, at)
    first, waiting = current(courses, Metric.FIRST_RESPONSE), current(courses, Metric.NEXT_RESPONSE)
    if first is None or first.met_at is None or (waiting is not None and waiting.is_open):
        return courses
    return _start(courses, Metric.NEXT_RESPONSE, at)


def waiting(courses: Courses, at: datetime) -> Courses:
    """The desk waits for the customer: what may pause does; never the first response or the routing."""

    def pause(course: Course) -> Course:
        if course.metric not in PAUSABLE or not course.is_open or _is_paused(course):
            return course
        return replace(course, pauses=(*course.pauses, Interval(max(at, course.start))))

    return _each(courses, pause)


def resumed(courses: Courses, at: datetime) -> Courses:
    """Not waiting any more."""
    return _each(courses, lambda course: _end_pause(course, at))


def resolved(courses: Courses, at: datetime) -> Courses:
    """Resolved: nothing runs but the call-back."""
    courses = _meet(resumed(courses, at), Metric.RESOLUTION, at)
    courses = _end(courses, "resolved", keep=Metric.CALLBACK)
    return _start(courses, Metric.CALLBACK, at)


def reopened(courses: Courses, at: datetime) -> Courses:
    """Open again: the resolution continues with the time it had used, the call-back is cancelled."""

    def reopen(course: Course) -> Course:
        if course.metric is Metric.RESOLUTION and course.met_at is not None:
            return replace(course, met_at=None, gaps=(*course.gaps, Interval(course.met_at, max(at, course.met_at))))
        if course.metric is Metric.CALLBACK and course.is_open:
            return replace(course, over="reopened")
        return course

    return _start(_each(courses, reopen), Metric.UPDATE, at)


def rated(courses: Courses, at: datetime) -> Courses:
    """The customer rated the result."""
    return _meet(courses, Metric.CALLBACK, at)


def called_back(courses: Courses, at: datetime) -> Courses:
    """The customer was called back about the result."""
    return _meet(courses, Metric.CALLBACK, at)


def closed(courses: Courses, at: datetime) -> Courses:
    """Closed: nothing runs but the call-back."""
    return _end(resumed(courses, at), "closed", keep=Metric.CALLBACK)


def merged_away(courses: Courses, at: datetime) -> Courses:
    """Merged into another ticket: every clock ends."""
    return _end(resumed(courses, at), "merged")


def merged_in(courses: Courses, other: Courses) -> Courses:
    """The survivor keeps the earliest start of what both were promised."""

    def earliest(course: Course) -> Course:
        twin = next((c for c in other if (c.metric, c.instance) == (course.metric, course.instance)), None)
        shared = course.metric in (Metric.FIRST_RESPONSE, Metric.RESOLUTION)
        return replace(course, start=min(course.start, twin.start)) if shared and twin is not None else course

    return _each(courses, earliest)


def _each(courses: Courses, change: Callable[[Course], Course]) -> Courses:
    return tuple(change(course) for course in courses)


def _is_paused(course: Course) -> bool:
    return bool(course.pauses) and course.pauses[-1].end is None


def _end_pause(course: Course, at: datetime) -> Course:
    if not _is_paused(course):
        return course
    last = course.pauses[-1]
    return replace(course, pauses=(*course.pauses[:-1], Interval(last.start, max(at, last.start))))


def _meet(courses: Courses, metric: Metric, at: datetime) -> Courses:
    last = current(courses, metric)

    def meet(course: Course) -> Course:
        return replace(_end_pause(course, at), met_at=max(at, course.start)) if course is last else course

    return _each(courses, meet) if last is not None and last.is_open else courses


def _end(courses: Courses, why: str, keep: Metric | None = None) -> Courses:
    return _each(courses, lambda c: replace(c, over=why) if c.is_open and c.metric is not keep else c)


def _start(courses: Courses, metric: Metric, at: datetime) -> Courses:
    last = current(courses, metric)
    number = last.instance + 1 if last is not None else 1
    kept = tuple(c for c in courses if c.metric is not metric or c is last)
    return (*kept, Course(metric, number, at))
