"""Compensation for late orders on stored history: what the rules of `order_late` owe, before and after. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from google.protobuf.message import Message as Proto

from common.words import from_timestamp
from gen.pingxi.v1 import order_pb2 as pb
from rules.model import Instrument, PolicySet, TriggerKind
from rules.rehearsal import Comparison, Tally

PLACE = "(late orders)"
KINDS: list[type[Proto]] = [pb.OrderPlaced, pb.OrderPickedUp, pb.EtaChanged, pb.OrderDelivered, pb.OrderCancelled]


@dataclass(frozen=True)
class _Order:
    brand: str
    promised_at: datetime
    over: bool = False
    delivered_at: datetime | None = None


class LateOrders:
    """Takes the events of orders.v1, those of an order in any order; orders promised in start ≤ t < end count.

    An order that hasn't arrived is as late as it is at `end`; a cancelled one isn't late.
    """

    def __init__(
        self,
        changed: Mapping[str, PolicySet],
        present: Mapping[str, PolicySet],
        start: datetime | None,
        end: datetime,
    ) -> None:
        self._changed = changed
        self._present = present
        self._start = start
        self._end = end
        self._orders: dict[str, _Order] = {}

    def event(self, body: Proto) -> None:
        """One event; what has no promise isn't late."""
        assert isinstance(
            body, pb.OrderPlaced | pb.OrderPickedUp | pb.EtaChanged | pb.OrderDelivered | pb.OrderCancelled
        )
        facts = body.order
        promised_at = from_timestamp(facts.promised_at)
        if facts.brand not in self._changed or promised_at is None:
            return
        known = self._orders.get(facts.order_id) or _Order(facts.brand, promised_at)
        if isinstance(body, pb.OrderDelivered):
            arrived = from_timestamp(body.delivered_at) or from_timestamp(facts.occurred_at)
            known = _Order(known.brand, known.promised_at, known.over, arrived)
        elif isinstance(body, pb.OrderCancelled):
            known = _Order(known.brand, known.promised_at, True, known.delivered_at)
        self._orders[facts.order_id] = known

    def result(self) -> list[Comparison]:
        """A row for each brand where either set of rules owes anything."""
        before: dict[str, Tally] = {}
        after: dict[str, Tally] = {}
        for order in self._orders.values():
            if order.over or order.promised_at >= self._end or (self._start and order.promised_at < self._start):
                continue
            late = min(order.delivered_at or self._end, self._end) - order.promised_at
            for policies, counts in ((self._present.get(order.brand), before), (self._changed[order.brand], after)):
                if policies is not None:
                    counts[order.brand] = counts.get(order.brand, Tally()) + owed(policies, late)
        return [
            Comparison(brand, PLACE, 0, before.get(brand, Tally()), tally, self._changed[brand].brand.currency)
            for brand, tally in sorted(after.items())
            if tally != Tally() or before.get(brand, Tally()) != Tally()
        ]


def owed(policies: PolicySet, late: timedelta) -> Tally:
    """What an order that late is owed by the first rule that speaks of it."""
    limits = policies.compensation.limits
    if not limits.enabled or limits.shadow:
        return Tally()
    for rule in policies.compensation.rules:
        bound = rule.trigger.late_over
        if rule.trigger.kind is TriggerKind.ORDER_LATE and (bound is None or late > bound):
            return Tally(vouchers=1, amount=rule.amount) if rule.instrument is Instrument.VOUCHER else Tally()
    return Tally()
