"""What may be done to a ticket: commands of people, and what other services and the customer tell us. Frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rules.courses import Courses
from rules.model import Promise, Target
from rules.words import Category, Metric, Priority
from services.router.model import Actor, Complaint, Remedy, Sealed


@dataclass(frozen=True)
class Terms:
    """What a ticket is promised from now on, as `terms.py` decides it; `targets` keep the promise."""

    priority: Priority
    sla_policy: str
    policy_hash: str
    targets: tuple[Target, ...]
    automatic_answer_counts: bool
    pause_max: timedelta
    no_answer_after: timedelta | None
    promise: Promise
    due: Promise


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
    # Of a machine's answer to a question.
    topic: str = ""


@dataclass(frozen=True)
class Answer:
    """What a machine would say to a question, sealed for the ticket, and when it was ready."""

    topic: str
    content: Sealed
    at: datetime


@dataclass(frozen=True)
class Resolve:
    """The end of the work, with the text the customer is told. `amount` in minor units of `currency`."""

    message_id: str
    content: Sealed
    resolution: str
    currency: str = ""
    amount: int = 0
    remedy: Remedy | None = None


@dataclass(frozen=True)
class AddNote:
    """Among colleagues; the customer never sees it."""

    note_id: str
    content: Sealed


@dataclass(frozen=True)
class RecordCallBack:
    """The customer was asked whether the matter is settled; what was said is a note among colleagues."""

    note_id: str
    content: Sealed


@dataclass(frozen=True)
class RequestInformation:
    """A public question; from now the desk waits for the customer."""

    message_id: str
    content: Sealed


@dataclass(frozen=True)
class Inform:
    """Pingxi itself tells the customer something: no answer, whatever the policy says. `reminder`: of a question."""

    message_id: str
    content: Sealed
    reminder: bool = False


@dataclass(frozen=True)
class ChangePriority:
    """The priority of the terms, and what follows from it."""

    terms: Terms


@dataclass(frozen=True)
class ChangeCategory:
    """An agent corrects the category; the routing table's row of it decides the rest."""

    category: Category
    secondary: tuple[Category, ...]
    red: bool
    complex: bool
    queue: str
    joint_queues: tuple[str, ...]
    terms: Terms


@dataclass(frozen=True)
class ChangeQueue:
    """Another department's from now. A new queue has no owner yet."""

    queue: str
    joint_queues: tuple[str, ...]


@dataclass(frozen=True)
class Close:
    """The end. `why`: "done", "no answer", …"""

    why: str


@dataclass(frozen=True)
class Reopen:
    """Work goes on. `unanswered`: the customer waits for an answer."""

    why: str
    unanswered: bool = False


@dataclass(frozen=True)
class Merge:
    """The ticket may take in another one: only asked (`transitions.permit`), done by `MergeAway` and `MergeIn`."""


@dataclass(frozen=True)
class MergeAway:
    """This ticket ends, its customer is served under `into`."""

    into: str


@dataclass(frozen=True)
class MergeIn:
    """`merged` has ended in favour of this ticket; `note` says so to colleagues. Promises: the earlier of both."""

    merged: str
    courses: Courses
    promise: Promise
    due: Promise
    targets: tuple[Target, ...]
    note_id: str
    note: Sealed


@dataclass(frozen=True)
class EraseCustomer:
    """Contact, texts and images go."""


@dataclass(frozen=True)
class RepeatSnapshot:
    """A consumer seems to have missed the ticket."""


@dataclass(frozen=True)
class NoteRemedy:
    """What the order platform says of a remedy: `state` is done or refused."""

    remedy_id: str
    state: str


@dataclass(frozen=True)
class ReceiveMessage:
    """The customer added something, received at the cause's time.

    `thanks`: nothing but that. `linked`: the ticket that was opened for it, because this one is closed or full.
    `answer`: a machine's, where it has one; `calls_person`: the customer wants none of those.
    """

    message_id: str
    channel: str
    content: Sealed
    images: tuple[str, ...] = ()
    thanks: bool = False
    linked: str = ""
    answer: Answer | None = None
    calls_person: bool = False


@dataclass(frozen=True)
class ReceiveRating:
    """The customer judged the result. `linked` as for a message."""

    rating_id: str
    score: int
    resolved: bool
    comment: Sealed | None = None
    linked: str = ""

    @property
    def unhappy(self) -> bool:
        """Opens the ticket again (interfaces.md: "`resolved: false` or score ≤ 2")."""
        return not self.resolved or self.score <= 2


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


@dataclass(frozen=True)
class NoteIncident:
    """The complaint was found to be one of many of one cause."""

    incident_id: str
    dimension: str
    value: str


Command = (
    Assign
    | Reply
    | AddNote
    | RecordCallBack
    | RequestInformation
    | Inform
    | ChangePriority
    | ChangeCategory
    | ChangeQueue
    | Resolve
    | Close
    | Reopen
    | Merge
    | MergeAway
    | MergeIn
    | EraseCustomer
    | RepeatSnapshot
    | ReceiveMessage
    | ReceiveRating
    | NoteEscalation
    | NoteCompensation
    | NoteRemedy
    | NoteIncident
)


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
