"""What the handlers need from outside."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from rules.model import PolicySet
from rules.words import Category, Priority, Status
from services.router.model import Event, Personal, Sealed, Ticket, Update

Order = Literal["acknowledged_at", "-acknowledged_at", "due"]


@dataclass(frozen=True)
class Filter:
    """Which tickets to list: every given part has to hold; within a part, any of its values. Times: from ≤ t < to."""

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


@dataclass(frozen=True)
class Position:
    """The place of a ticket in a listing: its sort value in µs since 1970, and its id."""

    value: int
    ticket_id: str


class Tickets(Protocol):
    """The tickets at rest. Every call raises Unavailable where the database doesn't answer."""

    async def add(self, updates: Sequence[Update]) -> set[str]:
        """Stores new tickets with their events; returns the ids that were there already (and are left as they are)."""
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


class Vault(Protocol):
    """Personal data of a ticket."""

    def seal(self, ticket_id: str, content: Personal) -> Sealed:
        """Seals for one ticket."""
        ...

    def open(self, ticket_id: str, sealed: Sealed) -> Personal:
        """The plain content. Raises Poison where it can't be opened."""
        ...
