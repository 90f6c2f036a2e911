"""What the handlers need from outside."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from rules.model import PolicySet
from rules.words import Category, Priority, Status
from services.router.answering import OrderNews
from services.router.model import Complaint, Event, Personal, Sealed, Ticket, Understanding, Update
from services.router.parts import Part, Parts
from services.router.versions import Version

Order = Literal["acknowledged_at", "-acknowledged_at", "due"]


@dataclass(frozen=True)
class Filter:
    """Which tickets to list: every given part has to hold; within a part, any of its values. Times: from ≤ t < to.

    `terms` (search.py): all of them.
    """

    brands: tuple[str, ...] = ()
    statuses: tuple[Status, ...] = ()
    queues: tuple[str, ...] = ()
    priorities: tuple[Priority, ...] = ()
    categories: tuple[Category, ...] = ()
    assignees: tuple[str, ...] = ()
    customer_id: str = ""
    customer_ref: str = ""
    order_id: str = ""
    merchant_id: str = ""
    region: str = ""
    acknowledged_from: datetime | None = None
    acknowledged_to: datetime | None = None
    terms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Position:
    """The place of a ticket in a listing: its sort value in µs since 1970, and its id."""

    value: int
    ticket_id: str


class Tickets(Protocol):
    """The tickets at rest. Every call raises Unavailable where the database doesn't answer."""

    async def add(self, updates: Sequence[Update]) -> set[str]:
        """Stores new tickets with their events; returns the ids of those it didn't store: they are there already (and
        are left as they are), or another ticket holds one of their claims."""
        ...

    async def holders(self, claims: Sequence[str]) -> dict[str, str]:
        """Which ticket holds each of these claims; those that nobody holds are left out."""
        ...

    async def release(self, ticket_id: str, claims: Sequence[str]) -> None:
        """The ticket no longer holds these claims."""
        ...

    async def get(self, ticket_id: str) -> Ticket | None:
        """One ticket."""
        ...

    async def get_many(self, ticket_ids: Sequence[str]) -> dict[str, Ticket]:
        """Those that exist, by id."""
        ...

    async def save(self, updates: Sequence[Update]) -> bool:
        """Stores changes with their events, each only if its ticket is still at its `base`; True if all were."""
        ...

    async def find(
        self, which: Filter, order: Order, after: Position | None, limit: int
    ) -> list[tuple[Ticket, Position]]:
        """Up to `limit` tickets behind `after`, in a stable order."""
        ...

    async def due_actions(self, now: datetime, limit: int) -> list[Ticket]:
        """Tickets whose `policy.next_action` has come, the longest due first."""
        ...

    async def settle(self, ticket: Ticket, again_at: datetime | None = None) -> None:
        """The ticket needs no action, or none before `again_at`, if it is still at this version."""
        ...

    async def unheard(self, now: datetime, limit: int) -> list[Ticket]:
        """Open tickets whose time to be heard of has come without a word from the watchdog: on a new one any, on one
        whose clocks a change moved a word on that version or a later one. Forgets those it heard of and those that are
        open no more."""
        ...

    async def expect(self, ticket_ids: Sequence[str], by: datetime) -> None:
        """Says when these tickets are looked at by `unheard` again."""
        ...

    async def heard(self, armed: Mapping[str, int]) -> None:
        """The watchdog has armed these tickets (by id: the version it goes by), known here or not yet."""
        ...


class PartTexts(Protocol):
    """Parts of long texts. Every call raises Unavailable where the database doesn't answer."""

    async def add(self, complaint: Complaint, part: Part, now: datetime) -> Parts:
        """Keeps a part, the first of its place, unless the ticket is stored or decided on; returns what there is."""
        ...

    async def open_with(self, ticket_id: str, places: Sequence[int]) -> Parts:
        """Decides with which places the ticket is opened, where that isn't decided yet; returns what there is."""
        ...

    async def settle(self, ticket_id: str) -> None:
        """The ticket is stored: the texts go."""
        ...

    async def overdue(self, since: datetime, limit: int) -> list[Parts]:
        """Those whose first part came at or before `since` and whose ticket isn't stored, the oldest first."""
        ...

    def waiting(self) -> AsyncIterator[Parts]:
        """All whose ticket isn't stored."""
        ...


class Waiting(Protocol):
    """Long texts of which parts are missing (assembling.py)."""

    async def hasten(self, whose: Callable[[Complaint, Personal], bool]) -> None:
        """Opens now the tickets of those texts that are, by their first complaint and its content, somebody's: nothing
        of them waits any more when it returns. May be repeated. Raises Unavailable."""
        ...


class Outbox(Protocol):
    """Brings stored events to tickets.v1."""

    def hold(self, ticket_ids: Sequence[str]) -> AbstractAsyncContextManager[None]:
        """Inside, nobody else of this process publishes events of these tickets."""
        ...

    async def publish(self, events: Sequence[Event]) -> None:
        """Publishes and clears the first events of new tickets, inside their `hold`. Raises Unavailable."""
        ...

    async def deliver(self, ticket_ids: Sequence[str]) -> None:
        """Publishes and clears whatever these tickets have uncleared. Raises Unavailable."""
        ...

    def wake(self, ticket_id: str) -> None:
        """Delivers soon, in the background, as often as it takes."""
        ...


class Policies(Protocol):
    """The policies in force."""

    def of(self, brand: str) -> PolicySet | None:
        """The brand's policies; None for a brand that doesn't exist."""
        ...

    async def announce(self, hashes: Sequence[str]) -> None:
        """Returns once these versions are on policies.v1. Raises Unavailable."""
        ...


class Versions(Protocol):
    """The history of policies. Every call raises Unavailable where the database doesn't answer."""

    async def prepare(self) -> None:
        """Makes ready for the first write."""
        ...

    async def latest(self) -> dict[str, int]:
        """The number of the last activation of every brand."""
        ...

    async def get(self, brand: str, number: int) -> Version | None:
        """One activation."""
        ...

    async def by_hash(self, brand: str, policy_hash: str) -> Version | None:
        """The last activation of that content."""
        ...

    async def by_key(self, brand: str, key: str) -> Version | None:
        """The activation a call with that idempotency key made; None for an empty key."""
        ...

    async def add(self, version: Version) -> bool:
        """Stores an activation; False where its number is taken by another."""
        ...

    async def history(self, brand: str, before: int, limit: int) -> list[Version]:
        """Activations with smaller numbers (0: all), the newest first, without content and files."""
        ...

    async def unapplied(self, brand: str, number: int) -> bool:
        """Whether running tickets haven't been looked at yet."""
        ...

    async def applied(self, brand: str, number: int) -> None:
        """Running tickets have been looked at."""
        ...


class Assigner(Protocol):
    """Chooses who is to own a ticket."""

    def choosing(self, ticket: Ticket) -> AbstractAsyncContextManager[str]:
        """Inside, the id of the person to own the ticket, by load and skill within its queue.

        Assign and store inside: nobody else of this process chooses meanwhile, and the next choice counts it. Raises
        Refused where nobody of the queue is at work with room for another ticket; Unavailable.
        """
        ...


class Pictures(Protocol):
    """Customers' pictures. Every call raises Unavailable where the database doesn't answer."""

    async def claim(self, used: Mapping[str, Sequence[str]]) -> None:
        """These tickets have these pictures, by ticket id; those that don't exist are passed over."""
        ...

    async def release(self, ticket_id: str, pictures: Sequence[str]) -> int:
        """The ticket has no pictures any more, neither these nor others: how many were deleted because no other ticket
        has them."""
        ...

    async def sweep(self, before: datetime) -> int:
        """Deletes some that came in before and that no ticket has; how many, 0 once there are none."""
        ...


class Reads(Protocol):
    """Understands texts: what a customer is about, beyond the words of the policy. Blocks for less than 1 ms."""

    def read(
        self, policies: PolicySet, text: str, declared: Category | None = None, channel: str = ""
    ) -> Understanding:
        """What the text says; `declared` is what the customer chose on that channel, None for nothing."""
        ...

    def explained(
        self, policies: PolicySet, text: str, declared: Category | None = None, channel: str = ""
    ) -> Understanding:
        """As `read`, with the n-grams that decided (`features`)."""
        ...

    def thanks(self, text: str) -> bool:
        """Whether a message only thanks."""
        ...


class Orders(Protocol):
    """What is known of orders."""

    async def order(self, brand: str, order_id: str) -> OrderNews | None:
        """None where nothing is known, or not soon. Never raises, and takes no longer than a moment (0.3 s)."""
        ...


class Vault(Protocol):
    """Personal data of a ticket."""

    def seal(self, ticket_id: str, content: Personal) -> Sealed:
        """Seals for one ticket."""
        ...

    def open(self, ticket_id: str, sealed: Sealed) -> Personal:
        """The plain content. Raises Poison where it can't be opened."""
        ...
