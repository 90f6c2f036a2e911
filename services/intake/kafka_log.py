"""The log of complaints in Kafka."""

import asyncio

from common.errors import Unavailable
from common.events import Outgoing
from common.publisher import Publisher
from common.sealing import Sealer
from services.intake.model import Complaint, CustomerMessage, Rating
from services.intake.wire import complaint_to_message, message_to_message, rating_to_message

# After a stop, how long a send may still take: with a broker it needs milliseconds, without one the customer is told to
# try again, while there's still somebody to tell him.
HURRY_SECONDS = 0.7


class KafkaLog:
    """Publishes to complaints.v1, personal data sealed; keeps `ComplaintLog` and `FollowUpLog` of ports.py."""

    def __init__(self, publisher: Publisher, sealer: Sealer) -> None:
        self._publisher = publisher
        self._sealer = sealer
        self._under_way: set[asyncio.Timeout] = set()
        self._until: float | None = None

    async def append(self, complaint: Complaint) -> None:
        await self._send(complaint_to_message(complaint, self._sealer))

    async def append_message(self, message: CustomerMessage) -> None:
        await self._send(message_to_message(message, self._sealer))

    async def append_rating(self, rating: Rating) -> None:
        await self._send(rating_to_message(rating, self._sealer))

    async def _send(self, message: Outgoing) -> None:
        try:
            async with asyncio.timeout_at(self._until) as limit:
                self._under_way.add(limit)
                try:
                    await self._publisher.publish(message)
                finally:
                    self._under_way.discard(limit)
        except TimeoutError as error:
            raise Unavailable("stopping; the message log didn't acknowledge in time") from error

    async def hurry_after(self, stop: asyncio.Event) -> None:
        """From `stop` on nothing waits longer than HURRY_SECONDS."""
        await stop.wait()
        self._until = asyncio.get_running_loop().time() + HURRY_SECONDS
        for limit in self._under_way:
            limit.reschedule(self._until)
