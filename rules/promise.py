"""What the customer is promised, and when a single target is due."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from rules.calendar import add_working_time, working_time_between
from rules.model import Calendar, Metric, PolicySet, Promise, RoutingDecision, Target


def due(target: Target, calendars: Mapping[str, Calendar], start: datetime) -> datetime:
    """When `target` is due (UTC) if its clock starts at `start` and is never paused. KeyError: unknown calendar."""
    return add_working_time(calendars[target.calendar], start, target.duration)


def promise(policies: PolicySet, decision: RoutingDecision, acknowledged_at: datetime) -> Promise:
    """What is told to the customer at once, and what the watchdog enforces: `first_response` and `resolution`."""

    def by(metric: Metric) -> datetime | None:
        target = decision.target(metric)
        return due(target, policies.calendars, acknowledged_at) if target else None

    return Promise(first_response_by=by(Metric.FIRST_RESPONSE), resolve_by=by(Metric.RESOLUTION))


def keep(target: Target, calendars: Mapping[str, Calendar], start: datetime, promised_by: datetime | None) -> Target:
    """The target that is due at the earlier of its own deadline and what was promised (mechanisms.md).

    The promise becomes a shorter duration, so that pauses still move it. Only a supervisor's change skips this.
    """
    if promised_by is None or due(target, calendars, start) <= promised_by:
        return target
    return replace(target, duration=working_time_between(calendars[target.calendar], start, promised_by))
