"""The ticket and what happens to it, frozen. Instants are aware UTC; texts are sealed: no plain text travels here.

An entry of the history remembers its cause (a command's key, a message's id, an event's id): so a repeat is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from common.ids import deterministic_id
from rules.bounds import is_full
from rules.courses import Courses
from rules.model import Promise, Target
from rules.words import Category, Priority, Status
from services.router.changes import KINDS, Change, Merged


class ActorKind(StrEnum):
    """Who did it."""

    CUSTOMER = "customer"
    AGENT = "agent"
    SUPERVISOR = "supervisor"
    SYSTEM = "system"
    BOT = "bot"


@dataclass(frozen=True)
class Actor:
    """`id` is a person's or a service's own name, never a contact."""

    kind: ActorKind
    id: str = ""

    @property
    def automatic(self) -> bool:
        """Whether a machine acted: its answers count only where the policy says so (sla.md, "first_response")."""
        return self.kind in (ActorKind.SYSTEM, ActorKind.BOT)


ROUTER = Actor(ActorKind.SYSTEM, "router")
ANSWERS = Actor(ActorKind.BOT, "answers")
"""Answers simple questions (answering.py)."""


@dataclass(frozen=True)
class Sealed:
    """Personal data, readable only with the installation's key and the ticket's id."""

    key_id: str
    ciphertext: bytes


@dataclass(frozen=True)
class Personal:
    """The plain content of a `Sealed`."""

    contact: str = ""
    text: str = ""
    name: str = ""


@dataclass(frozen=True)
class ClockFacts:
    """The instants a ticket's clocks are computed from, each stamped by the service that owns it.

    `courses` are the promises under way: what the watchdog goes by. `ownerless_since` starts the latest owner-less
    period and `owner_since` ends it (None while it lasts). `targets_since`: when the present targets took effect.
    """

    acknowledged_at: datetime
    routed_at: datetime | None = None
    owner_since: datetime | None = None
    ownerless_since: datetime | None = None
    first_answer_at: datetime | None = None
    last_answer_at: datetime | None = None
    oldest_unanswered_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    rated_at: datetime | None = None
    targets_since: datetime | None = None
    courses: Courses = ()


@dataclass(frozen=True)
class Message:
    """What was said about a ticket. `public`: the customer sees it."""

    id: str
    at: datetime
    actor: Actor
    content: Sealed | None
    public: bool = True
    automatic: bool = False
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class HistoryEntry:
    """Who did what, when and why. `cause` names what led to it and occurs once in a ticket; `content` is its digest, so
    that the same cause with other content is noticed."""

    at: datetime
    actor: Actor
    kind: str
    reason: str
    version: int
    cause: str
    content: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Understanding:
    """What the router makes of a complaint's text: how it is decided is in `understanding.py`.

    `category` is what text and declared type together say most, with `confidence` (0 to 1); `followed` tells whether
    the ticket goes by it or keeps `declared`. `sentiment` is negative, neutral or positive, `good` how happy (0 to 1).
    `keywords` are terms of the policy and `features` n-grams of the model's vocabulary that decided, `products` the
    goods named: none of them free text. `model` is the version of the weights.
    """

    category: Category
    confidence: float
    followed: bool
    declared: Category | None
    secondary: tuple[Category, ...]
    urgent: bool
    angry: bool
    sentiment: str
    good: float
    intent: str
    keywords: tuple[str, ...]
    features: tuple[str, ...]
    products: tuple[str, ...]
    model: str


@dataclass(frozen=True)
class Ticket:
    """The work item. `version` grows by one with every change, from 1.

    `promise` is what the customer was told; `due` is the earlier of that and the router's own targets: the order of the
    desk's inbox. `fingerprint` names the complaint's content.
    """

    id: str
    version: int
    brand: str
    channel: str
    status: Status
    category: Category
    secondary: tuple[Category, ...]
    priority: Priority
    queue: str
    joint_queues: tuple[str, ...]
    customer_ref: str
    red: bool
    sla_policy: str
    policy_hash: str
    promise: Promise
    due: Promise
    targets: tuple[Target, ...]
    facts: ClockFacts
    fingerprint: str
    personal: Sealed | None
    assignee: str = ""
    customer_id: str = ""
    order_id: str = ""
    region: str = ""
    merchant_id: str = ""
    product_id: str = ""
    locale: str = ""
    images: tuple[str, ...] = ()
    channel_facts: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    understanding: Understanding | None = None
    automatic_answer_counts: bool = False
    complex: bool = False
    pause_max: timedelta = timedelta(hours=72)
    no_answer_after: timedelta | None = timedelta(hours=24)
    close_after: timedelta = timedelta(days=7)
    # How long after the end contact, texts and pictures stay.
    keep_personal: timedelta = timedelta(days=180)
    # Since when the desk waits for the customer, and when he was reminded.
    waiting_since: datetime | None = None
    reminded_at: datetime | None = None
    merged_into: str = ""
    merged: tuple[str, ...] = ()
    # The ticket that goes on where the customer wrote after the end, or more than this one takes in.
    continued_by: str = ""
    linked: tuple[str, ...] = ()
    score: int = 0
    # What a machine answered a question about, "" where none did; and whether it has had its say.
    answered_topic: str = ""
    handed_over: bool = False
    messages: tuple[Message, ...] = ()
    history: tuple[HistoryEntry, ...] = ()

    @property
    def pictures(self) -> tuple[str, ...]:
        """All uploads it names."""
        return (*self.images, *(image for message in self.messages for image in message.images))

    @property
    def has_personal(self) -> bool:
        """Whether anything of it says who the customer is or what he wrote."""
        said = any(message.content is not None for message in self.messages)
        return self.personal is not None or said or bool(self.pictures)

    @property
    def full(self) -> bool:
        """Whether it takes in nothing more of the customer: who goes on and on gets another ticket."""
        size = sum(len(message.content.ciphertext) for message in self.messages if message.content is not None)
        return is_full(len(self.messages), size)

    @property
    def successor(self) -> str:
        """Where the customer's words belong now, "" where that is here."""
        return self.merged_into or self.continued_by

    @property
    def joined(self) -> bool:
        """Whether it never was a ticket of its own: its complaint belonged to an open one (joining.py)."""
        return bool(self.history) and self.history[0].kind == KINDS[Merged]

    def entry_of(self, cause: str) -> HistoryEntry | None:
        """The change `cause` has led to already, or None."""
        return next((entry for entry in reversed(self.history) if entry.cause == cause), None)


# What comes in on complaints.v1.


@dataclass(frozen=True)
class Complaint:
    """What a customer sent, as intake acknowledged it. Immutable."""

    ticket_id: str
    brand: str
    channel: str
    declared: Category | None
    customer_ref: str
    acknowledged_at: datetime
    promise: Promise
    targets: tuple[Target, ...]
    fingerprint: str
    personal: Sealed
    customer_id: str = ""
    order_id: str = ""
    region: str = ""
    merchant_id: str = ""
    product_id: str = ""
    locale: str = ""
    images: tuple[str, ...] = ()
    channel_facts: Mapping[str, str] = field(default_factory=dict)
    # The ticket the customer named, and the Message-Ids of his mail: his own and those it refers to.
    thread_ticket: str = ""
    mail_references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Remedy:
    """What the order platform is asked for: a refund (`amount` in minor units of `currency`) or a new delivery."""

    id: str
    kind: Literal["refund", "reship"]
    currency: str = ""
    amount: int = 0
    original_payment: bool = False


@dataclass(frozen=True)
class Event:
    """One change and the ticket after it: what is published. `trace` is the W3C trace it belongs to.

    `moves_clocks`: the watchdog has a word to say on it (listening.py).
    """

    ticket: Ticket
    change: Change
    at: datetime
    actor: Actor
    reason: str
    trace: str | None = None
    remedies: tuple[Remedy, ...] = ()
    moves_clocks: bool = False

    @property
    def id(self) -> str:
        """The same for the same ticket and version, however often it is computed."""
        return event_id(self.ticket.id, self.ticket.version)


def event_id(ticket_id: str, version: int) -> str:
    """The deterministic id of a ticket's event."""
    return deterministic_id("ticket-event", ticket_id, version)


@dataclass(frozen=True)
class Update:
    """Events of one ticket for one write, in order. `base` is the version they start from; 0: a new ticket.

    `terms` are a new ticket's search terms, each a keyed hash. `claims` (joining.py) are what it alone may hold.
    """

    base: int
    events: tuple[Event, ...]
    terms: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()

    @property
    def ticket(self) -> Ticket:
        """The ticket after the last event."""
        return self.events[-1].ticket
