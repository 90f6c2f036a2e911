"""What the handlers need from outside."""

from collections.abc import AsyncIterator
from typing import Protocol

from services.intake.model import Complaint, CustomerMessage, CustomerPage, Picture, Progress, Rating


class ComplaintLog(Protocol):
    """Where acknowledged complaints are kept."""

    async def append(self, complaint: Complaint) -> None:
        """Returns once every in-sync replica has it. Raises Unavailable where that is unknown."""
        ...


class FollowUpLog(Protocol):
    """The same log, for what customers say later."""

    async def append_message(self, message: CustomerMessage) -> None:
        """Returns once every in-sync replica has it. Raises Unavailable where that is unknown."""
        ...

    async def append_rating(self, rating: Rating) -> None:
        """Likewise."""
        ...


class Tickets(Protocol):
    """The router's view."""

    async def progress(self, ticket_id: str) -> Progress | None:
        """How far the ticket is, None if the router doesn't know it (yet). Raises Unavailable."""
        ...

    async def of_customer(self, brand: str, customer_id: str, page_size: int, page_token: str) -> CustomerPage:
        """The customer's complaints, the newest first. Raises Unavailable, Invalid for another list's token."""
        ...


class Changes(Protocol):
    """What happens to tickets, as it happens."""

    def changes(self) -> AsyncIterator[str]:
        """The empty text once nothing is missed any more, then the id of each ticket that changes.

        Raises Unavailable at the end.
        """
        ...


class CustomerTickets(Protocol):
    """The router's view of what somebody complained about, for channels that know who writes."""

    async def of(self, contact: str, ticket_id: str = "") -> Progress | None:
        """How far a contact's complaint is: the one of this number, else the newest open one, else the newest. None
        where it isn't his, or he has none. Raises Unavailable."""
        ...


class Limits(Protocol):
    """How much may be sent."""

    def customer(self, identity: str) -> None:
        """Counts one for a customer or sender. Raises RateLimited."""
        ...

    def channel(self, name: str) -> None:
        """Counts one call of a channel. Raises RateLimited."""
        ...


class UploadStore(Protocol):
    """Where pictures are kept."""

    async def put(self, upload_id: str, picture: Picture, channel: str) -> None:
        """Returns once a majority has it. Raises Unavailable."""
        ...

    async def get(self, upload_id: str) -> bytes | None:
        """The picture's JPEG. Raises Unavailable."""
        ...
