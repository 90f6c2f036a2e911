"""What may be done to a ticket: commands of people, and what other services and the customer tell us. Frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rules.words import Metric
from services.router.model import Actor, Complaint, Sealed


@dataclass(frozen=True)
class Assign:
    """A named person owns the ticket from now."""

    assignee: str


@dataclass(frozen=True)
class Reply:
    """A public answer to the customer."""

    message_id: str
    content: Sealed
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resolve:
    """The end of the work, with the text the customer is told. `amount` in minor units of `currency`."""

    message_id: str
    content: Sealed
    resolution: str
    currency: str = ""
    amount: int = 0


@dataclass(frozen=True)
class ReceiveMessage:
    """The customer added something, received at the cause's time."""

    message_id: str
    channel: str
    content: Sealed
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReceiveRating:
    """The customer judged the result."""

    rating_id: str
    score: int
    resolved: bool
    comment: Sealed | None = None


@dataclass(frozen=True)
class NoteEscalation:
    """The watchdog did something: `what` is escalated, acknowledged, closed, breached or retracted."""

    escalation_id: str
    metric: Metric | None
    level: int
    what: str


@dataclass(frozen=True)
class NoteCompensation:
    """A compensation changed its state. `facts` (amount, currency, why) go to the history."""

    ledger_id: str
    state: str
    facts: Mapping[str, str] = field(default_factory=dict)


Command = Assign | Reply | Resolve | ReceiveMessage | ReceiveRating | NoteEscalation | NoteCompensation


@dataclass(frozen=True)
class Cause:
    """Why, when and by whom. `id` is unique within the ticket; `content` is a digest, to notice its reuse."""

    id: str
    at: datetime
    actor: Actor
    reason: str = ""
    content: str = ""
    trace: str | None = None


# What a consumer hands over, in the order it came.


@dataclass(frozen=True)
class Submitted:
    """A complaint was acknowledged."""

    complaint: Complaint
    trace: str | None = None

    @property
    def ticket_id(self) -> str:
        """The ticket it opens."""
        return self.complaint.ticket_id


@dataclass(frozen=True)
class Told:
    """Something happened to a ticket."""

    ticket_id: str
    command: Command
    cause: Cause


Arrival = Submitted | Told
