"""What compensation needs from outside."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from services.sla.compensation.accounts import Accounts, Books
from services.sla.compensation.model import LedgerRow, State

# changed: the books aren't what they were when they were read; gone: the row isn't.
Reservation = Literal["reserved", "changed", "gone"]


@dataclass(frozen=True)
class Asked:
    """Which rows: every part given has to hold. Newest first; `after` is the last one seen of the page before."""

    brand: str = ""
    ticket_id: str = ""
    order_id: str = ""
    states: Collection[State] = ()
    after: tuple[datetime, str] | None = None


class LedgerBook(Protocol):
    """Rows by idempotency key, and the books they are paid from. Every write marks a row unpublished.

    A change names the version it was decided on (`row.version - 1`) and does nothing where somebody was first. All
    calls raise Unavailable; the outcome is unknown then, and asking again is safe.
    """

    async def insert(self, row: LedgerRow) -> bool:
        """Writes a new row; False where its id is there already."""
        ...

    async def get(self, ledger_id: str) -> LedgerRow | None:
        """By idempotency key."""
        ...

    async def by_request(self, request_id: str) -> LedgerRow | None:
        """The row a request led to."""
        ...

    async def change(self, row: LedgerRow) -> bool:
        """Replaces version - 1."""
        ...

    async def published(self, row: LedgerRow) -> None:
        """This version is on the topics."""
        ...

    async def books(self, accounts: Accounts) -> Books:
        """The accounts as they stand; `orders` is left at 0."""
        ...

    async def reserve(self, row: LedgerRow, accounts: Accounts, books: Books, cap_days: int) -> Reservation:
        """Replaces version - 1 and takes the amount out of the accounts, all or nothing."""
        ...

    async def give_back(self, row: LedgerRow) -> bool:
        """Replaces version - 1 and returns what the row was charged for, all or nothing."""
        ...

    async def due(self, now: datetime, most: int = 200) -> list[LedgerRow]:
        """Proposed and approved rows whose time has come, oldest first."""
        ...

    async def unpublished(self, before: datetime, most: int = 200) -> list[LedgerRow]:
        """Rows changed before then whose last change isn't on the topics yet."""
        ...

    async def waiting_for(self, brand: str, order_ids: Sequence[str]) -> list[LedgerRow]:
        """Rows held because these orders weren't known."""
        ...

    async def find(self, asked: Asked, most: int) -> list[LedgerRow]:
        """A page."""
        ...

    async def issued(self, brand: str, start: datetime, end: datetime) -> list[LedgerRow]:
        """Rows promised in start ≤ t < end."""
        ...

    async def spent(self, budget: str) -> int:
        """Minor units taken out of a budget."""
        ...
