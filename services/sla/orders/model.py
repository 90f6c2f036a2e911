"""What is kept of a running order, and what is done about it. Pure."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from services.sla.order_facts import OrderFacts

# eta: expected later than promised; risk: likely late; overdue: the promised time has passed.
Cause = Literal["eta", "risk", "overdue"]


@dataclass(frozen=True)
class Terms:
    """What the brand's policies said when the order was first heard of; None: never.

    See `rules.orders.OrderPolicy`; `late_over` are the bounds of the compensation for late orders, ascending.
    """

    warn_ahead: timedelta
    minimum: timedelta
    eta_step: timedelta
    eta_lead: timedelta | None
    late_over: tuple[timedelta, ...]
    ticket_over: timedelta | None
    risk_above: float | None
    forget_after: timedelta
    policy_hash: str


@dataclass(frozen=True)
class Risk:
    """How likely the order is late (0 to 1), and the circumstance that speaks most for it ("" where none does)."""

    probability: float
    reason: str


@dataclass(frozen=True)
class Told:
    """A message of a delay the customer got: the `number`-th of its cause, with the time that was expected then."""

    cause: Cause
    number: int
    eta: datetime | None


@dataclass(frozen=True)
class Watched:
    """A row of the table: the order's facts, and what was done about it so far.

    `requested`: for so many of the bounds compensation was asked; `withdrawn`: what proved wrong of it was taken
    back. `ticket_asked`: its ticket was.
    """

    facts: OrderFacts
    terms: Terms
    risk: Risk | None = None
    told: tuple[Told, ...] = ()
    eta_told: bool = False
    requested: int = 0
    withdrawn: bool = False
    ticket_asked: bool = False


@dataclass(frozen=True)
class Effect:
    """Something to publish. `id` is the same for the same order and cause, whenever it is decided."""

    id: str
    facts: OrderFacts
    at: datetime


@dataclass(frozen=True)
class DelayTold(Effect):
    """A message to the customer; its `at` is when it was decided."""

    told: Told
    reason: str
    probability: float


@dataclass(frozen=True)
class EtaTold(Effect):
    """The planned word before delivery."""

    eta: datetime


@dataclass(frozen=True)
class CompensationAsked(Effect):
    """Late by the bound of the compensation: `at` is the instant it was, never that of detection."""

    late: timedelta
    policy_hash: str


@dataclass(frozen=True)
class CompensationTakenBack(Effect):
    """It had come, or was cancelled, before that. `request_id` is the id of what was asked."""

    request_id: str
    why: str


@dataclass(frozen=True)
class TicketAsked(Effect):
    """Late by the bound of the ticket: `at` is the instant it was."""

    late_over: timedelta
    delivered: bool


@dataclass(frozen=True)
class Outcome:
    """The row to keep (None: forget it) and the effects to publish before it."""

    row: Watched | None
    effects: tuple[Effect, ...] = field(default=())
