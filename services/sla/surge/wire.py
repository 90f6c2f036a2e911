"""Between protobuf and the detector's model: what comes in, what goes out, and the parts of rows."""

from datetime import datetime

from google.protobuf.message import Message as Proto

from common.errors import Poison
from common.events import Outgoing
from common.ids import deterministic_id
from common.words import from_timestamp, from_us, number_of, to_timestamp, to_us, word_of
from gen.pingxi.v1 import common_pb2, compensation_pb2, order_pb2, surge_pb2
from gen.pingxi.v1 import internal_pb2 as pb
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from services.sla.surge import model as m
from services.sla.surge.incidents import request_id

_CATEGORY = common_pb2.Category.DESCRIPTOR
TOP = 5
TOPIC = "surges.v1"


def category_to_proto(word: str) -> common_pb2.Category.ValueType:
    """An empty word is CATEGORY_UNSPECIFIED."""
    return common_pb2.Category.ValueType(number_of(_CATEGORY, word))


def category_from_proto(number: int) -> str:
    """An empty word for unspecified or unknown."""
    return word_of(_CATEGORY, number)


def complaint_of_ticket(event: TicketEvent, courier: str = "", station: str = "") -> m.Complaint | None:
    """The complaint behind a ticket that was opened; None for any other change. Raises Poison without its instant.

    The instant is when the customer was heard, not when the router got round to it. The router's category counts: it
    has read the text, the declared type has not.
    """
    if event.WhichOneof("change") != "opened":
        return None
    snapshot = event.snapshot
    at = from_timestamp(snapshot.clock_facts.acknowledged_at) or from_timestamp(event.occurred_at)
    if at is None:
        raise Poison("missing_field", "clock_facts.acknowledged_at")
    if not snapshot.brand:
        raise Poison("missing_field", "brand")
    return m.Complaint(
        at_us=to_us(at),
        category=category_from_proto(snapshot.category) or "other",
        ticket=event.ticket_id,
        order=snapshot.order_id,
        customer_id=snapshot.customer_id,
        customer_ref=snapshot.customer_ref,
        region=snapshot.region,
        station=station,
        merchant=snapshot.merchant_id,
        product=snapshot.product_id,
        courier=courier,
    )


def order_of(body: Proto) -> tuple[str, m.Orders] | None:
    """(brand, the order) of a placed or delivered order; None for anything else. Raises Poison without an instant."""
    if isinstance(body, order_pb2.OrderPlaced):
        at, delivered = from_timestamp(body.order.occurred_at), False
    elif isinstance(body, order_pb2.OrderDelivered):
        at, delivered = from_timestamp(body.delivered_at) or from_timestamp(body.order.occurred_at), True
    else:
        return None
    order = body.order
    if at is None:
        raise Poison("missing_field", "order.occurred_at")
    if not order.brand:
        raise Poison("missing_field", "order.brand")
    return order.brand, m.Orders(
        to_us(at), delivered, order.region, order.merchant_id, order.courier_id, tuple(order.products)
    )


def complaint_to_proto(complaint: m.Complaint, offset: int = 0) -> pb.SurgeComplaint:
    """With its offset where it travels; a row keeps none."""
    return pb.SurgeComplaint(
        offset=offset,
        at_us=complaint.at_us,
        category=category_to_proto(complaint.category),
        ticket_id=complaint.ticket,
        order_id=complaint.order,
        customer_id=complaint.customer_id,
        customer_ref=complaint.customer_ref,
        region=complaint.region,
        station=complaint.station,
        merchant_id=complaint.merchant,
        product_id=complaint.product,
        courier_id=complaint.courier,
    )


def complaint_from_proto(row: pb.SurgeComplaint) -> m.Complaint:
    """Inverse of `complaint_to_proto`."""
    return m.Complaint(
        at_us=row.at_us,
        category=category_from_proto(row.category),
        ticket=row.ticket_id,
        order=row.order_id,
        customer_id=row.customer_id,
        customer_ref=row.customer_ref,
        region=row.region,
        station=row.station,
        merchant=row.merchant_id,
        product=row.product_id,
        courier=row.courier_id,
    )


def counts_to_proto(counts: m.Counts) -> pb.SurgeCounts:
    """As it travels on `surge-counts`."""
    last = max((offset for offset, _ in (*counts.complaints, *counts.orders)), default=0)
    return pb.SurgeCounts(
        brand=counts.brand,
        source=counts.source,
        source_offset=last,
        as_of=to_timestamp(from_us(counts.as_of_us)),
        complaints=[complaint_to_proto(complaint, offset) for offset, complaint in counts.complaints],
        orders=[
            pb.SurgeOrder(
                offset=offset,
                at_us=order.at_us,
                delivered=order.delivered,
                region=order.region,
                merchant_id=order.merchant,
                courier_id=order.courier,
                products=order.products,
            )
            for offset, order in counts.orders
        ],
    )


def counts_from_proto(message: pb.SurgeCounts, key: str) -> m.Counts:
    """Inverse of `counts_to_proto`. Raises Poison where the key isn't the brand."""
    if not message.brand or message.brand != key:
        raise Poison("key_mismatch", "the key isn't the brand")
    return m.Counts(
        brand=message.brand,
        source=message.source,
        complaints=tuple((row.offset, complaint_from_proto(row)) for row in message.complaints),
        orders=tuple(
            (
                row.offset,
                m.Orders(row.at_us, row.delivered, row.region, row.merchant_id, row.courier_id, tuple(row.products)),
            )
            for row in message.orders
        ),
        as_of_us=to_us(from_timestamp(message.as_of)),
    )


def _top(values: dict[str, int]) -> list[surge_pb2.TopValue]:
    ranked = sorted(values.items(), key=lambda item: (-item[1], item[0]))[:TOP]
    return [surge_pb2.TopValue(value=value, count=count) for value, count in ranked]


def incident_to_proto(incident: m.Incident, brand: str) -> surge_pb2.Incident:
    """As it is told."""
    return surge_pb2.Incident(
        incident_id=incident.id,
        brand=brand,
        category=category_to_proto(incident.key.category),
        dimension=incident.key.dimension.value,
        value=incident.key.value,
        opened_at=to_timestamp(from_us(incident.opened_us)),
        closed_at=to_timestamp(from_us(incident.closed_us)),
        complaints=incident.complaints,
        expected=incident.expected,
        version=incident.version,
        counts=[
            surge_pb2.CountPerMinute(minute=to_timestamp(from_us(minute)), count=count)
            for minute, count in sorted(incident.minutes.items())
        ],
        top_merchants=_top(incident.merchants),
        top_products=_top(incident.products),
        top_couriers=_top(incident.couriers),
        sample_tickets=incident.samples,
        affected_orders=list(incident.orders),
        attached_tickets=incident.fresh,
    )


def incident_to_row(incident: m.Incident, brand: str) -> pb.SurgeIncidentRow:
    """As the table keeps it: what is told, without its list of tops cut short, and what isn't told."""
    told = incident_to_proto(incident, brand)
    for kept, values in (
        (told.top_merchants, incident.merchants),
        (told.top_products, incident.products),
        (told.top_couriers, incident.couriers),
    ):
        del kept[:]
        kept.extend(surge_pb2.TopValue(value=value, count=count) for value, count in values.items())
    return pb.SurgeIncidentRow(
        incident=told,
        window=incident.window,
        updated_us=incident.updated_us,
        first_us=incident.first_us,
        last_us=incident.last_us,
        muted_us=incident.muted_us,
        over=incident.over,
        opened_us=incident.opened_us,
        closed_us=incident.closed_us,
    )


def incident_from_row(row: pb.SurgeIncidentRow) -> m.Incident:
    """Inverse of `incident_to_row`."""
    told = row.incident
    return m.Incident(
        id=told.incident_id,
        key=m.Key(category_from_proto(told.category), m.Dimension(told.dimension), told.value),
        opened_us=row.opened_us,
        window=row.window,
        version=told.version,
        closed_us=row.closed_us,
        complaints=told.complaints,
        expected=told.expected,
        updated_us=row.updated_us,
        first_us=row.first_us,
        last_us=row.last_us,
        muted_us=row.muted_us,
        over=row.over,
        minutes={to_us(from_timestamp(each.minute)): each.count for each in told.counts},
        merchants={each.value: each.count for each in told.top_merchants},
        products={each.value: each.count for each in told.top_products},
        couriers={each.value: each.count for each in told.top_couriers},
        samples=list(told.sample_tickets),
        orders=dict.fromkeys(told.affected_orders),
        fresh=list(told.attached_tickets),
    )


def _at(us: int) -> datetime:
    found = from_us(us)
    assert found is not None, "effects have an instant"
    return found


def outgoing(effect: m.Effect, policy_hash: str = "") -> Outgoing:
    """The effect as the message it is published as; its id follows from what it says."""
    match effect:
        case m.IncidentTold():
            return _incident(effect)
        case m.OrderAffected():
            return _request(effect, policy_hash)
        case m.RouteSuggested():
            return _route(effect)
        case m.Flagged():
            return _flag(effect)


def _incident(effect: m.IncidentTold) -> Outgoing:
    incident = incident_to_proto(effect.incident, effect.brand)
    body: surge_pb2.SurgeOpened | surge_pb2.SurgeUpdated | surge_pb2.SurgeClosed
    match effect.change:
        case m.Change.OPENED:
            body = surge_pb2.SurgeOpened(incident=incident)
        case m.Change.UPDATED:
            body = surge_pb2.SurgeUpdated(incident=incident)
        case m.Change.CLOSED:
            body = surge_pb2.SurgeClosed(incident=incident, why=effect.why)
    name = effect.incident.id
    return Outgoing(
        topic=TOPIC,
        key=name,
        id=deterministic_id("surge", name, effect.incident.version),
        subject=name,
        time=_at(effect.at_us),
        body=body,
    )


def _request(effect: m.OrderAffected, policy_hash: str) -> Outgoing:
    complaint = effect.complaint
    request = request_id(effect.incident_id, complaint.order)
    body = compensation_pb2.CompensationRequested(
        request_id=request,
        brand=effect.brand,
        trigger="incident",
        ticket_id=complaint.ticket,
        order_id=complaint.order,
        customer_id=complaint.customer_id,
        customer_ref=complaint.customer_ref,
        policy_hash=policy_hash,
        cause_id=effect.incident_id,
        at=to_timestamp(_at(effect.at_us)),
    )
    return Outgoing(
        topic="compensation-requests",
        key=complaint.order,
        id=request,
        subject=complaint.order,
        time=_at(effect.at_us),
        body=body,
    )


def _route(effect: m.RouteSuggested) -> Outgoing:
    name = deterministic_id("route", effect.brand, effect.region, effect.at_us)
    body = surge_pb2.RouteOptimizationSuggested(
        incident_id=name,
        brand=effect.brand,
        region=effect.region,
        delay_complaints=effect.complaints,
        orders=effect.orders,
        at=to_timestamp(_at(effect.at_us)),
    )
    return Outgoing(TOPIC, name, deterministic_id("route-suggested", name), name, _at(effect.at_us), body)


def _flag(effect: m.Flagged) -> Outgoing:
    name = deterministic_id("flag", effect.brand, effect.dimension, effect.value, effect.week)
    body = surge_pb2.QualityFlagged(
        flag_id=name,
        brand=effect.brand,
        dimension=effect.dimension,
        value=effect.value,
        rate=effect.rate,
        peer_rate=effect.peer_rate,
        credibility=effect.credibility,
        at=to_timestamp(_at(effect.at_us)),
    )
    return Outgoing(TOPIC, name, deterministic_id("quality-flagged", name), name, _at(effect.at_us), body)
