"""What intake deals with. Everything is frozen; instants are aware UTC `datetime`, money is minor units."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from rules.bounds import MOST_RATINGS
from rules.model import Category, Promise, RoutingDecision

Channel = Literal["app", "miniprogram", "web", "hotline", "sms", "mail", "wechat", "system"]
Locale = Literal["zh-CN", "zh-TW", "en"]
# What a customer is told; a ticket's `pending` is `in_progress` to him.
PublicStatus = Literal["received", "in_progress", "resolved", "closed"]

CHANNELS: tuple[Channel, ...] = ("app", "miniprogram", "web", "hotline", "sms", "mail", "wechat", "system")
LOCALES: tuple[Locale, ...] = ("zh-CN", "zh-TW", "en")


@dataclass(frozen=True, slots=True)
class Submission:
    """A complaint as the customer sent it, validated and normalised.

    `contact` is E.164 or a mail address; `occurred_at` is as the client says, not yet bounded.
    An empty text is "not given".
    """

    brand: str
    channel: Channel
    declared: str
    description: str
    contact: str
    locale: Locale
    order_id: str = ""
    customer_id: str = ""
    region: str = ""
    merchant_id: str = ""
    product_id: str = ""
    images: tuple[str, ...] = ()
    occurred_at: datetime | None = None
    # The ticket the customer names (a number in the subject of a mail), and hashes of the Message-Ids of his mail, its
    # own first and then of those it refers to: the router may find an open ticket by them (mechanisms.md, "Threading").
    thread_ticket: str = ""
    mail_references: tuple[str, ...] = ()
    # What the channel knows beside the complaint, without personal data: (name, value), such as a call's id.
    channel_facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Complaint:
    """A submission that is about to be acknowledged: what the log will hold."""

    ticket_id: str
    submission: Submission
    declared_category: Category
    customer_ref: str
    fingerprint: str
    acknowledged_at: datetime
    occurred_at: datetime
    decision: RoutingDecision
    promise: Promise


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the customer gets back, and what a repeat gets again."""

    ticket_id: str
    token: str
    acknowledged_at: datetime
    promise: Promise
    declared_category: Category


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG without anything but pixels."""

    data: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class CustomerMessage:
    """What the customer adds to a complaint, about to be acknowledged. `channel` is "" where he came by himself."""

    message_id: str
    ticket_id: str
    channel: Channel | Literal[""]
    text: str
    images: tuple[str, ...]
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Rating:
    """What the customer thinks of the result, about to be acknowledged; `score` 1 to 5."""

    rating_id: str
    ticket_id: str
    score: int
    resolved: bool
    comment: str
    received_at: datetime

    @property
    def unhappy(self) -> bool:
        """Opens the ticket again (interfaces.md: `resolved: false` or score ≤ 2)."""
        return not self.resolved or self.score <= 2


@dataclass(frozen=True, slots=True)
class MessageReceipt:
    """The message is in the log."""

    message_id: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class RatingReceipt:
    """The rating is in the log; `reopens`: it opens the ticket again."""

    rating_id: str
    received_at: datetime
    reopens: bool


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What a token says by itself; a token of an idempotency key says only the category (tokens.py)."""

    declared_category: Category | None
    acknowledged_at: datetime | None
    promise: Promise


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing the customer may see; `text` is what was written to him, empty where nobody wrote.

    `version` of the ticket is that of the change it came with.
    """

    at: datetime
    kind: str
    text: str = ""
    images: tuple[str, ...] = ()
    version: int = 0


@dataclass(frozen=True, slots=True)
class CompensationEntry:
    """One compensation of the ticket, as far as it is known; `points` instead of an amount."""

    id: str
    currency: str
    amount_minor: int
    reason: str
    state: str
    at: datetime
    points: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a complaint is, in the customer's terms.

    `version` counts what happened to the ticket `served_by`, 0 before the router knows it: that is another than
    `ticket_id` after a merging. `messages` and `ratings` are the ids of those it has; `full`: it takes in no further
    message.
    """

    ticket_id: str
    status: PublicStatus
    category: Category | None
    promise: Promise
    timeline: tuple[TimelineEntry, ...] = ()
    compensation: tuple[CompensationEntry, ...] = ()
    version: int = 0
    served_by: str = ""
    ratings: frozenset[str] = frozenset()
    messages: frozenset[str] = frozenset()
    full: bool = False

    @property
    def images(self) -> frozenset[str]:
        """The uploads the customer may see."""
        return frozenset(image for entry in self.timeline for image in entry.images)

    @property
    def can_rate(self) -> bool:
        """A customer rates a result, so there has to be one (requirements, "Closing the loop"); not for ever."""
        return self.status == "resolved" and len(self.ratings) < MOST_RATINGS


@dataclass(frozen=True, slots=True)
class Listed:
    """One of a customer's complaints; `merged_into` names the one it went on as."""

    ticket_id: str
    status: PublicStatus
    category: Category | None
    order_id: str
    acknowledged_at: datetime | None
    promise: Promise
    merged_into: str = ""


@dataclass(frozen=True, slots=True)
class CustomerPage:
    """Some of a customer's complaints, the newest first; `next_page_token` is "" at the end."""

    complaints: tuple[Listed, ...]
    next_page_token: str = ""
