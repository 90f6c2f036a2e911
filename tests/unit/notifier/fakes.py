"""The world of the notifier in memory. `FakeClaims` passes the same behaviour tests as the real store."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from common.errors import Unavailable
from services.notifier.model import Delivery, Message, Notification, Person, State
from services.notifier.policy import masked


class FakeClaims:
    def __init__(self) -> None:
        self.rows: dict[str, Delivery] = {}
        self.away = False

    async def claim(self, notification: Notification, now: datetime) -> State:
        self._answer()
        row = Delivery(
            id=notification.id,
            ticket_id=notification.ticket_id,
            brand=notification.brand,
            event=notification.event,
            channel="",
            recipient=masked(notification.recipient),
            state=State.CLAIMED,
            at=now,
        )
        return self.rows.setdefault(notification.id, row).state

    async def record(self, deliveries: Sequence[Delivery]) -> None:
        self._answer()
        self.rows.update((delivery.id, replace(delivery)) for delivery in deliveries)

    async def of_ticket(self, ticket_id: str, after: str, limit: int) -> list[Delivery]:
        self._answer()
        rows = sorted((row for row in self.rows.values() if row.ticket_id == ticket_id), key=lambda row: row.id)
        return [row for row in rows if row.id > after][:limit]

    def _answer(self) -> None:
        if self.away:
            raise Unavailable("told to be away")


class FakeTickets:
    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.away = False
        self.asked = 0
        # The ticket becomes known after so many questions.
        self.unknown_for = 0

    async def person(self, ticket_id: str) -> Person | None:
        self.asked += 1
        if self.away:
            raise Unavailable("told to be away")
        return self.people.get(ticket_id) if self.asked > self.unknown_for else None


class FakeProvider:
    """Drops repeats of an idempotency key, as the real ones do. `troubles` are raised one by one before it works."""

    def __init__(self) -> None:
        self.posts: list[Message] = []
        self.taken: dict[str, Message] = {}
        self.troubles: list[Exception] = []
        self.refuses: dict[str, Exception] = {}

    async def send(self, message: Message) -> str:
        self.posts.append(message)
        if message.channel in self.refuses:
            raise self.refuses[message.channel]
        if self.troubles:
            raise self.troubles.pop(0)
        self.taken.setdefault(message.key, message)
        return f"p-{message.key}"


class FakeOutcomes:
    def __init__(self) -> None:
        self.published: list[Delivery] = []
        self.away = False

    async def publish(self, delivery: Delivery) -> None:
        if self.away:
            raise Unavailable("told to be away")
        self.published.append(delivery)
