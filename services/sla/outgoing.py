"""What leaves the watchdog: effects as messages, clocks as answers."""

from common.events import Outgoing
from common.words import to_duration, to_timestamp
from gen.pingxi.v1 import common_pb2, compensation_pb2, escalation_pb2, sla_event_pb2, sla_service_pb2
from services.sla import model as m
from services.sla.explain import ClockView
from wire.words import metric_to_proto, priority_to_proto


def _clock_id(effect: m.Effect) -> sla_event_pb2.ClockId:
    return sla_event_pb2.ClockId(
        ticket_id=effect.row.ticket_id,
        metric=metric_to_proto(effect.clock.metric),
        instance=effect.clock.instance,
        deadline_version=effect.clock.n,
    )


def outgoing(effect: m.Effect) -> Outgoing:
    """The effect as the message it is published as."""
    if isinstance(effect, m.CompensationAsked | m.CompensationWithdrawn):
        return _compensation(effect)
    if isinstance(effect, m.Escalated | m.EscalationAcknowledged | m.EscalationClosed):
        return _escalation(effect)
    return _sla_event(effect)


def _sla_event(effect: m.Effect) -> Outgoing:
    row, clock, terms = effect.row, effect.clock, effect.clock.terms[-1]
    at, which = to_timestamp(effect.at), _clock_id(effect)
    priority = priority_to_proto(row.priority)
    body: (
        sla_event_pb2.SlaArmed
        | sla_event_pb2.SlaRetargeted
        | sla_event_pb2.SlaAtRisk
        | sla_event_pb2.SlaBreached
        | sla_event_pb2.SlaMet
        | sla_event_pb2.SlaPaused
        | sla_event_pb2.SlaResumed
        | sla_event_pb2.SlaCancelled
    )
    match effect:
        case m.Armed():
            body = sla_event_pb2.SlaArmed(
                started_at=to_timestamp(clock.start),
                due_at=to_timestamp(effect.due_at),
                sla_policy=terms.sla_policy,
                policy_hash=terms.policy_hash,
                ticket_version=row.version,
            )
        case m.Retargeted():
            body = sla_event_pb2.SlaRetargeted(
                previous_due_at=to_timestamp(effect.previous_due_at),
                due_at=to_timestamp(effect.due_at),
                sla_policy=terms.sla_policy,
                policy_hash=terms.policy_hash,
                ticket_version=row.version,
                at=at,
            )
        case m.AtRisk():
            body = sla_event_pb2.SlaAtRisk(
                percent=effect.percent,
                at=at,
                due_at=to_timestamp(effect.due_at),
                priority=priority,
                queue=row.queue,
                assignee=row.assignee,
            )
        case m.Breached():
            body = sla_event_pb2.SlaBreached(
                breach_id=effect.breach.id,
                breached_at=to_timestamp(effect.breach.breached_at),
                detected_at=to_timestamp(effect.breach.detected_at),
                priority=priority,
                queue=row.queue,
                assignee=row.assignee,
                sla_policy=terms.sla_policy,
                policy_hash=terms.policy_hash,
                cause="retarget" if effect.breach.retarget else "deadline",
                reason=effect.reason,
            )
        case m.Met():
            body = sla_event_pb2.SlaMet(
                met_at=to_timestamp(effect.met_at),
                due_at=to_timestamp(effect.due_at),
                in_time=effect.in_time,
                retracts=effect.retracts,
            )
        case m.Paused():
            body = sla_event_pb2.SlaPaused(at=at, ticket_version=row.version)
        case m.Resumed():
            body = sla_event_pb2.SlaResumed(at=at, due_at=to_timestamp(effect.due_at), ticket_version=row.version)
        case m.Cancelled():
            body = sla_event_pb2.SlaCancelled(at=at, why=effect.why)
        case _:
            raise TypeError(type(effect).__name__)
    body.clock.CopyFrom(which)
    body.brand = row.brand
    return Outgoing(
        topic="sla-events.v1",
        key=row.ticket_id,
        id=effect.id,
        subject=row.ticket_id,
        time=effect.at,
        body=body,
        # The level its escalation has reached; nobody was told yet: 0.
        attributes={"metric": clock.metric.value, "level": str(max((b.level for b in clock.breaches), default=0))},
    )


def _escalation(effect: "m.Escalated | m.EscalationAcknowledged | m.EscalationClosed") -> Outgoing:
    row, clock, breach, at = effect.row, effect.clock, effect.breach, to_timestamp(effect.at)
    metric = metric_to_proto(clock.metric)
    body: escalation_pb2.TicketEscalated | escalation_pb2.EscalationAcknowledged | escalation_pb2.EscalationClosed
    match effect:
        case m.Escalated():
            body = escalation_pb2.TicketEscalated(
                notify=effect.level.notify,
                ways=[way.value for way in effect.level.ways],
                breached_at=to_timestamp(breach.breached_at),
                escalated_at=at,
                priority=priority_to_proto(row.priority),
                queue=row.queue,
                assignee=row.assignee,
                reason=effect.reason,
                returned=breach.returned,
                red=row.red,
            )
        case m.EscalationAcknowledged():
            who = common_pb2.Actor(kind=common_pb2.Actor.KIND_SUPERVISOR, id=effect.by)
            body = escalation_pb2.EscalationAcknowledged(actor=who, at=at)
        case m.EscalationClosed():
            body = escalation_pb2.EscalationClosed(at=at, why=effect.why)
    body.escalation_id = breach.id
    body.ticket_id = row.ticket_id
    body.brand = row.brand
    body.metric = metric
    body.level = breach.level
    return Outgoing(
        topic="escalations.v1",
        key=row.ticket_id,
        id=effect.id,
        subject=row.ticket_id,
        time=effect.at,
        body=body,
        attributes={"metric": clock.metric.value, "level": str(breach.level)},
    )


def _compensation(effect: "m.CompensationAsked | m.CompensationWithdrawn") -> Outgoing:
    row, clock, breach = effect.row, effect.clock, effect.breach
    body: compensation_pb2.CompensationRequested | compensation_pb2.CompensationWithdrawn
    if isinstance(effect, m.CompensationAsked):
        body = compensation_pb2.CompensationRequested(
            request_id=breach.id,
            brand=row.brand,
            trigger="sla_breach",
            ticket_id=row.ticket_id,
            order_id=row.order_id,
            customer_id=row.customer_id,
            customer_ref=row.customer_ref,
            metric=metric_to_proto(clock.metric),
            priority=priority_to_proto(row.priority),
            sla_policy=clock.terms[-1].sla_policy,
            policy_hash=clock.terms[-1].policy_hash,
            cause_id=breach.id,
            at=to_timestamp(breach.detected_at),
            red=row.red,
        )
    else:
        body = compensation_pb2.CompensationWithdrawn(
            request_id=breach.id, why="the breach was retracted", at=to_timestamp(effect.at)
        )
    return Outgoing(
        topic="compensation-requests",
        # Promises broken by us are keyed by ticket: they need no order.
        key=row.ticket_id,
        id=effect.id,
        subject=row.ticket_id,
        time=effect.at,
        body=body,
        attributes={"metric": clock.metric.value},
    )


def clock_to_proto(row: m.Row, view: ClockView) -> sla_service_pb2.Clock:
    """A clock as `GetClocks` answers it."""
    clock, terms, breach = view.clock, view.clock.terms[-1], view.breach
    return sla_service_pb2.Clock(
        id=sla_event_pb2.ClockId(
            ticket_id=row.ticket_id,
            metric=metric_to_proto(clock.metric),
            instance=clock.instance,
            deadline_version=clock.n,
        ),
        state=view.state,
        started_at=to_timestamp(clock.start),
        due_at=to_timestamp(view.due_at),
        met_at=to_timestamp(clock.met_at),
        breached_at=to_timestamp(breach.breached_at if breach else None),
        elapsed=to_duration(view.elapsed),
        target=to_duration(view.target),
        sla_policy=terms.sla_policy,
        policy_hash=terms.policy_hash,
        segments=[
            sla_service_pb2.ClockSegment(
                state=part.state,
                start=to_timestamp(part.start),
                end=to_timestamp(part.end),
                calendar=part.terms.calendar.name,
                policy_hash=part.terms.policy.rpartition(" ")[2],
                target=to_duration(part.terms.target),
                elapsed=to_duration(part.counted),
            )
            for part in view.segments
        ],
        escalation_level=breach.level if breach else 0,
        acknowledged=breach is not None and breach.acknowledged_at is not None,
        escalation_id=breach.id if breach else "",
        explanation=view.sentences,
    )
