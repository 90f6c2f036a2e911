"""Quality flags: merchants, products and couriers whose complaint rate is credibly above their peers'. Pure.

Complaints of a value's orders are beta-binomial: its rate is drawn from its peers' Beta distribution, fitted by moments
(Kleinman 1973, "Proportions with extraneous variance"). So one complaint about one order says little: the posterior
stays near the peers. A value is flagged when the posterior probability that its rate is above so many times the peers'
mean passes the policy's credibility (Efron & Morris 1975 on shrinkage; the same in baseball averages and hospital
profiles).
"""

from dataclasses import dataclass, field
from math import exp, lgamma, log, log1p

from services.sla.surge.model import HOUR_US, Complaint, Flagged, Orders
from services.sla.surge.rules import Rules

WATCHED = ("merchant", "product", "courier")
WEEK_US = 168 * HOUR_US
# Before so many peers there is nothing to fit: they are taken to differ moderately.
FEWEST_PEERS = 10
USUAL_STRENGTH = 50.0
# However alike peers seem: a hundred orders of its own weigh as much as they do, or nobody could ever stand out.
LEAST_SHARED, MOST_SHARED = 0.01, 0.5
MOST_VALUES = 50_000
SPENT = 0.25


@dataclass
class Record:
    """Forward-decayed orders and complaints of one value; `week`: when it was last flagged."""

    orders: float = 0.0
    complaints: float = 0.0
    week: int = 0


@dataclass
class Quality:
    """The records of a brand. `peers`: (mean rate, strength) by dimension, fitted once in period `fitted`."""

    born_us: int = 0
    records: dict[tuple[str, str], Record] = field(default_factory=dict)
    peers: dict[str, tuple[float, float]] = field(default_factory=dict)
    fitted: int = -1
    changed: set[tuple[str, str]] = field(default_factory=set)

    def weight(self, at_us: int, rules: Rules) -> float:
        """What something at that instant weighs."""
        self.born_us = self.born_us or at_us
        return float(2.0 ** ((at_us - self.born_us) / rules.quality_half_life_us))

    def delivered(self, orders: Orders, rules: Rules) -> None:
        """An order reached its customer."""
        weight = self.weight(orders.at_us, rules)
        values = [("merchant", orders.merchant), ("courier", orders.courier)]
        values += [("product", product) for product in orders.products]
        for place in values:
            if place[1] and (record := self._record(place)):
                record.orders += weight

    def judge(self, brand: str, complaint: Complaint, now_us: int, rules: Rules) -> list[Flagged]:
        """Counts a complaint; the flags it raises, each value once a week."""
        weight, rule = self.weight(now_us, rules), rules.policy.quality
        found = []
        for dimension in WATCHED:
            value = str(getattr(complaint, dimension))
            record = self._record((dimension, value)) if value else None
            if record is None:
                continue
            record.complaints += weight
            count, orders = record.complaints / weight, record.orders / weight
            week = now_us // WEEK_US
            if count < rule.minimum or record.week == week:
                continue
            mean, strength = self._peers(dimension, now_us, rules)
            if mean <= 0 or orders <= 0:
                continue
            bound = mean * rule.times_percent / 100
            # More complaints than orders happen (several for one order): the rate is then taken as one.
            count = min(count, orders)
            sure = credibility(count, orders, mean, strength, bound)
            if sure * 1000 >= rule.credible_permille:
                record.week = week
                found.append(Flagged(brand, dimension, value, week, now_us, count / orders, mean, sure))
        return found

    def _record(self, place: tuple[str, str]) -> Record | None:
        record = self.records.get(place)
        if record is None:
            if len(self.records) >= MOST_VALUES:
                return None
            record = self.records[place] = Record()
        self.changed.add(place)
        return record

    def _peers(self, dimension: str, now_us: int, rules: Rules) -> tuple[float, float]:
        period = now_us // max(rules.bucket_us * 60, 1)
        if period != self.fitted:
            self.fitted = period
            weight = self.weight(now_us, rules)
            self._forget(weight)
            for each in WATCHED:
                rows = [
                    (record.complaints / weight, record.orders / weight)
                    for (kind, _), record in self.records.items()
                    if kind == each and record.orders > 0
                ]
                self.peers[each] = fit(rows)
        return self.peers.get(dimension, (0.0, USUAL_STRENGTH))

    def _forget(self, weight: float) -> None:
        for place in [p for p, r in self.records.items() if r.orders + r.complaints < SPENT * weight]:
            del self.records[place]
            self.changed.add(place)


def fit(rows: list[tuple[float, float]]) -> tuple[float, float]:
    """(mean rate, strength in orders) of the Beta distribution that values' rates come from; (0, …) without orders."""
    orders = sum(n for _, n in rows)
    if orders <= 0:
        return 0.0, USUAL_STRENGTH
    mean = min(sum(c for c, _ in rows) / orders, 0.99)
    if len(rows) < FEWEST_PEERS or mean <= 0:
        return mean, USUAL_STRENGTH
    spread = sum(n * (min(c, n) / n - mean) ** 2 for c, n in rows if n > 0)
    more = len(rows) - 1
    room = orders - sum(n * n for _, n in rows) / orders - more
    shared = (spread - mean * (1 - mean) * more) / (mean * (1 - mean) * room) if room > 0 else LEAST_SHARED
    shared = min(max(shared, LEAST_SHARED), MOST_SHARED)
    return mean, 1.0 / shared - 1.0


def credibility(complaints: float, orders: float, mean: float, strength: float, bound: float) -> float:
    """P(rate > bound) after so many complaints of so many orders, with the peers' Beta distribution before."""
    if bound >= 1:
        return 0.0
    return 1.0 - beta_cdf(bound, mean * strength + complaints, (1 - mean) * strength + orders - complaints)


def beta_cdf(x: float, a: float, b: float) -> float:
    """P(X ≤ x) for a Beta(a, b) variable: the regularised incomplete beta function by its continued fraction (DLMF
    8.17.22, evaluated by Lentz's method). Raises ValueError unless a and b are positive.
    """
    if not a > 0 or not b > 0:
        raise ValueError("a and b have to be positive")
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1.0 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1), tiny)
    result = d
    for m in range(1, 1000):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _away(1.0 + step * d, tiny)
            c = _away(1.0 + step / c, tiny)
            result *= c * d
        if abs(c * d - 1.0) < 1e-14:
            break
    return result


def _away(value: float, tiny: float) -> float:
    """Not zero."""
    return value if abs(value) > tiny else tiny
