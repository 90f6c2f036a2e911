"""What the demo saw, where and when. Everything it tells follows from these."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

HTTP = "HTTP"
GRPC = "gRPC"
MONGODB = "MongoDB"
OUTBOX = "outbox.jsonl"
# What follows from all that was seen, or wasn't.
TALLY = "all of the above"
# Whose sightings are those of an incident rather than of a ticket.
INCIDENT = "the incident"


@dataclass(frozen=True)
class Sighting:
    """`place` is a topic or one of the words above; `kind` a message's name, an outbox event or a look's name.

    `id` is the same for a repeat of the same message. `body` is the protobuf message, the outbox row, or a dict.
    """

    at: datetime
    place: str
    kind: str
    ticket: str
    id: str
    body: Any
