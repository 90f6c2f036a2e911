"""Running orders as a Faust agent: the only writer of the table `orders`, keyed like orders.v1 (see `keeper.py`)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import faust
from google.protobuf.message import Message as Proto

from common import metrics
from common.errors import Poison
from common.events import Decoder, Headers, Outgoing
from gen.pingxi.v1 import order_pb2 as pb
from gen.pingxi.v1.internal_pb2 import DueCame
from rules.model import PolicySet
from services.sla.keeper import Keeper
from services.sla.order_facts import OrderFacts
from services.sla.order_wire import ORDER_KINDS, facts_of
from services.sla.orders import model as m
from services.sla.orders import policy
from services.sla.orders.risk import risk_of
from services.sla.orders.wire import outgoing, row_from_bytes, row_to_bytes
from services.sla.risk.model import RiskModel
from services.sla.table import RowTable

ORDERS, DUE = "orders.v1", "order-due"
_DECODER = Decoder((*ORDER_KINDS, DueCame))


class OrderKeeper(Keeper[m.Watched, m.Effect]):
    """Keeps what is done about each running order."""

    inputs = (ORDERS,)
    due = DUE

    def __init__(self, *, policies: Mapping[str, PolicySet], risk: RiskModel, **given: Any) -> None:
        super().__init__(**given)
        self._policies = policies
        self._risk = risk
        self._terms: dict[str, m.Terms] = {}

    def read(
        self, topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> Proto | None:
        """The message; None for a type there is no use for. Raises Poison."""
        incoming = _DECODER.decode(topic, partition, offset, key, value, headers)
        if incoming is None:
            return None
        order = getattr(incoming.body, "order", None)
        # An order without a number is told so by name, in `judge`.
        if order is not None and order.order_id not in ("", incoming.key):
            raise Poison("key_mismatch", "the key isn't the order's id")
        return incoming.body

    def judge(self, row: m.Watched | None, body: Proto) -> tuple[m.Watched | None, Sequence[m.Effect]]:
        """See `policy.apply`. Raises Poison for a brand nobody knows, or an order without id, brand or time."""
        assert isinstance(
            body, pb.OrderPlaced | pb.OrderPickedUp | pb.EtaChanged | pb.OrderDelivered | pb.OrderCancelled
        )
        event = facts_of(body)
        policies = self._policies.get(event.brand)
        if policies is None:
            raise Poison("unknown_brand", event.brand[:40])
        if row is not None and row.facts.brand != event.brand:
            raise Poison("other_brand", "the order is another brand's")
        terms = self._terms.get(event.brand)
        if terms is None or terms.policy_hash != policies.hash:
            terms = self._terms[event.brand] = policy.terms_of(policies)
        risk = self._risk_of(row, body.order, event, terms if row is None else row.terms, policies)
        outcome = policy.apply(row, event, terms, risk)
        return outcome.row, outcome.effects

    def _risk_of(
        self, row: m.Watched | None, order: pb.OrderFacts, event: OrderFacts, terms: m.Terms, policies: PolicySet
    ) -> m.Risk | None:
        """None where it can't be judged, or nobody would be told."""
        placed_at = event.placed_at or (row.facts.placed_at if row is not None else None)
        if terms.risk_above is None or event.over or placed_at is None or event.promised_at is None:
            return None
        if event.promised_at <= placed_at or (row is not None and (row.told or row.facts.over)):
            return None
        zone = ZoneInfo(policies.brand.time_zone)
        return risk_of(self._risk, order, placed_at, event.promised_at, event.occurred_at, zone)

    def on_record_first(self, effects: Sequence[m.Effect]) -> bool:
        """A delivery from before may still be on its way: then what was asked for is withdrawn."""
        return bool(effects)

    def tick(self, row: m.Watched, as_of: datetime, now: datetime) -> tuple[m.Watched | None, Sequence[m.Effect]]:
        """See `policy.tick`."""
        outcome = policy.tick(row, as_of, now)
        return outcome.row, outcome.effects

    def next_due(self, row: m.Watched) -> datetime | None:
        """See `policy.next_due`."""
        return policy.next_due(row)

    def from_bytes(self, key: bytes, value: bytes) -> m.Watched:
        """See `wire.py`."""
        return row_from_bytes(key.decode(), value)

    def to_bytes(self, row: m.Watched) -> bytes:
        """See `wire.py`."""
        return row_to_bytes(row)

    def outgoing(self, effect: m.Effect) -> Outgoing:
        """See `wire.py`."""
        return outgoing(effect)

    def measure(self, effects: Sequence[m.Effect]) -> None:
        """What was found, by kind."""
        for effect in effects:
            metrics.order_findings.labels(type(effect).__name__).inc()

    def measure_timers(self, sizes: Mapping[int, int], oldest: float) -> None:
        """How many orders are watched, and how late the oldest timer is."""
        metrics.orders_watched.set(sum(sizes.values()))
        metrics.order_oldest_due_seconds.set(oldest)


def add_orders(app: faust.App, topic_prefix: str, partitions: int) -> tuple[RowTable, Any]:
    """The table and the input of running orders, in the application of the watchdog."""
    table = RowTable(
        app,
        name="orders",
        key_type=bytes,
        value_type=bytes,
        partitions=partitions,
        options={"driver": "rocksdict"},
        help="What is done about each running order.",
    )
    app.tables.add(table)
    topics = app.topic(
        topic_prefix + ORDERS,
        topic_prefix + DUE,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
    )
    return table, topics
