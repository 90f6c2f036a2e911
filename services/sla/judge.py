"""One message of the watchdog's inputs → what becomes of the ticket's row: bytes in, decisions out, no Faust."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from google.protobuf.message import Message as Proto

from common.errors import Poison
from common.events import Decoder, Headers
from common.words import from_timestamp
from gen.pingxi.v1.complaint_pb2 import ComplaintSubmitted
from gen.pingxi.v1.internal_pb2 import DueCame, SlaCommand
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from services.sla import watchdog
from services.sla.model import Acknowledgement, Row
from services.sla.ports import Calendars
from services.sla.watchdog import Outcome
from services.sla.wire import state_of_complaint, state_of_ticket

KINDS: tuple[type[Proto], ...] = (ComplaintSubmitted, TicketEvent, DueCame, SlaCommand)
DECODER = Decoder(KINDS)

# Next offset to be processed, by (topic, partition).
Positions = Mapping[tuple[str, int], int]


def read(
    topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None, headers: Headers
) -> Proto | None:
    """The message; None for a type the watchdog has no use for. Raises Poison."""
    incoming = DECODER.decode(topic, partition, offset, key, value, headers)
    if incoming is None:
        return None
    if isinstance(incoming.body, DueCame):
        return incoming.body
    if isinstance(incoming.body, SlaCommand) and incoming.body.WhichOneof("command") == "close_incident":
        # The surge detector's, keyed by brand.
        return None
    ticket_id: str = getattr(incoming.body, "ticket_id", "")
    if not ticket_id or ticket_id != incoming.key:
        raise Poison("key_mismatch", "the key isn't the ticket's id")
    return incoming.body


def due_of(message: DueCame, positions: Positions) -> tuple[Sequence[str], datetime, bool]:
    """(tickets, the instant they are judged as of, whether that may happen now). Raises Poison.

    Not yet: messages sent before the deadline still wait (mechanisms.md: "`due` never overtakes a reply").
    """
    as_of = from_timestamp(message.as_of)
    if as_of is None:
        raise Poison("missing_field", "as_of")
    passed = all(positions.get((end.topic, end.partition), 0) >= end.offset for end in message.end_offsets)
    return list(message.ticket_ids) or [message.ticket_id], as_of, passed


def judge(row: Row | None, message: Proto, calendars: Calendars, now: datetime) -> Outcome:
    """The new row and what to publish first. Raises Poison, and CalendarUnknown where policies.v1 lags."""
    match message:
        case ComplaintSubmitted():
            return watchdog.apply(row, state_of_complaint(message, calendars), now)
        case TicketEvent():
            return watchdog.apply(row, state_of_ticket(message, calendars), now)
        case SlaCommand():
            at = from_timestamp(message.at)
            if at is None or message.WhichOneof("command") != "acknowledge_escalation":
                return Outcome(row)
            taken = message.acknowledge_escalation
            asked = Acknowledgement(taken.escalation_id, taken.level, taken.returned, message.actor.id, at)
            return watchdog.acknowledge(row or watchdog.nothing_known(message.ticket_id), asked)
        case _:
            raise Poison("unknown_type", type(message).__name__)
