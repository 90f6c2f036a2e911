"""Protobuf to the watchdog's model: complaints and ticket versions in."""

from dataclasses import replace
from datetime import datetime

from common.errors import Poison
from common.words import from_timestamp
from gen.pingxi.v1.complaint_pb2 import ComplaintSubmitted
from gen.pingxi.v1.promise_pb2 import Target as TargetProto
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from rules.courses import opened
from rules.model import Calendar, Metric, Priority, Promise
from services.sla import model as m
from services.sla.ports import Calendars
from wire.courses import courses_from_proto
from wire.promise import promise_from_proto, target_from_proto
from wire.words import priority_from_proto

ALWAYS = Calendar("always", always=True)


class CalendarUnknown(Exception):
    """The policy version a target names hasn't been read yet."""

    def __init__(self, calendar_hash: str) -> None:
        super().__init__(calendar_hash)
        self.calendar_hash = calendar_hash


def _need(instant: datetime | None, name: str) -> datetime:
    if instant is None:
        raise Poison("missing_field", name)
    return instant


def in_force(message: TargetProto, since: datetime, calendars: Calendars) -> m.InForce:
    target = target_from_proto(message)
    calendar = calendars.calendar(target.calendar_hash) if target.calendar_hash else ALWAYS
    if calendar is None:
        raise CalendarUnknown(target.calendar_hash)
    return m.InForce(since, target, calendar, message.sla_policy, message.policy_hash)


def _known_at_once(
    message: TargetProto, promise: Promise, start: datetime, calendars: Calendars | None
) -> m.InForce | None:
    """A target of the complaint; None where neither instant nor calendar is known: the router's event arms it."""
    target = target_from_proto(message)
    calendar = calendars.calendar(target.calendar_hash) if calendars and target.calendar_hash else None
    terms = m.InForce(start, target, calendar or ALWAYS, message.sla_policy, message.policy_hash)
    terms = _promised(terms, promise, start)
    return terms if calendar or not terms.target.calendar_hash else None


def _promised(terms: m.InForce, promise: Promise, start: datetime) -> m.InForce:
    """As promised to the customer, where the policy's calendar isn't known yet: the instant is what counts."""
    by = {Metric.FIRST_RESPONSE: promise.first_response_by, Metric.RESOLUTION: promise.resolve_by}
    instant = by.get(terms.target.metric)
    if instant is None:
        return terms
    target = replace(terms.target, duration=instant - start, calendar="always", calendar_hash="")
    return replace(terms, target=target, calendar=ALWAYS)


def state_of_complaint(message: ComplaintSubmitted, calendars: Calendars | None = None) -> m.TicketState:
    """Version 0: the complaint with the promise it carries; needs neither router nor policies.

    What the customer was told counts by the instant; a target in working hours he wasn't told of is left to the
    router's event where `calendars` don't know its calendar.

    Raises Poison where a field the clocks depend on is missing.
    """
    start = _need(from_timestamp(message.acknowledged_at), "acknowledged_at")
    promise = promise_from_proto(message.promise)
    known = (_known_at_once(target, promise, start, calendars) for target in message.targets)
    return m.TicketState(
        ticket_id=message.ticket_id,
        version=0,
        at=start,
        brand=message.brand,
        priority=priority_from_proto(message.priority) or Priority.NORMAL,
        queue="",
        assignee="",
        customer_ref=message.customer_ref,
        customer_id=message.customer_id,
        order_id=message.order_id,
        red=message.red,
        policy_hash=message.policy_hash,
        promise=promise,
        courses=opened(start),
        in_force=tuple(terms for terms in known if terms is not None),
    )


def state_of_ticket(message: TicketEvent, calendars: Calendars) -> m.TicketState:
    """A version of the ticket. Raises Poison for missing facts, CalendarUnknown for a policy not read yet."""
    s = message.snapshot
    at = _need(from_timestamp(message.occurred_at), "occurred_at")
    acknowledged_at = _need(from_timestamp(s.clock_facts.acknowledged_at), "clock_facts.acknowledged_at")
    since = from_timestamp(s.clock_facts.targets_since) or acknowledged_at
    try:
        courses = courses_from_proto(s.clock_facts.courses)
    except ValueError as error:
        raise Poison("missing_field", "clock_facts.courses") from error
    return m.TicketState(
        ticket_id=message.ticket_id,
        version=message.version,
        at=at,
        brand=s.brand,
        priority=priority_from_proto(s.priority) or Priority.NORMAL,
        queue=s.queue,
        assignee=s.assignee,
        customer_ref=s.customer_ref,
        customer_id=s.customer_id,
        order_id=s.order_id,
        red=s.red,
        policy_hash=s.policy_hash,
        promise=promise_from_proto(s.promise),
        courses=courses,
        in_force=tuple(in_force(t, since, calendars) for t in s.targets),
        asks=message.WhichOneof("change") == "repeated_snapshot",
    )
