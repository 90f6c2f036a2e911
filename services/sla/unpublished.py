"""Messages kept behind a table's row until they are known to be published: on record before they go out."""

from collections.abc import Sequence

from google.protobuf import descriptor_pool, message_factory

from common.events import TYPE_PREFIX, Outgoing
from common.words import from_timestamp, to_timestamp
from gen.pingxi.v1.internal_pb2 import Unpublished, UnpublishedMessage

# The tag of field 100 as it is written: a row without it has none, and needn't be read for it.
_TAG = bytes([0xA2, 0x06])


def with_unpublished(row: bytes, messages: Sequence[Outgoing]) -> bytes:
    """A stored row (SlaRow, OrderRow) with messages behind it."""
    kept = Unpublished(
        messages=[
            UnpublishedMessage(
                topic=message.topic,
                key=message.key,
                id=message.id,
                subject=message.subject,
                time=to_timestamp(message.time),
                type=message.body.DESCRIPTOR.name,
                body=message.body.SerializeToString(),
                attributes=message.attributes,
            )
            for message in messages
        ]
    )
    return row + kept.SerializeToString()


def unpublished_of(row: bytes) -> list[Outgoing]:
    """The messages behind a stored row, usually none."""
    return [_outgoing(kept) for kept in Unpublished.FromString(row).messages] if _TAG in row else []


def _outgoing(kept: UnpublishedMessage) -> Outgoing:
    descriptor = descriptor_pool.Default().FindMessageTypeByName(TYPE_PREFIX + kept.type)
    time = from_timestamp(kept.time)
    assert time is not None
    return Outgoing(
        topic=kept.topic,
        key=kept.key,
        id=kept.id,
        subject=kept.subject,
        time=time,
        body=message_factory.GetMessageClass(descriptor).FromString(kept.body),
        attributes=dict(kept.attributes),
    )
