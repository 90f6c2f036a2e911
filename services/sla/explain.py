"""Why this deadline: a ticket's clocks segment by segment, in words a supervisor understands. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rules import clock as arithmetic
from rules.clock import Explanation
from rules.model import Metric
from services.sla.clocks import due_at, segments_of
from services.sla.model import Breach, Clock, Row

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
    counted = "round the clock" if terms.calendar.always else f"in the hours of calendar {terms.calendar.name}"
    said = [
        f"{_METRIC_WORDS[clock.metric]} within {span(terms.target.duration)}, counted {counted}, "
        f"by policy {terms.sla_policy} (version {terms.policy_hash[:8]})."
    ]
    for part in explained:
        end = "now" if part.end is None else local(part.end)
        if part.state == "paused":
            said.append(f"{local(part.start)} to {end}: paused, waiting for the customer.")
        elif part.state == "stopped":
            said.append(f"{local(part.start)} to {end}: resolved, not counted.")
        else:
            said.append(
                f"{local(part.start)} to {end}: ran, {span(part.counted)} counted, {span(part.elapsed)} in all."
            )
    for earlier, later in zip(clock.terms, clock.terms[1:], strict=False):
        said.append(
            f"{local(later.since)}: the target changed from {span(earlier.target.duration)} to "
            f"{span(later.target.duration)}; the time used so far is kept."
        )
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


def span(length: timedelta) -> str:
    """As "2 h 5 min" or "30 s": the two largest parts that aren't zero."""
    seconds = length.total_seconds()
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join([f"{count} {unit}" for count, unit in parts if count][:2])
