"""The watchdog's data: what it is told, what it keeps for each ticket, what it does."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from rules.clock import Terms
from rules.courses import Courses, Interval
from rules.model import Calendar, EscalationLevel, Metric, Priority, Promise, Target

Ended = Literal["", "met", "cancelled"]


@dataclass(frozen=True)
class InForce:
    """A target and since when it counts."""

    since: datetime
    target: Target
    calendar: Calendar
    sla_policy: str
    policy_hash: str

    @property
    def terms(self) -> Terms:
        """As the clock arithmetic wants it."""
        return Terms(self.target.duration, self.calendar, f"{self.sla_policy} {self.policy_hash[:8]}")


@dataclass(frozen=True)
class TicketState:
    """One version of a ticket as the watchdog sees it; version 0 is the complaint before the router knew it.

    `in_force` are the targets with the instant they took effect; `at` is when this version came about.
    """

    ticket_id: str
    version: int
    at: datetime
    brand: str
    priority: Priority
    queue: str
    assignee: str
    customer_ref: str
    customer_id: str
    order_id: str
    red: bool
    policy_hash: str
    promise: Promise
    courses: Courses
    in_force: tuple[InForce, ...]


@dataclass(frozen=True)
class Breach:
    """A broken promise and the escalation it started. `n` is the deadline version that was missed.

    `level` is the highest level published, at `level_at`; `closed` says why the chain ended, "" while it is open.
    """

    id: str
    n: int
    breached_at: datetime
    detected_at: datetime
    retarget: bool
    chain: tuple[EscalationLevel, ...]
    return_after: timedelta | None
    level: int = 0
    level_at: datetime | None = None
    returned: int = 0
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    closed: Literal["", "met", "retracted", "cancelled"] = ""


@dataclass(frozen=True)
class Clock:
    """One promise of a ticket. `gaps` are stretches that don't count at all (the time a ticket stood resolved)."""

    metric: Metric
    instance: int
    n: int
    start: datetime
    met_at: datetime | None
    ended: Ended
    pauses: tuple[Interval, ...]
    gaps: tuple[Interval, ...]
    terms: tuple[InForce, ...]
    warned: tuple[int, ...] = ()
    breaches: tuple[Breach, ...] = ()


@dataclass(frozen=True)
class Acknowledgement:
    """Somebody takes an escalation on; `level` and `returned` as he saw them, level 0 where that isn't known."""

    escalation_id: str
    level: int
    returned: int
    by: str
    at: datetime


@dataclass(frozen=True)
class Row:
    """What the watchdog keeps of a ticket. `early`: acknowledgements of what the row doesn't have yet."""

    ticket_id: str
    version: int
    brand: str
    priority: Priority
    queue: str
    assignee: str
    customer_ref: str
    customer_id: str
    order_id: str
    red: bool
    policy_hash: str
    promise: Promise
    clocks: tuple[Clock, ...] = ()
    early: tuple[Acknowledgement, ...] = ()


@dataclass(frozen=True)
class Effect:
    """Something to publish about one clock of a ticket; `id` is the same whenever the same thing is found."""

    id: str
    row: Row = field(repr=False)
    clock: Clock = field(repr=False)
    at: datetime


@dataclass(frozen=True)
class Armed(Effect):
    """A clock started."""

    due_at: datetime | None


@dataclass(frozen=True)
class Retargeted(Effect):
    """A change of terms moved a deadline."""

    previous_due_at: datetime | None
    due_at: datetime | None


@dataclass(frozen=True)
class Paused(Effect):
    """The clock waits for the customer."""


@dataclass(frozen=True)
class Resumed(Effect):
    """The clock runs again."""

    due_at: datetime | None


@dataclass(frozen=True)
class AtRisk(Effect):
    """A part of the target is used up and the promise isn't kept yet."""

    percent: int
    due_at: datetime | None


@dataclass(frozen=True)
class Breached(Effect):
    """A promise was broken, at the deadline; `at` is when it was found."""

    breach: Breach
    reason: str


@dataclass(frozen=True)
class Met(Effect):
    """A promise was kept, or kept too late. `retracts` is the breach that proved wrong."""

    met_at: datetime
    due_at: datetime | None
    in_time: bool
    retracts: str = ""


@dataclass(frozen=True)
class Cancelled(Effect):
    """A clock ended without being met: there is nothing to keep any more."""

    why: str


@dataclass(frozen=True)
class Escalated(Effect):
    """People are told of a breach: one level of its chain."""

    breach: Breach
    level: EscalationLevel
    reason: str


@dataclass(frozen=True)
class EscalationAcknowledged(Effect):
    """Somebody took it on: the next level waits."""

    breach: Breach
    by: str


@dataclass(frozen=True)
class EscalationClosed(Effect):
    """The chain ends."""

    breach: Breach
    why: str


@dataclass(frozen=True)
class CompensationAsked(Effect):
    """A broken promise may be worth a voucher; compensation decides."""

    breach: Breach


@dataclass(frozen=True)
class CompensationWithdrawn(Effect):
    """The breach proved wrong."""

    breach: Breach
