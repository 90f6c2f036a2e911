"""The region rule: too large a share of a region's orders is complained about as late. Pure.

Source: requirements.md, "a region whose delay complaints pass 10% triggers a route-optimisation signal".
"""

from dataclasses import dataclass, field

from services.sla.surge.counting import Counted
from services.sla.surge.model import Complaint, Dimension, Key, RouteSuggested
from services.sla.surge.rules import Rules
from services.sla.surge.series import Series


@dataclass
class Regions:
    """Orders placed in each region, and when each was last spoken of (microseconds)."""

    orders: dict[str, Series] = field(default_factory=dict)
    suggested: dict[str, int] = field(default_factory=dict)
    changed: bool = False

    def placed(self, region: str, at_us: int, counted: Counted, rules: Rules) -> None:
        """An order was placed; too late to matter, it is left out."""
        if not region:
            return
        head, bucket = counted.head(rules), at_us // rules.bucket_us
        if head - bucket > rules.late:
            return
        series = self.orders.get(region)
        if series is None:
            series = self.orders[region] = Series(head, [0] * rules.size, (Dimension.REGION, region))
        series.advance(head)
        series.add(bucket)
        self.changed = True

    def judge(self, brand: str, complaint: Complaint, counted: Counted, rules: Rules) -> list[RouteSuggested]:
        """What a complaint about delay makes of its region: a suggestion at most once in the rule's length of time."""
        rule, region = rules.policy.region, complaint.region
        if not region or complaint.category not in rule.categories or region not in self.orders:
            return []
        head, now_us = counted.head(rules), counted.now_us
        last = self.suggested.get(region)
        if last is not None and now_us - last < rules.within * rules.bucket_us:
            return []
        keys = (Key(category.value, Dimension.REGION, region) for category in rule.categories)
        complaints = sum(counted.series[k].count(head, rules.within) for k in keys if k in counted.series)
        orders = self.orders[region].count(head, rules.within)
        if complaints < rule.minimum_complaints or orders < rule.minimum_orders:
            return []
        if complaints * 100 <= orders * rule.percent:
            return []
        self.suggested[region] = now_us
        self.changed = True
        return [RouteSuggested(brand, region, now_us, complaints, orders)]
