"""The watchdog's table: a row to compact bytes and back."""

from datetime import datetime, timedelta

from common.words import from_us, to_us
from gen.pingxi.v1 import internal_pb2
from rules.courses import Interval
from rules.model import Priority, Promise
from services.sla import model as m
from services.sla.ports import Calendars
from services.sla.wire import in_force
from wire.promise import level_from_proto, level_to_proto, target_to_proto
from wire.words import metric_from_proto, metric_to_proto, priority_from_proto, priority_to_proto


def row_to_bytes(row: m.Row) -> bytes:
    """The table's value."""
    return internal_pb2.SlaRow(
        version=row.version,
        brand=row.brand,
        priority=priority_to_proto(row.priority),
        queue=row.queue,
        assignee=row.assignee,
        customer_ref=row.customer_ref,
        customer_id=row.customer_id,
        order_id=row.order_id,
        red=row.red,
        clocks=[_clock_to_proto(c) for c in row.clocks],
        promised_first_response_us=to_us(row.promise.first_response_by),
        promised_resolution_us=to_us(row.promise.resolve_by),
        policy_hash=row.policy_hash,
        early=[
            internal_pb2.EarlyAcknowledgementRow(
                escalation_id=a.escalation_id, level=a.level, returned=a.returned, by=a.by, at_us=to_us(a.at)
            )
            for a in row.early
        ],
    ).SerializeToString()


def _clock_to_proto(c: m.Clock) -> internal_pb2.ClockRow:
    return internal_pb2.ClockRow(
        metric=metric_to_proto(c.metric),
        instance=c.instance,
        n=c.n,
        start_us=to_us(c.start),
        met_us=to_us(c.met_at),
        ended=c.ended,
        pauses=[internal_pb2.SpanRow(start_us=to_us(s.start), end_us=to_us(s.end)) for s in c.pauses],
        gaps=[internal_pb2.SpanRow(start_us=to_us(s.start), end_us=to_us(s.end)) for s in c.gaps],
        terms=[
            internal_pb2.TermsRow(
                since_us=to_us(t.since), target=target_to_proto(t.target, t.sla_policy, t.policy_hash)
            )
            for t in c.terms
        ],
        warned=c.warned,
        breaches=[
            internal_pb2.BreachRow(
                breach_id=b.id,
                n=b.n,
                breached_us=to_us(b.breached_at),
                detected_us=to_us(b.detected_at),
                retarget=b.retarget,
                chain=[level_to_proto(level) for level in b.chain],
                return_after_us=int((b.return_after or timedelta()) / timedelta(microseconds=1)),
                level=b.level,
                level_us=to_us(b.level_at),
                returned=b.returned,
                acknowledged_us=to_us(b.acknowledged_at),
                acknowledged_by=b.acknowledged_by,
                closed=b.closed,
            )
            for b in c.breaches
        ],
    )


def row_from_bytes(ticket_id: str, value: bytes, calendars: Calendars) -> m.Row:
    """Reverse of `row_to_bytes`. Raises CalendarUnknown."""
    p = internal_pb2.SlaRow.FromString(value)
    return m.Row(
        ticket_id=ticket_id,
        version=p.version,
        brand=p.brand,
        priority=priority_from_proto(p.priority) or Priority.NORMAL,
        queue=p.queue,
        assignee=p.assignee,
        customer_ref=p.customer_ref,
        customer_id=p.customer_id,
        order_id=p.order_id,
        red=p.red,
        policy_hash=p.policy_hash,
        promise=Promise(from_us(p.promised_first_response_us), from_us(p.promised_resolution_us)),
        clocks=tuple(_clock_from_proto(c, calendars) for c in p.clocks),
        early=tuple(m.Acknowledgement(a.escalation_id, a.level, a.returned, a.by, _us(a.at_us)) for a in p.early),
    )


def _us(us: int) -> datetime:
    instant = from_us(us)
    assert instant is not None
    return instant


def _clock_from_proto(c: internal_pb2.ClockRow, calendars: Calendars) -> m.Clock:
    metric = metric_from_proto(c.metric)
    assert metric is not None
    return m.Clock(
        metric=metric,
        instance=c.instance,
        n=c.n,
        start=_us(c.start_us),
        met_at=from_us(c.met_us),
        ended=c.ended,  # type: ignore[arg-type]  # written by us
        pauses=tuple(Interval(_us(s.start_us), from_us(s.end_us)) for s in c.pauses),
        gaps=tuple(Interval(_us(s.start_us), from_us(s.end_us)) for s in c.gaps),
        terms=tuple(in_force(t.target, _us(t.since_us), calendars) for t in c.terms),
        warned=tuple(c.warned),
        breaches=tuple(
            m.Breach(
                id=b.breach_id,
                n=b.n,
                breached_at=_us(b.breached_us),
                detected_at=_us(b.detected_us),
                retarget=b.retarget,
                chain=tuple(level_from_proto(level) for level in b.chain),
                return_after=timedelta(microseconds=b.return_after_us) or None,
                level=b.level,
                level_at=from_us(b.level_us),
                returned=b.returned,
                acknowledged_at=from_us(b.acknowledged_us),
                acknowledged_by=b.acknowledged_by,
                closed=b.closed,  # type: ignore[arg-type]  # written by us
            )
            for b in c.breaches
        ),
    )
