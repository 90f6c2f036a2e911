"""Why this deadline: a ticket's clocks segment by segment, in words a supervisor understands. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rules import clock as arithmetic
from rules.clock import Explanation
from rules.model import Calendar, Metric
from services.sla.clocks import due_at, segments_of
from services.sla.model import BEFORE, Breach, Clock, InForce, Row

_METRIC_WORDS = {
    Metric.ROUTING: "Routing",
    Metric.ASSIGNMENT: "Assignment to a person",
    Metric.FIRST_RESPONSE: "First response",
    Metric.NEXT_RESPONSE: "Next response",
    Metric.UPDATE: "Progress update",
    Metric.RESOLUTION: "Resolution",
    Metric.CALLBACK: "Call-back",
}


@dataclass(frozen=True)
class ClockView:
    """One clock as a supervisor sees it at an instant. `due_at` is the deadline it has or had; None while paused."""

    clock: Clock
    state: str
    due_at: datetime | None
    elapsed: timedelta
    target: timedelta
    segments: tuple[Explanation, ...]
    breach: Breach | None
    sentences: tuple[str, ...]


def views(row: Row, at: datetime, time_zone: str) -> tuple[ClockView, ...]:
    """Every clock of the ticket as of `at`; times in the sentences are the brand's local time."""
    zone = ZoneInfo(time_zone)
    return tuple(_view(clock, at, zone) for clock in row.clocks)


def _view(clock: Clock, at: datetime, zone: ZoneInfo) -> ClockView:
    segments = segments_of(clock)
    until = clock.met_at or at
    breach = max((b for b in clock.breaches if b.closed != "retracted"), key=lambda b: b.n, default=None)
    deadline = due_at(clock) if not clock.ended else arithmetic.deadline(segments_of(clock, stopped=False))
    explained = arithmetic.explain(segments, until)
    if clock.ended:
        state = str(clock.ended)
    elif arithmetic.is_paused(segments):
        state = "paused"
    else:
        state = "breached" if breach is not None else "running"
    return ClockView(
        clock=clock,
        state=state,
        due_at=deadline,
        elapsed=arithmetic.elapsed(segments, until),
        target=clock.terms[-1].target.duration,
        segments=explained,
        breach=breach,
        sentences=tuple(_sentences(clock, state, deadline, explained, breach, zone)),
    )


def _sentences(
    clock: Clock,
    state: str,
    deadline: datetime | None,
    explained: tuple[Explanation, ...],
    breach: Breach | None,
    zone: ZoneInfo,
) -> list[str]:
    def local(instant: datetime) -> str:
        return instant.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")

    terms = clock.terms[-1]
    said = [
        f"{_METRIC_WORDS[clock.metric]} within {span(terms.target.duration)}, "
        f"counted {_counted_by(terms.calendar)}, by {_policy(terms)}."
    ]
    for part in explained:
        end = "now" if part.end is None else local(part.end)
        if part.state == "paused":
            said.append(f"{local(part.start)} to {end}: paused, waiting for the customer.")
        elif part.state == "stopped":
            said.append(f"{local(part.start)} to {end}: resolved, not counted.")
        else:
            said.append(
                f"{local(part.start)} to {end}: ran, {span(part.counted)} counted "
                f"{_counted_by(part.terms.calendar)}, {span(part.elapsed)} in all."
            )
    start = clock.terms[0].since
    for earlier, later in zip(clock.terms, clock.terms[1:], strict=False):
        said += [f"{local(later.since)}: {what}." for what in _changed(earlier, later)]
        if later.counted_from is not None:
            merged = later.counted_from < start
            why = "the earlier start of a ticket merged into it" if merged else "promised again"
            said.append(f"{local(later.since)}: counted from {local(later.counted_from)}, {why}.")
            start = later.counted_from
    if clock.met_at is not None:
        said.append(f"Met at {local(clock.met_at)}.")
    elif state == "cancelled":
        said.append("Ended without being met: nothing is left to keep.")
    elif state == "paused":
        said.append("No deadline while it is paused.")
    elif deadline is not None:
        said.append(f"Due {local(deadline)}.")
    if breach is not None:
        late = breach.detected_at - breach.breached_at
        cause = ", because a change moved the deadline into the past" if breach.retarget else ""
        said.append(f"Broken at {local(breach.breached_at)}{cause}; found {late.total_seconds():.3f} s later.")
        if breach.level:
            said.append(f"Escalated to level {breach.level} of {len(breach.chain)}.")
        if breach.acknowledged_at is not None:
            said.append(f"Acknowledged by {breach.acknowledged_by} at {local(breach.acknowledged_at)}.")
    return said


def _changed(earlier: InForce, later: InForce) -> list[str]:
    said = []
    if earlier.target.duration != later.target.duration:
        said.append(f"the target changed from {span(earlier.target.duration)} to {span(later.target.duration)}")
    if _counted_by(earlier.calendar) != _counted_by(later.calendar):
        said.append(f"counted {_counted_by(later.calendar)}, no longer {_counted_by(earlier.calendar)}")
    elif earlier.calendar != later.calendar and not later.calendar.always:
        said.append(f"the hours of calendar {later.calendar.name} changed")
    if said:
        said[-1] += "; the time used so far is kept"
    if _policy(earlier) != _policy(later):
        said.append(f"by {_policy(later)}, no longer by {_policy(earlier)}")
    return said


def _counted_by(calendar: Calendar) -> str:
    return "round the clock" if calendar.always else f"in the hours of calendar {calendar.name}"


def _policy(terms: InForce) -> str:
    return f"policy {terms.sla_policy.removesuffix(BEFORE)} (version {terms.policy_hash[:8]})"


def span(length: timedelta) -> str:
    """As "2 h 5 min" or "30 s": the two largest parts that aren't zero."""
    seconds = length.total_seconds()
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join([f"{count} {unit}" for count, unit in parts if count][:2])
