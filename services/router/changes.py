"""What happened to a ticket: one dataclass for each member of `TicketEvent.change`, with its fields. Frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from rules.words import Category, Metric, Priority


@dataclass(frozen=True)
class Opened:
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class Assigned:
    assignee: str
    previous: str


@dataclass(frozen=True)
class Replied:
    """`topic`: of an automatic answer to a question."""

    message_id: str
    automatic: bool
    topic: str = ""


@dataclass(frozen=True)
class Resolved:
    """`currency` and `amount_minor` are of a coupon, which compensation pays."""

    message_id: str
    resolution: str
    currency: str = ""
    amount_minor: int | None = None


@dataclass(frozen=True)
class CustomerReplied:
    """`handed_over`: from this message on no machine answers."""

    message_id: str
    channel: str
    handed_over: bool = False


@dataclass(frozen=True)
class Rated:
    score: int
    resolved: bool


@dataclass(frozen=True)
class EscalationNoted:
    escalation_id: str
    metric: Metric | None
    level: int
    what: str


@dataclass(frozen=True)
class CompensationNoted:
    ledger_id: str
    state: str


@dataclass(frozen=True)
class IncidentNoted:
    incident_id: str
    dimension: str
    value: str


@dataclass(frozen=True)
class RemedyNoted:
    remedy_id: str
    state: str


@dataclass(frozen=True)
class Closed:
    why: str


@dataclass(frozen=True)
class Reopened:
    why: str


@dataclass(frozen=True)
class InformationRequested:
    message_id: str


@dataclass(frozen=True)
class PriorityChanged:
    previous: Priority


@dataclass(frozen=True)
class CategoryChanged:
    previous: Category


@dataclass(frozen=True)
class QueueChanged:
    previous: str


@dataclass(frozen=True)
class Merged:
    """`merged` went into `into`: told by both tickets."""

    into: str
    merged: tuple[str, ...]


@dataclass(frozen=True)
class NoteAdded:
    """`call_back`: the customer was called back about the result."""

    note_id: str
    call_back: bool = False


@dataclass(frozen=True)
class Erased:
    """Nothing is left of contact, texts and images."""


@dataclass(frozen=True)
class SnapshotRepeated:
    """A consumer seemed to have missed it."""


@dataclass(frozen=True)
class PolicyApplied:
    """An edited policy took effect on a running ticket; `previous` is the hash before."""

    policy_hash: str
    previous: str


Change = (
    Opened
    | Assigned
    | Replied
    | Resolved
    | CustomerReplied
    | Rated
    | EscalationNoted
    | CompensationNoted
    | RemedyNoted
    | Closed
    | Reopened
    | InformationRequested
    | PriorityChanged
    | CategoryChanged
    | QueueChanged
    | Merged
    | NoteAdded
    | Erased
    | SnapshotRepeated
    | PolicyApplied
    | IncidentNoted
)

KINDS: Mapping[type[Change], str] = {
    Opened: "opened",
    Assigned: "assigned",
    Replied: "replied",
    Resolved: "resolved",
    CustomerReplied: "customer_replied",
    Rated: "rated",
    EscalationNoted: "escalation_noted",
    CompensationNoted: "compensation_noted",
    RemedyNoted: "remedy_noted",
    IncidentNoted: "incident_noted",
    Closed: "closed",
    Reopened: "reopened",
    InformationRequested: "information_requested",
    PriorityChanged: "priority_changed",
    CategoryChanged: "category_changed",
    QueueChanged: "queue_changed",
    Merged: "merged",
    NoteAdded: "note_added",
    Erased: "erased",
    SnapshotRepeated: "repeated_snapshot",
    PolicyApplied: "policy_applied",
}
"""The name of each change: the field of `TicketEvent.change`, and `HistoryEntry.kind`."""


_USUAL = (("handed_over", False), ("call_back", False))


def facts_of(change: Change) -> dict[str, str]:
    """The change's fields as words, for the history; empty ones are left out."""
    values = ((f.name, getattr(change, f.name)) for f in fields(change))
    return {name: _word(value) for name, value in values if value not in ("", None, ()) and (name, value) not in _USUAL}


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, tuple) else str(value)
