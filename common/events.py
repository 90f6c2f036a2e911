"""Kafka messages: protobuf values with CloudEvents headers in the binary binding.

Source: CloudEvents Kafka protocol binding 1.0, and `interfaces.md`, "Headers to rely on".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Proto

from common.errors import Poison
from common.tracing import child_traceparent
from common.words import rfc3339

Headers = Sequence[tuple[str, bytes]]
TYPE_PREFIX = "pingxi.v1."
CONTENT_TYPE = "application/protobuf"


@dataclass(frozen=True)
class Outgoing:
    """A message to publish. `id` is deterministic; `subject` is the ticket, order or incident."""

    topic: str
    key: str
    id: str
    subject: str
    time: datetime
    body: Proto
    # Further CloudEvents attributes, such as metric and level.
    attributes: Mapping[str, str] = field(default_factory=dict)
    partition: int | None = None
    # The traceparent it continues, where that isn't the current one: an outbox publishes later, and for many.
    traceparent: str | None = None


@dataclass(frozen=True)
class Incoming:
    """A decoded message and where it came from."""

    topic: str
    partition: int
    offset: int
    key: str
    type: str
    id: str
    traceparent: str | None
    body: Proto


def encode(message: Outgoing, source: str) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """(key, value, headers) for the producer."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", message.id.encode()),
        ("ce_source", f"/pingxi/{source}".encode()),
        ("ce_type", (TYPE_PREFIX + message.body.DESCRIPTOR.name).encode()),
        ("ce_subject", message.subject.encode()),
        ("ce_time", rfc3339(message.time).encode()),
        ("content-type", CONTENT_TYPE.encode()),
        ("traceparent", child_traceparent(message.traceparent).encode()),
    ]
    headers += [(f"ce_{name}", value.encode()) for name, value in message.attributes.items()]
    return message.key.encode(), message.body.SerializeToString(), headers


class Decoder:
    """Decodes what a consumer expects; everything else is Poison with a reason."""

    def __init__(self, kinds: Sequence[type[Proto]]) -> None:
        self._kinds = {TYPE_PREFIX + kind.DESCRIPTOR.name: kind for kind in kinds}

    def decode(
        self, topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> Incoming | None:
        """The message; None for a well-formed type this consumer has no use for. Raises Poison."""
        found = dict(headers)
        kind_name = found.get("ce_type", b"").decode("utf-8", "replace")
        if not kind_name:
            raise Poison("no_type", "header ce_type is missing")
        kind = self._kinds.get(kind_name)
        if kind is None:
            if kind_name.startswith(TYPE_PREFIX):
                return None
            raise Poison("unknown_type", kind_name[:100])
        if value is None:
            raise Poison("no_value")
        try:
            body = kind.FromString(value)
        except DecodeError as error:
            raise Poison("undecodable", kind_name) from error
        try:
            key_text = (key or b"").decode()
        except UnicodeDecodeError as error:
            raise Poison("bad_key", "not UTF-8") from error
        trace = found.get("traceparent", b"").decode("ascii", "replace") or None
        message_id = found.get("ce_id", b"").decode("utf-8", "replace")
        return Incoming(
            topic, partition, offset, key_text, kind_name.removeprefix(TYPE_PREFIX), message_id, trace, body
        )
