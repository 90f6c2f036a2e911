"""What an outsider saw of a run, frozen: what clients were told, every record of the topics, the stores, the outbox.

The real system and the simulation both end as an `Observation`: one checker judges both. Instants are aware UTC.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

# As Jepsen has it: what timed out may or may not have happened.
Outcome = Literal["ok", "failed", "unknown"]


@dataclass(frozen=True)
class Request:
    """One complaint as a client sees it: all its tries have one idempotency key, and an order that no other names.

    `tickets` are the numbers it was told, of all answers; the promise is that of the first answer.
    """

    key: str
    order_id: str
    outcome: Outcome
    tickets: tuple[str, ...] = ()
    first_response_by: datetime | None = None
    tries: int = 1


@dataclass(frozen=True)
class Command:
    """A change somebody at the desk asked for; `change` is the kind of TicketEvent it makes ("replied")."""

    key: str
    ticket: str
    change: str
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Record:
    """A record of a topic. `id` is its deterministic id, `seen_at` when the observer read it."""

    topic: str
    partition: int
    offset: int
    id: str
    ticket: str
    seen_at: datetime


@dataclass(frozen=True, kw_only=True)
class Complained(Record):
    """complaints.v1: the complaint with the promises it carries."""

    order_id: str
    red: bool
    first_response_by: datetime | None
    resolve_by: datetime | None


@dataclass(frozen=True)
class CourseSeen:
    """One instance of a promise, as the ticket's own facts have it."""

    metric: str
    instance: int
    met_at: datetime | None = None
    over: str = ""
    paused: bool = False


@dataclass(frozen=True, kw_only=True)
class Changed(Record):
    """tickets.v1: one version of a ticket."""

    version: int
    change: str
    status: str
    courses: tuple[CourseSeen, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Armed(Record):
    """sla-events.v1: a deadline was set, moved or taken away (None). `moved` is False for the first of a clock."""

    metric: str
    instance: int
    due_at: datetime | None
    moved: bool = False


@dataclass(frozen=True, kw_only=True)
class Breached(Record):
    """sla-events.v1: a promise was broken. `cause` is "deadline" or "retarget"."""

    metric: str
    instance: int
    n: int
    breached_at: datetime
    detected_at: datetime
    cause: str


@dataclass(frozen=True, kw_only=True)
class Met(Record):
    """sla-events.v1: a promise was kept, or kept too late; `retracts` names the breach that proved wrong."""

    metric: str
    instance: int
    retracts: str = ""


@dataclass(frozen=True, kw_only=True)
class Escalated(Record):
    """escalations.v1: one level of a chain."""

    escalation_id: str
    metric: str
    level: int
    returned: int = 0


@dataclass(frozen=True, kw_only=True)
class ChainClosed(Record):
    """escalations.v1: the chain ended."""

    escalation_id: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Voucher(Record):
    """vouchers.v1: a promise to pay once. `id` is the idempotency key."""

    amount: int


@dataclass(frozen=True, kw_only=True)
class DeadLetter(Record):
    """dead-letters.v1: `origin` is where the message had come from."""

    origin: tuple[str, int, int]
    service: str
    reason: str


@dataclass(frozen=True)
class Poisoned:
    """A wrong message that the harness put into a topic, and who reads it there."""

    topic: str
    partition: int
    offset: int
    services: tuple[str, ...]


@dataclass(frozen=True)
class StoredTicket:
    """A ticket in MongoDB; `uncleared` are the versions its outbox still holds."""

    id: str
    order_id: str
    version: int
    uncleared: tuple[int, ...] = ()


@dataclass(frozen=True)
class LedgerRow:
    """A decision about money, as stored; `budgets` are those it is paid from."""

    id: str
    ticket: str
    state: str
    amount: int
    budgets: tuple[str, ...] = ()
    unpublished: bool = False


@dataclass(frozen=True)
class Budget:
    """What is taken out of a budget, and at most may be."""

    id: str
    spent: int
    limit: int | None = None


@dataclass(frozen=True)
class Credit:
    """What the loyalty system paid for a voucher."""

    voucher: str
    amount: int


@dataclass(frozen=True)
class Sent:
    """A message the provider took."""

    key: str
    ticket: str
    recipient: str
    event: str


@dataclass(frozen=True)
class Copy:
    """Something that exists twice: as it is live, and as it is when rebuilt from the topics."""

    what: str
    subject: str
    live: str
    rebuilt: str


@dataclass(frozen=True)
class Lag:
    """How far a group got in a partition."""

    group: str
    topic: str
    partition: int
    committed: int
    end: int


@dataclass(frozen=True)
class Observation:
    """Everything seen of a run that had come to rest at `settled_at`.

    `pays` are the broken promises a voucher is owed for, as (red, metric). `credits` is None where no loyalty system
    took part. `leaks` name where personal data was found.
    """

    settled_at: datetime
    requests: tuple[Request, ...] = ()
    commands: tuple[Command, ...] = ()
    records: tuple[Record, ...] = ()
    poisoned: tuple[Poisoned, ...] = ()
    tickets: tuple[StoredTicket, ...] = ()
    ledger: tuple[LedgerRow, ...] = ()
    budgets: tuple[Budget, ...] = ()
    credits: tuple[Credit, ...] | None = None
    sent: tuple[Sent, ...] = ()
    copies: tuple[Copy, ...] = ()
    lags: tuple[Lag, ...] = ()
    leaks: tuple[str, ...] = ()
    pays: frozenset[tuple[bool, str]] = frozenset()
