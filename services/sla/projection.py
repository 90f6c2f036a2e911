"""The clocks as they stand, in MongoDB, so that any worker may be asked: a copy of the watchdog's table.

It follows the table's changelog, so it can't disagree with what the watchdog goes by; it lags by a moment, and while
MongoDB is away by as long as that takes.
"""

from collections.abc import Sequence

from common.consumer import BatchConsumer
from common.errors import NotFound, Poison
from common.events import Headers, Incoming
from common.publisher import Publisher
from gen.pingxi.v1.internal_pb2 import SlaRow
from services.sla.model import Row
from services.sla.policies import CalendarBook
from services.sla.rows import row_from_bytes
from services.sla.settings import SlaSettings
from services.sla.store import ClockStore
from services.sla.wire import CalendarUnknown


class RowDecoder:
    """Changelog records have no headers: the key is the ticket, the value the row."""

    def decode(
        self, topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> Incoming | None:
        """None for a deleted row. Raises Poison."""
        if not key or value is None:
            return None
        try:
            body = SlaRow.FromString(value)
        except Exception as error:
            raise Poison("undecodable", "SlaRow") from error
        return Incoming(topic, partition, offset, key.decode(), "SlaRow", "", None, body)


class Projection:
    """Writes rows, reads them back."""

    def __init__(self, store: ClockStore, calendars: CalendarBook) -> None:
        self._store = store
        self._calendars = calendars

    async def handle(self, messages: Sequence[Incoming]) -> None:
        """The newest row of each ticket of the batch. Raises Unavailable."""
        newest = {message.key: message for message in messages}
        await self._store.put([(key, m.body.SerializeToString(), m.offset) for key, m in newest.items()])

    async def row(self, ticket_id: str) -> Row:
        """The ticket's clocks. Raises NotFound, Unavailable."""
        value = await self._store.get(ticket_id)
        row = None if value is None else await self._read(ticket_id, value)
        if row is None or row.version < 0:
            raise NotFound("no clocks are known of this ticket")
        return row

    async def _read(self, ticket_id: str, value: bytes) -> Row:
        try:
            return row_from_bytes(ticket_id, value, self._calendars)
        except CalendarUnknown as unknown:
            # Another worker wrote it with a policy version this one hasn't met yet.
            await self._calendars.learn(unknown.calendar_hash)
            return row_from_bytes(ticket_id, value, self._calendars)


def consumer_of(settings: SlaSettings, publisher: Publisher, projection: Projection) -> BatchConsumer:
    """Follows the changelog of the group's table."""
    return BatchConsumer(
        settings.kafka,
        service="sla",
        group=f"{settings.sla_group}-projection",
        topics=[f"{settings.sla_group}-clocks-changelog"],
        decoder=RowDecoder(),
        handle=projection.handle,
        publisher=publisher,
        topic_prefix=settings.topic_prefix,
    )
