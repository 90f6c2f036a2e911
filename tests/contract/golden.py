"""The golden messages of `protos/examples`: one JSON file for each message (and variant) of each topic.

A file holds `headers` and `key` as on the topic, `value` as protobuf JSON, and `bytes`, the value's wire form in
hexadecimal. `python -m tests.contract.golden` writes the wire form into files that have none yet, and never changes one
that is there: a wire form that changes is a break, not something to record again.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format, symbol_database
from google.protobuf.message import Message as Proto

# Importing registers the messages of each file.
from gen.pingxi.v1 import (  # noqa: F401
    compensation_pb2,
    complaint_pb2,
    escalation_pb2,
    internal_pb2,
    notification_pb2,
    order_event_pb2,
    order_pb2,
    policy_pb2,
    remedy_pb2,
    sla_event_pb2,
    staff_pb2,
    surge_pb2,
    ticket_pb2,
    voucher_pb2,
)

EXAMPLES = Path(__file__).parents[2] / "protos" / "examples"


@dataclass(frozen=True)
class Golden:
    """One example. `path` is below `protos/examples`: <topic>/<Message>[-variant].json."""

    path: Path
    headers: dict[str, str]
    key: str
    value: dict[str, Any]
    wire: bytes

    @property
    def topic(self) -> str:
        return self.path.parent.name

    @property
    def message(self) -> str:
        return self.path.stem.partition("-")[0]

    @property
    def id(self) -> str:
        return f"{self.topic}/{self.path.stem}"


def message_class(name: str) -> type[Proto]:
    """The class of a message of package pingxi.v1. Raises KeyError."""
    found: type[Proto] = symbol_database.Default().GetSymbol(f"pingxi.v1.{name}")
    return found


def parse(golden: Golden) -> Proto:
    """The message its JSON says. Raises json_format.ParseError for an unknown field or a wrong type."""
    return json_format.ParseDict(golden.value, message_class(golden.message)())


def to_json(message: Proto) -> dict[str, Any]:
    """As protobuf JSON."""
    return json_format.MessageToDict(message)


def to_bytes(message: Proto) -> bytes:
    """The wire form, with the entries of maps in order."""
    return message.SerializeToString(deterministic=True)


def goldens() -> Iterator[Golden]:
    """All examples."""
    for path in sorted(EXAMPLES.glob("*/*.json")):
        raw = json.loads(path.read_text())
        yield Golden(path, raw["headers"], raw["key"], raw["value"], bytes.fromhex(raw.get("bytes", "")))


def record() -> list[Path]:
    """Completes the files that have no wire form; returns them."""
    written = []
    for golden in goldens():
        raw = json.loads(golden.path.read_text())
        if "bytes" not in raw:
            raw["bytes"] = to_bytes(parse(golden)).hex()
            golden.path.write_text(json.dumps(raw, indent=2, ensure_ascii=False) + "\n")
            written.append(golden.path)
    return written


if __name__ == "__main__":
    for recorded in record():
        print(recorded)
