"""When each promise starts and what keeps it: the table of metrics in `sla.md`, as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from rules.model import Metric, Status
from services.sla.model import Facts, Span


@dataclass(frozen=True)
class Course:
    """One instance of a metric as the ticket's facts tell it. `over`: why it ends unmet, "" while it goes on."""

    instance: int
    start: datetime
    met_at: datetime | None
    pauses: tuple[Span, ...] = ()
    gaps: tuple[Span, ...] = ()
    over: str = ""


def _over(facts: Facts) -> str:
    """After resolve or close nothing runs but the call-back; a merged ticket's clocks are cancelled."""
    if facts.merged:
        return "merged"
    return "closed" if facts.status is Status.CLOSED else ""


def _first_response(facts: Facts) -> Course | None:
    # Starts: complaint acknowledged. Met by: first public answer by a person. Never paused.
    return Course(1, facts.acknowledged_at, facts.first_answer_at, over=_over(facts))


def _resolution(facts: Facts) -> Course | None:
    # Starts: complaint acknowledged. Met by: resolved. Reopening continues it, the time spent resolved not counted.
    return Course(
        1, facts.acknowledged_at, facts.resolved_at, pauses=facts.pauses, gaps=facts.resolved_periods, over=_over(facts)
    )


COURSES: Mapping[Metric, Callable[[Facts], Course | None]] = {
    Metric.FIRST_RESPONSE: _first_response,
    Metric.RESOLUTION: _resolution,
}
