"""Compensation for late orders on stored history: what the rules of `order_late` owe, before and after. Pure.

An order asks once for each bound of the rules it passes, as it did when it ran, and each time the first rule that
matches speaks; without stacking it is paid the highest amount. What isn't repeated: the limits of compensation, and the
tickets that late orders open by themselves: those there were are in tickets.v1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from google.protobuf.message import Message as Proto

from common.words import EPOCH, from_timestamp
from gen.pingxi.v1 import order_pb2 as pb
from rules.model import PolicySet, TriggerKind
from rules.rehearsal import Comparison, Tally
from services.sla.compensation.model import Request
from services.sla.compensation.rules import propose
from services.sla.orders.policy import terms_of

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
        for order_id, order in self._orders.items():
            if order.over or order.promised_at >= self._end or (self._start and order.promised_at < self._start):
                continue
            late = min(order.delivered_at or self._end, self._end) - order.promised_at
            for policies, counts in ((self._present.get(order.brand), before), (self._changed[order.brand], after)):
                if policies is not None:
                    counts[order.brand] = counts.get(order.brand, Tally()) + owed(policies, order.brand, order_id, late)
        return [
            Comparison(brand, PLACE, 0, before.get(brand, Tally()), tally, self._changed[brand].brand.currency)
            for brand, tally in sorted(after.items())
            if tally != Tally() or before.get(brand, Tally()) != Tally()
        ]


def owed(policies: PolicySet, brand: str, order_id: str, late: timedelta) -> Tally:
    """What an order that late is owed: a voucher for each bound it passed that a rule pays anything more for."""
    limits = policies.compensation.limits
    if not limits.enabled or limits.shadow:
        return Tally()
    found, paid, taken = Tally(), 0, set[str]()
    for bound in terms_of(policies).late_over:
        if late <= bound:
            break
        row = propose(policies, _request(brand, order_id, bound))
        # One ledger row for an order and reason: the first claim stands.
        if row is None or row.id in taken:
            continue
        taken.add(row.id)
        due = row.amount_minor if row.stack else max(0, row.amount_minor - paid)
        if due:
            found += Tally(vouchers=1, amount=due)
            paid += 0 if row.stack else due
    return found


def _request(brand: str, order_id: str, bound: timedelta) -> Request:
    return Request(
        id=str(bound),
        brand=brand,
        trigger=TriggerKind.ORDER_LATE,
        ticket_id="",
        order_id=order_id,
        customer_id="",
        customer_ref="",
        metric=None,
        priority=None,
        sla_policy="",
        red=False,
        at=EPOCH,
        late=bound,
    )
