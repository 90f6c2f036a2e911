"""Makes effects with their deterministic ids: what names the effect is in the id, the time of detection is not."""

from datetime import datetime

from common.ids import deterministic_id
from rules import clock as arithmetic
from services.sla.clocks import segments_of
from services.sla.model import (
    Armed,
    AtRisk,
    Breach,
    Breached,
    Cancelled,
    Clock,
    CompensationAsked,
    CompensationWithdrawn,
    Escalated,
    EscalationAcknowledged,
    EscalationClosed,
    Met,
    Paused,
    Resumed,
    Retargeted,
    Row,
)


def _id(kind: str, row: Row, clock: Clock, *more: object) -> str:
    return deterministic_id(kind, row.ticket_id, clock.metric, clock.instance, *more)


def armed(row: Row, clock: Clock, at: datetime, due_at: datetime | None) -> Armed:
    """One for each instance of a metric."""
    return Armed(_id("sla-armed", row, clock), row, clock, at, due_at)


def retargeted(row: Row, clock: Clock, at: datetime, previous: datetime | None, due_at: datetime | None) -> Retargeted:
    """One for each ticket version that moved a deadline."""
    return Retargeted(_id("sla-retargeted", row, clock, row.version), row, clock, at, previous, due_at)


def paused(row: Row, clock: Clock, at: datetime) -> Paused:
    """One for each pause."""
    return Paused(_id("sla-paused", row, clock, len(clock.pauses)), row, clock, at)


def resumed(row: Row, clock: Clock, at: datetime, due_at: datetime | None) -> Resumed:
    """One for each end of a pause."""
    return Resumed(_id("sla-resumed", row, clock, len(clock.pauses)), row, clock, at, due_at)


def at_risk(row: Row, clock: Clock, percent: int, at: datetime, due_at: datetime | None) -> AtRisk:
    """One for each warning point of the terms in force (retargets start them anew)."""
    return AtRisk(_id("sla-at-risk", row, clock, len(clock.terms), percent), row, clock, at, percent, due_at)


def breached(row: Row, clock: Clock, breach: Breach, reason: str) -> Breached:
    """One for each deadline version."""
    return Breached(breach.id, row, clock, breach.detected_at, breach, reason)


def met(
    row: Row, clock: Clock, met_at: datetime, due_at: datetime | None, in_time: bool, retracts: str, now: datetime
) -> Met:
    """One for each time it was met, whether or not a breach was found before: a replay never sees that one."""
    return Met(
        _id("sla-met", row, clock, met_at.isoformat(), len(clock.gaps)),
        row,
        clock,
        now,
        met_at,
        due_at,
        in_time,
        retracts,
    )


def cancelled(row: Row, clock: Clock, at: datetime, why: str) -> Cancelled:
    """One for each end of an instance: one that is promised again may end again."""
    return Cancelled(_id("sla-cancelled", row, clock, len(clock.terms)), row, clock, at, why)


def escalated(row: Row, clock: Clock, breach: Breach, now: datetime) -> Escalated:
    """One for each level, and for each time it comes back."""
    level = breach.chain[breach.level - 1]
    effect_id = deterministic_id("escalated", breach.id, breach.level, breach.returned)
    reason = arithmetic.reason(clock.metric, segments_of(clock), breach.breached_at)
    return Escalated(effect_id, row, clock, now, breach, level, reason)


def escalation_acknowledged(row: Row, clock: Clock, breach: Breach, by: str, at: datetime) -> EscalationAcknowledged:
    """One for each acknowledgement: the first after a level or a return."""
    effect_id = deterministic_id("escalation-acknowledged", breach.id, breach.level, breach.returned)
    return EscalationAcknowledged(effect_id, row, clock, at, breach, by)


def escalation_closed(row: Row, clock: Clock, breach: Breach, now: datetime, why: str) -> EscalationClosed:
    """One for each chain."""
    return EscalationClosed(deterministic_id("escalation-closed", breach.id), row, clock, now, breach, why)


def compensation_asked(row: Row, clock: Clock, breach: Breach) -> CompensationAsked:
    """One for each breach."""
    effect_id = deterministic_id("compensation-asked", breach.id)
    return CompensationAsked(effect_id, row, clock, breach.detected_at, breach)


def compensation_withdrawn(row: Row, clock: Clock, breach: Breach, now: datetime) -> CompensationWithdrawn:
    """One for each retracted breach."""
    return CompensationWithdrawn(deterministic_id("compensation-withdrawn", breach.id), row, clock, now, breach)
