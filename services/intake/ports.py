"""What the handlers need from outside."""

from typing import Protocol

from services.intake.model import Complaint, Progress


class ComplaintLog(Protocol):
    """Where acknowledged complaints are kept."""

    async def append(self, complaint: Complaint) -> None:
        """Returns once every in-sync replica has it. Raises Unavailable where that is unknown."""
        ...


class Tickets(Protocol):
    """The router's view."""

    async def progress(self, ticket_id: str) -> Progress | None:
        """How far the ticket is, None if the router doesn't know it (yet). Raises Unavailable."""
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
