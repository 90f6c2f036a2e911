"""The life of an incident: what belongs to it, when it is told again, when it ends. Pure."""

from math import log

from common.ids import deterministic_id
from services.sla.surge.counting import Counted
from services.sla.surge.model import Change, Complaint, Effect, Incident, IncidentTold, Key, OrderAffected
from services.sla.surge.rules import Rules
from services.sla.surge.tails import log_tail

# The rate is back when the count of the closing time isn't as improbable as this.
BACK = log(0.01)
FIVE = 5
SAMPLES = 20
MOST_VALUES = 200
MOST_ORDERS = 1000
MOST_MINUTES = 240


def incident_id(brand: str, key: Key, at_us: int) -> str:
    """The same for the same cause at the same instant, whoever finds it and however often."""
    return deterministic_id("incident", brand, *key, at_us)


def request_id(incident: str, order: str) -> str:
    """Names the request for compensation of an order behind an incident: once, whatever is repeated."""
    return deterministic_id("incident-order", incident, order)


def attach(incident: Incident, complaint: Complaint, brand: str, rules: Rules) -> list[Effect]:
    """One more complaint belongs to it; an order that is new to it may be owed something."""
    incident.complaints += 1
    incident.first_us = min(incident.first_us or complaint.at_us, complaint.at_us)
    incident.last_us = max(incident.last_us, complaint.at_us)
    minute = complaint.at_us // rules.bucket_us * rules.bucket_us
    incident.minutes[minute] = incident.minutes.get(minute, 0) + 1
    if len(incident.minutes) > MOST_MINUTES:
        del incident.minutes[min(incident.minutes)]
    for values, value in (
        (incident.merchants, complaint.merchant),
        (incident.products, complaint.product),
        (incident.couriers, complaint.courier),
    ):
        if value and (value in values or len(values) < MOST_VALUES):
            values[value] = values.get(value, 0) + 1
    if complaint.ticket:
        incident.fresh.append(complaint.ticket)
        if len(incident.samples) < SAMPLES:
            incident.samples.append(complaint.ticket)
    if not complaint.order or complaint.order in incident.orders:
        return []
    incident.orders[complaint.order] = None
    if len(incident.orders) > MOST_ORDERS:
        # Forgotten here, not asked for again: the request's id follows from incident and order.
        del incident.orders[next(iter(incident.orders))]
    if incident.key.dimension not in rules.compensate:
        return []
    return [OrderAffected(brand, incident.id, complaint.at_us, complaint)]


def back_to_usual(incident: Incident, counted: Counted, rules: Rules) -> bool:
    """Whether the rate has been back for the closing time.

    What drips more slowly is watched for as long as five more complaints would have taken, up to the longest window: a
    gap by chance must not close an incident that opens again.
    """
    if incident.key not in counted.series:
        return True
    span = max(1, incident.last_us - incident.first_us)
    five = FIVE * span // max(1, incident.complaints - 1) // rules.bucket_us
    windows = (*rules.windows, rules.closing)
    needed = max(rules.closing, min(five, rules.reach))
    window = min(window for window in windows if window >= needed)
    if counted.now_us - incident.opened_us < window * rules.bucket_us:
        return False
    place = windows.index(window)
    count = counted.counts(incident.key, rules)[place]
    means, _, shape = counted.expected(incident.key, rules)
    return count <= means[place] or log_tail(count, means[place], shape) > BACK


def tell(incident: Incident, change: Change, brand: str, at_us: int, why: str = "") -> IncidentTold:
    """The effect with the incident as it is now; the next version starts."""
    if change is not Change.OPENED:
        incident.version += 1
    incident.updated_us = at_us
    told = IncidentTold(brand, change, at_us, copy_of(incident), why)
    incident.fresh.clear()
    return told


def copy_of(incident: Incident) -> Incident:
    """A snapshot that later changes don't reach."""
    return Incident(
        id=incident.id,
        key=incident.key,
        opened_us=incident.opened_us,
        window=incident.window,
        version=incident.version,
        closed_us=incident.closed_us,
        complaints=incident.complaints,
        expected=incident.expected,
        updated_us=incident.updated_us,
        first_us=incident.first_us,
        last_us=incident.last_us,
        muted_us=incident.muted_us,
        over=incident.over,
        minutes=dict(incident.minutes),
        merchants=dict(incident.merchants),
        products=dict(incident.products),
        couriers=dict(incident.couriers),
        samples=list(incident.samples),
        orders=dict(incident.orders),
        fresh=list(incident.fresh),
    )
