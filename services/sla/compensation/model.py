"""The words and the data of compensation. Money is in minor units, instants are aware UTC."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from rules.model import Fault, Instrument, Metric, Priority, TriggerKind

State = Literal[
    "proposed", "reserved", "published", "redeemable", "redeemed", "rejected", "reversing", "reversed",
    "held", "approved", "denied", "skipped",
]  # fmt: skip
ActorKind = Literal["", "customer", "agent", "supervisor", "system", "bot"]


@dataclass(frozen=True)
class Actor:
    """Who did it; the ledger itself where nobody is named."""

    kind: ActorKind = "system"
    id: str = "sla"


LEDGER = Actor()


@dataclass(frozen=True)
class Request:
    """Somebody may be owed something. `id` names the cause (a breach, an order, an incident).

    `amount_minor` and `reason` come with what a person chose; `late` is how far an order is past its promised time.
    `item` is the product it is for, "" for the whole order. `person` is who asked, None where a rule did.
    """

    id: str
    brand: str
    trigger: TriggerKind
    ticket_id: str
    order_id: str
    customer_id: str
    customer_ref: str
    metric: Metric | None
    priority: Priority | None
    sla_policy: str
    red: bool
    at: datetime
    cause_id: str = ""
    reason: str = ""
    item: str = ""
    amount_minor: int = 0
    currency: str = ""
    score: int = 0
    late: timedelta | None = None
    fault: Fault | None = None
    person: Actor | None = None


@dataclass(frozen=True)
class Change:
    """One entry of a row's history. `key` is the idempotency key of the call that asked for it."""

    at: datetime
    state: State
    outcome: str = ""
    actor: Actor = LEDGER
    why: str = ""
    key: str = ""


@dataclass(frozen=True)
class Charges:
    """What a row was paid from: returned exactly so when it is rejected or reversed.

    `order` names what was paid for the order without stacking, "" for a row that stacks or has no order.
    """

    budgets: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    day: str = ""
    order: str = ""


@dataclass(frozen=True)
class LedgerRow:
    """One decision. `id` is the idempotency key: (brand, order or ticket, item, reason, instance) is paid at most once.

    `amount_minor` is what is paid: `entitled_minor`, less what was paid before for the same order. `points` instead of
    an amount for the instrument points. `history` is only ever appended to.
    """

    id: str
    request_id: str
    state: State
    brand: str
    trigger: TriggerKind
    ticket_id: str
    order_id: str
    item: str
    customer_id: str
    customer_ref: str
    amount_minor: int
    entitled_minor: int
    currency: str
    points: int
    reason: str
    rule: str
    outcome: str
    policy_hash: str
    fault: Fault | None
    merchant_id: str
    incident_id: str
    stack: bool
    unknown_order_max: int
    requested_by: Actor | None
    proposed_at: datetime
    settle_at: datetime
    updated_at: datetime
    issued_at: datetime | None = None
    version: int = 1
    evidence: tuple[str, ...] = ()
    approvals: tuple[Actor, ...] = ()
    charges: Charges = Charges()
    before_reversal: State | None = None
    history: tuple[Change, ...] = field(default=(), repr=False)

    @property
    def instrument(self) -> Instrument:
        """What it is paid in."""
        return Instrument.POINTS if self.points else Instrument.VOUCHER

    @property
    def subject(self) -> str:
        """The ticket, else the order: what the messages about it are about."""
        return self.ticket_id or self.order_id
