"""An event of orders.v1 as the risk model sees it."""

from datetime import datetime
from math import nan
from zoneinfo import ZoneInfo

from gen.pingxi.v1 import order_pb2 as pb
from services.sla.orders.model import Risk
from services.sla.risk.facts import TRAFFIC, WEATHER, RiskFacts, traffic_of, weather_of
from services.sla.risk.model import RiskModel

# A circumstance is named as the reason where the order would be so much likelier in time without it.
_SPEAKS = 0.1


def facts_of(order: pb.OrderFacts, placed_at: datetime, zone: ZoneInfo) -> RiskFacts:
    """What is told is used, what isn't is unknown to the model."""
    local = placed_at.astimezone(zone)
    return RiskFacts(
        hour=local.hour,
        weekday=local.weekday(),
        distance_km=order.distance_km if 0 < order.distance_km < 1000 else nan,
        weather=weather_of(order.weather),
        traffic=traffic_of(order.traffic),
        orders_at_once=order.courier_orders if order.HasField("courier_orders") else nan,
        courier_rating=order.courier_rating if order.HasField("courier_rating") else nan,
    )


def risk_of(
    model: RiskModel, order: pb.OrderFacts, placed_at: datetime, promised_at: datetime, at: datetime, zone: ZoneInfo
) -> Risk:
    """How likely the order misses its promised time, being on its way since `placed_at` and not there `at`."""
    facts = facts_of(order, placed_at, zone)
    minutes = (promised_at - placed_at).total_seconds() / 60
    elapsed = max(0.0, (at - placed_at).total_seconds() / 60)

    def late(given: RiskFacts) -> float:
        return model.late_probability(given, minutes, elapsed)

    probability = late(facts)
    better = {
        "traffic": _with(facts, traffic=TRAFFIC.index("low")),
        "weather": _with(facts, weather=WEATHER.index("sun")),
        "busy": _with(facts, orders_at_once=0),
    }
    saved = {reason: probability - late(given) for reason, given in better.items() if given is not None}
    reason = max(saved, key=lambda each: saved[each], default="")
    return Risk(probability, reason if saved and saved[reason] >= _SPEAKS else "")


def _with(facts: RiskFacts, **changed: float) -> RiskFacts | None:
    """The same order with one circumstance better; None where that isn't known to be worse."""
    ((name, value),) = changed.items()
    known = getattr(facts, name)
    return None if known != known or known == value else RiskFacts(**{**vars(facts), name: value})
