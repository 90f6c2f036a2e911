"""What the handlers need of the world."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from services.notifier.model import Delivery, Event, Fact, Message, Notification, Person, State, Way


class Claims(Protocol):
    """What was sent or is about to be, by notification id.

    A call for staff raises Unavailable within about a second, any other within about five.
    """

    async def claim(self, notification: Notification, now: datetime) -> State:
        """Notes that a message is about to be sent, unless it is known; gives the state it has now."""
        ...

    async def record(self, deliveries: Sequence[Delivery]) -> None:
        """Keeps what became of messages, claimed or not. The same again changes nothing."""
        ...

    async def of_ticket(self, ticket_id: str, after: str, limit: int) -> list[Delivery]:
        """A ticket's messages by id, those after the id `after`, at most `limit`."""
        ...


class Tickets(Protocol):
    """The customer behind a ticket, asked at the moment of sending."""

    async def person(self, ticket_id: str) -> Person | None:
        """None where there is no such ticket (yet). Raises Unavailable."""
        ...


class Provider(Protocol):
    """Something that carries messages, dropping repeats of an idempotency key."""

    async def send(self, message: Message) -> str:
        """The provider's id. Raises Refused where it will never take it, Unavailable where the outcome is unknown."""
        ...


class Outcomes(Protocol):
    """Tells the rest of Pingxi what became of a message."""

    async def publish(self, delivery: Delivery) -> None:
        """Returns once acknowledged. Raises Unavailable."""
        ...


class Writer(Protocol):
    """Writes texts in the brand's name."""

    def locale(self, brand: str, wanted: str) -> str:
        """The language a message is written in. Raises Poison for an unknown brand."""
        ...

    def write(self, notification: Notification, way: Way, locale: str, now: datetime, text: str) -> str:
        """The whole message; `text` is the desk's own part. Raises Poison for an unknown brand."""
        ...

    def preview(
        self, brand: str, event: Event, way: Way, locale: str, facts: Mapping[str, Fact], given: Mapping[str, str]
    ) -> str:
        """A message with `facts` of a ticket and `given` values, else samples. Raises Invalid, naming the field."""
        ...
