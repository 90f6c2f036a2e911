"""What a clock's record says: its segments, its deadline, its warning points."""

from dataclasses import replace
from datetime import datetime

from rules import clock as arithmetic
from rules.calendar import add_working_time, working_time_between
from rules.clock import Segments
from rules.model import Metric, Promise
from services.sla.model import Clock, InForce


def promised_by(promise: Promise, metric: Metric) -> datetime | None:
    """What the customer was told for this metric; None where he was told nothing."""
    by = {Metric.FIRST_RESPONSE: promise.first_response_by, Metric.RESOLUTION: promise.resolve_by}
    return by.get(metric)


def kept(terms: InForce, start: datetime, told: datetime | None) -> InForce:
    """Terms that are due at the earlier of their own deadline and what the customer was told (mechanisms.md, "One owner
    of a promise"). The promise becomes a shorter duration, so that pauses still move it.
    """
    if told is None or add_working_time(terms.calendar, start, terms.target.duration) <= told:
        return terms
    return replace(terms, target=replace(terms.target, duration=working_time_between(terms.calendar, start, told)))


def segments_of(clock: Clock, *, stopped: bool = True) -> Segments:
    """The clock's segments. With `stopped` False: as if it had not been met, to see the deadline it had."""
    first = clock.terms[0]
    segments = arithmetic.begin(clock.start, first.terms)
    changes: list[tuple[datetime, int, str, InForce | None]] = []
    for terms in clock.terms[1:]:
        changes.append((terms.since, 2, "retarget", terms))
    for span in clock.pauses:
        changes.append((span.start, 1, "pause", None))
        if span.end is not None:
            changes.append((span.end, 0, "resume", None))
    for span in clock.gaps:
        changes.append((span.start, 3, "stop", None))
        if span.end is not None:
            changes.append((span.end, 0, "reopen", None))
    for instant, _, what, changed in sorted(changes, key=lambda change: change[:2]):
        at = max(instant, clock.start)
        if changed is not None:
            segments = arithmetic.retarget(segments, at, changed.terms)
        elif what == "pause":
            segments = arithmetic.pause(segments, at)
        elif what == "resume":
            segments = arithmetic.resume(segments, at)
        elif what == "stop":
            segments = arithmetic.stop(segments, at)
        else:
            segments = arithmetic.reopen(segments, at)
    if stopped and clock.met_at is not None:
        segments = arithmetic.stop(segments, clock.met_at)
    return segments


def due_at(clock: Clock) -> datetime | None:
    """The clock's deadline; None while it is paused or over."""
    return None if clock.ended else arithmetic.deadline(segments_of(clock))


def is_recorded(clock: Clock) -> bool:
    """Whether the deadline in force was missed and that is on record."""
    return any(breach.n == clock.n and breach.closed != "retracted" for breach in clock.breaches)


def warnings_ahead(clock: Clock, segments: Segments) -> list[tuple[int, datetime]]:
    """The at-risk points of the terms in force that nobody was told of yet."""
    if is_recorded(clock):
        return []
    points = arithmetic.warnings(segments, clock.terms[-1].target.warn_percent)
    return [(percent, at) for percent, at in points if percent not in clock.warned]
