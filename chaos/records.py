"""Records of the topics as the checker knows them; real ones and simulated ones alike."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chaos import observation as seen
from common.errors import Poison
from common.events import Decoder, Headers
from common.words import from_timestamp
from gen.pingxi.v1 import complaint_pb2, escalation_pb2, sla_event_pb2, ticket_pb2, voucher_pb2
from wire.courses import courses_from_proto
from wire.words import metric_from_proto

# What the checker judges.
JUDGED = (
    "complaints.v1",
    "tickets.v1",
    "sla-events.v1",
    "escalations.v1",
    "vouchers.v1",
    "dead-letters.v1",
)
# Where wrong and repeated messages are put besides.
INTERNAL = ("compensation-requests", "sla-due", "sla-commands")
# Header of what the harness wrote itself: "poison:router,sla", or "repeat".
MARK = "chaos"
KINDS = (
    complaint_pb2.ComplaintSubmitted,
    ticket_pb2.TicketEvent,
    sla_event_pb2.SlaArmed,
    sla_event_pb2.SlaRetargeted,
    sla_event_pb2.SlaPaused,
    sla_event_pb2.SlaResumed,
    sla_event_pb2.SlaBreached,
    sla_event_pb2.SlaMet,
    escalation_pb2.TicketEscalated,
    escalation_pb2.EscalationClosed,
    voucher_pb2.VoucherIssued,
)
_DECODER = Decoder(KINDS)


@dataclass(frozen=True)
class Raw:
    """A record as Kafka's client gives it (aiokafka's ConsumerRecord has these fields, too)."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


def mark_of(record: Raw) -> str:
    """What the harness wrote on it, "" for a message of the system."""
    mark: bytes = dict(record.headers).get(MARK, b"")
    return mark.decode()


def _instant(stamp: Any) -> datetime:
    found = from_timestamp(stamp)
    assert found is not None
    return found


def _metric(number: Any) -> str:
    metric = metric_from_proto(number)
    return metric.value if metric else ""


def record_of(raw: Raw, seen_at: datetime) -> seen.Record | None:
    """The record, None for what the checker has no use for. What the harness poisoned is none of the system's."""
    if raw.topic == "dead-letters.v1":
        return _dead_letter(raw, seen_at)
    if mark_of(raw).startswith("poison"):
        return None
    try:
        message = _DECODER.decode(raw.topic, raw.partition, raw.offset, raw.key, raw.value, raw.headers)
    except Poison:
        return None
    if message is None:
        return None
    body: Any = message.body
    place = {
        "topic": raw.topic,
        "partition": raw.partition,
        "offset": raw.offset,
        "id": message.id,
        "ticket": body.clock.ticket_id if "clock" in body.DESCRIPTOR.fields_by_name else body.ticket_id,
        "seen_at": seen_at,
    }
    clock = {}
    if "clock" in body.DESCRIPTOR.fields_by_name:
        clock = {"metric": _metric(body.clock.metric), "instance": body.clock.instance}
    match body:
        case complaint_pb2.ComplaintSubmitted():
            return seen.Complained(
                **place,
                order_id=body.order_id,
                red=body.red,
                first_response_by=from_timestamp(body.promise.first_response_by),
                resolve_by=from_timestamp(body.promise.resolve_by),
            )
        case ticket_pb2.TicketEvent():
            courses = tuple(
                seen.CourseSeen(
                    c.metric.value, c.instance, c.met_at, c.over, bool(c.pauses) and c.pauses[-1].end is None
                )
                for c in courses_from_proto(body.snapshot.clock_facts.courses)
            )
            return seen.Changed(
                **place,
                version=body.version,
                change=body.WhichOneof("change") or "",
                status=str(body.snapshot.status),
                courses=courses,
            )
        case sla_event_pb2.SlaArmed():
            return seen.Armed(**place, **clock, due_at=from_timestamp(body.due_at))
        case sla_event_pb2.SlaRetargeted() | sla_event_pb2.SlaResumed():
            return seen.Armed(**place, **clock, due_at=from_timestamp(body.due_at), moved=True)
        case sla_event_pb2.SlaPaused():
            return seen.Armed(**place, **clock, due_at=None, moved=True)
        case sla_event_pb2.SlaBreached():
            return seen.Breached(
                **{**place, "id": body.breach_id},
                **clock,
                n=body.clock.deadline_version,
                breached_at=_instant(body.breached_at),
                detected_at=_instant(body.detected_at),
                cause=body.cause,
            )
        case sla_event_pb2.SlaMet():
            return seen.Met(**place, **clock, retracts=body.retracts)
        case escalation_pb2.TicketEscalated():
            return seen.Escalated(
                **place,
                escalation_id=body.escalation_id,
                metric=_metric(body.metric),
                level=body.level,
                returned=body.returned,
            )
        case escalation_pb2.EscalationClosed():
            return seen.ChainClosed(**place, escalation_id=body.escalation_id, why=body.why)
        case voucher_pb2.VoucherIssued():
            return seen.Voucher(**place, amount=body.amount.amount_minor)
        case _:
            return None


def _dead_letter(raw: Raw, seen_at: datetime) -> seen.DeadLetter:
    headers = {name: value.decode("utf-8", "replace") for name, value in raw.headers}
    origin = (headers.get("topic", ""), int(headers.get("partition", -1)), int(headers.get("offset", -1)))
    return seen.DeadLetter(
        topic=raw.topic,
        partition=raw.partition,
        offset=raw.offset,
        id="",
        ticket="",
        seen_at=seen_at,
        origin=origin,
        service=headers.get("service", ""),
        reason=headers.get("reason", ""),
    )


def poisoned_of(records: Iterable[Raw]) -> tuple[seen.Poisoned, ...]:
    """The wrong messages, by the mark they carry: the log itself knows where they landed."""
    return tuple(
        seen.Poisoned(r.topic, r.partition, r.offset, tuple(mark.removeprefix("poison:").split(",")))
        for r in records
        if r.topic != "dead-letters.v1" and (mark := mark_of(r)).startswith("poison:")
    )
