"""What the notifier knows: events as it needs them, messages it owes, and what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

CUSTOMER = "customer"


class Event(StrEnum):
    """What a message is about; the first part of a template's name."""

    CONFIRMATION = "confirmation"
    REPLY = "reply"
    RESOLUTION = "resolution"
    ESCALATION = "escalation"
    NOTICE = "notice"
    VOUCHER = "voucher"
    SURGE = "surge"
    DELAY = "delay"
    ETA = "eta"
    POINTS = "points"


class Way(StrEnum):
    """How a message travels: the provider's channel."""

    SMS = "sms"
    MAIL = "mail"
    ROBOT = "robot"
    VOICE = "voice"
    WECHAT = "wechat"
    PUSH = "push"


class State(StrEnum):
    """What became of a message. All but `claimed` are final: such a message is never sent again."""

    CLAIMED = "claimed"
    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"


class Why(StrEnum):
    """Why a message wasn't delivered."""

    EXPIRED = "expired"
    NO_CONTACT = "no_contact"
    REFUSED = "refused"
    GAVE_UP = "gave_up"


@dataclass(frozen=True)
class Amount:
    """Money in the currency's smallest unit."""

    currency: str
    minor: int


@dataclass(frozen=True)
class TicketFacts:
    """A ticket as its event describes it; nothing personal. Words are those of the contract ("food_safety")."""

    id: str
    brand: str
    locale: str
    category: str
    priority: str
    queue: str
    joint_queues: tuple[str, ...]
    assignee: str
    red: bool
    first_response_by: datetime | None
    resolve_by: datetime | None
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Opened:
    """A ticket came to be. `cause` identifies the event, `at` is when it happened."""

    cause: str
    at: datetime
    ticket: TicketFacts


@dataclass(frozen=True)
class Answered:
    """The desk wrote to the customer: an answer, or a question."""

    cause: str
    at: datetime
    ticket: TicketFacts
    message_id: str


@dataclass(frozen=True)
class Resolved:
    """A ticket was resolved; the message, if any, tells the customer how."""

    cause: str
    at: datetime
    ticket: TicketFacts
    message_id: str
    resolution: str


@dataclass(frozen=True)
class Escalated:
    """A level of an escalation fired. `returned` counts how often an acknowledged one came back."""

    cause: str
    at: datetime
    ticket_id: str
    brand: str
    metric: str
    level: int
    notify: tuple[str, ...]
    ways: tuple[str, ...]
    breached_at: datetime | None
    priority: str
    queue: str
    assignee: str
    red: bool
    returned: int


@dataclass(frozen=True)
class Compensated:
    """A voucher was issued to the ticket's customer."""

    cause: str
    at: datetime
    ticket_id: str
    brand: str
    amount: Amount
    reason: str
    customer_id: str = ""


@dataclass(frozen=True)
class Granted:
    """Points were granted to the ticket's customer."""

    cause: str
    at: datetime
    ticket_id: str
    brand: str
    points: int
    reason: str
    customer_id: str = ""


@dataclass(frozen=True)
class Surged:
    """An incident was opened: many complaints of one cause. `value` is empty for a whole brand."""

    cause: str
    at: datetime
    incident_id: str
    brand: str
    category: str
    dimension: str
    value: str
    complaints: int
    orders: int


@dataclass(frozen=True)
class Delayed:
    """An order will miss its promised time, or has. `why` says how that is known: "eta", "risk", "overdue"."""

    cause: str
    at: datetime
    order_id: str
    brand: str
    customer_id: str
    why: str
    reason: str
    promised_at: datetime | None
    eta: datetime | None


@dataclass(frozen=True)
class Expected:
    """The planned word before an order comes."""

    cause: str
    at: datetime
    order_id: str
    brand: str
    customer_id: str
    eta: datetime | None


Happening = Opened | Answered | Resolved | Escalated | Compensated | Granted | Surged | Delayed | Expected

# A raw value for a template: formatted for brand and language when the message is written.
Fact = str | int | bool | datetime | Amount | tuple[str, ...] | None


@dataclass(frozen=True)
class Notification:
    """One message one recipient is owed.

    `id` is the same whenever the same event is seen, and is the provider's idempotency key. `recipient` is CUSTOMER,
    a word for staff ("role:supervisor"), or "customer:<id>" where only the brand knows how to reach the customer.
    `ways` for all but CUSTOMER: tried in this order until one delivers; a customer's follows from the contact. `locale`
    "" asks the ticket, then the brand. `message_id` names the ticket's message whose text is part of this one.
    """

    id: str
    event: Event
    ticket_id: str
    brand: str
    recipient: str
    at: datetime
    ways: tuple[Way, ...] = ()
    locale: str = ""
    message_id: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def personal(self) -> bool:
        """Whether it can't be written without the customer's contact."""
        return self.recipient == CUSTOMER


@dataclass(frozen=True)
class Person:
    """The customer of a ticket at the moment of sending. `texts` are the ticket's messages by id."""

    contact: str
    locale: str
    texts: Mapping[str, str]


@dataclass(frozen=True)
class Message:
    """What a provider takes. `key` is its idempotency key."""

    key: str
    ticket: str
    recipient: str
    channel: Way
    event: Event
    locale: str
    text: str


@dataclass(frozen=True)
class Delivery:
    """What became of a notification, as it is published and kept.

    `recipient` is masked, `channel` "" where none was found.
    """

    id: str
    ticket_id: str
    brand: str
    event: str
    channel: str
    recipient: str
    state: State
    at: datetime
    why: str = ""
    provider_id: str = ""
