"""What is known of an order, folded from its events. Pure."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

OrderState = Literal["placed", "picked_up", "delivered", "cancelled"]
# An order's events may arrive in any order; these are said by one kind of event each.
_ONCE = ("placed_at", "picked_up_at", "delivered_at", "cancelled_at")
_LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class OrderFacts:
    """One order as its newest event (`seq`) describes it.

    `identity_hashes` link accounts by phone, device and address without saying them. `value_minor` in minor units of
    `currency`. `eta_reason` is why the expected time moved.
    """

    order_id: str
    brand: str
    seq: int
    customer_id: str
    region: str
    merchant_id: str
    courier_id: str
    station: str
    products: tuple[str, ...]
    value_minor: int
    currency: str
    promised_at: datetime | None
    eta: datetime | None
    identity_hashes: tuple[str, ...]
    occurred_at: datetime
    distance_km: float = 0.0
    weather: str = ""
    traffic: str = ""
    eta_reason: str = ""
    placed_at: datetime | None = None
    picked_up_at: datetime | None = None
    delivered_at: datetime | None = None
    cancelled_at: datetime | None = None

    @property
    def state(self) -> OrderState:
        """How far it is, by what has happened to it; an event of the expected time alone says nothing of it."""
        if self.cancelled_at is not None:
            return "cancelled"
        if self.delivered_at is not None:
            return "delivered"
        return "placed" if self.picked_up_at is None else "picked_up"

    @property
    def over(self) -> bool:
        """Nothing more will happen to it."""
        return self.delivered_at is not None or self.cancelled_at is not None


def fold(known: OrderFacts | None, event: OrderFacts) -> OrderFacts:
    """What is known once `event` is known too. Repeats change nothing, and the order of events doesn't matter.

    The newest event describes the order; what only one kind of event says (when it was placed, picked up, delivered,
    cancelled) is kept from whichever said it first.
    """
    if known is None:
        return event
    newest = event if event.seq > known.seq else known
    return replace(newest, **{name: getattr(known, name) or getattr(event, name) for name in _ONCE})


def forget_at(facts: OrderFacts, keep: timedelta) -> datetime:
    """When nobody needs the facts any more: `keep` after the last instant that is known of the order."""
    known = [facts.promised_at, facts.eta, facts.placed_at, facts.picked_up_at, facts.delivered_at, facts.cancelled_at]
    last = max([facts.occurred_at, *(at for at in known if at is not None)])
    return min(last, _LAST - keep) + keep


class OrderBook(Protocol):
    """Facts of orders, to look up."""

    async def get(self, brand: str, order_id: str) -> OrderFacts | None:
        """None for an order that isn't known (yet). Raises Unavailable."""
        ...

    async def count_of(self, brand: str, identity_hashes: tuple[str, ...], customer_id: str, since: datetime) -> int:
        """Orders placed since then by the customer or under one of these identities. Raises Unavailable."""
        ...
