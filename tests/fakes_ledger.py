"""Hand-written stand-ins for the ledger's surroundings. `FakeLedger` passes the behaviour tests of the database."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka.structs import RecordMetadata, TopicPartition
from google.protobuf.message import Message as Proto

from common.errors import Unavailable
from common.events import Incoming, Outgoing
from common.policyfiles import load_brand
from common.publisher import Publisher
from deploy.local.settings import ROOT
from rules.model import Metric, PolicySet, Priority, TriggerKind
from services.sla.compensation.accounts import Accounts, Books, Claims, charged, returned
from services.sla.compensation.model import Actor, LedgerRow, Request
from services.sla.compensation.ports import Asked, Reservation
from services.sla.order_facts import OrderFacts

POLICIES = load_brand(ROOT / "policies" / "default")
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TICKET = "7K3M-9QXZ-4TPC-5"
BREACH = Request(
    id="breach-1",
    brand="default",
    trigger=TriggerKind.SLA_BREACH,
    ticket_id=TICKET,
    order_id="",
    customer_id="c1",
    customer_ref="c1",
    metric=Metric.FIRST_RESPONSE,
    priority=Priority.URGENT,
    sla_policy="red",
    red=True,
    at=NOW,
)
_OTHER = replace(BREACH, metric=None, priority=None, sla_policy="", red=False)
LATE = replace(
    _OTHER,
    id="late-1",
    trigger=TriggerKind.ORDER_LATE,
    ticket_id="",
    order_id="o1",
    late=timedelta(minutes=70),
    cause_id="o1",
)
INCIDENT = replace(
    _OTHER, id="incident-1/o1", trigger=TriggerKind.INCIDENT, ticket_id="", order_id="o1", cause_id="incident-1"
)
COUPON = replace(
    _OTHER,
    id="coupon-1",
    trigger=TriggerKind.RESOLUTION,
    order_id="o1",
    amount_minor=1500,
    currency="CNY",
    person=Actor("agent", "li"),
)
SATISFIED = replace(_OTHER, id="rating-1", trigger=TriggerKind.RATING, score=5)
SUGGESTION = replace(_OTHER, id="suggestion-1", trigger=TriggerKind.SUGGESTION)
ORDER = OrderFacts(
    order_id="o1",
    brand="default",
    seq=3,
    customer_id="c1",
    region="sh-xuhui",
    merchant_id="m1",
    courier_id="k1",
    station="s1",
    products=("soup",),
    value_minor=5000,
    currency="CNY",
    promised_at=NOW - timedelta(minutes=70),
    eta=NOW,
    identity_hashes=("phone-1", "device-1"),
    occurred_at=NOW - timedelta(minutes=100),
    placed_at=NOW - timedelta(minutes=100),
)


def with_limits(policies: PolicySet = POLICIES, **limits: Any) -> PolicySet:
    """The policies with other bounds."""
    compensation = policies.compensation
    return replace(policies, compensation=replace(compensation, limits=replace(compensation.limits, **limits)))


def with_rule(name: str, **changes: Any) -> PolicySet:
    """The default policies with one rule changed."""
    rules = tuple(replace(r, **changes) if r.name == name else r for r in POLICIES.compensation.rules)
    return replace(POLICIES, compensation=replace(POLICIES.compensation, rules=rules))


class FakeTopics(Publisher):
    """A publisher whose broker is a list. `failing`: how many messages from now on are not acknowledged; `arrive`:
    whether those are on the topic all the same (the outcome of a send is unknown, never failed)."""

    def __init__(self) -> None:
        super().__init__("nowhere", "test")
        self.log: list[Outgoing] = []
        self.failing = 0
        self.arrive = False

    async def publish(self, message: Outgoing, timeout: float | None = None) -> RecordMetadata:
        if self.failing:
            self.failing -= 1
            if self.arrive:
                self.log.append(message)
            raise Unavailable("no acknowledgement")
        self.log.append(message)
        return RecordMetadata(message.topic, 0, TopicPartition(message.topic, 0), len(self.log), 0, 0, 0)

    def of(self, topic: str, kind: type[Proto] | None = None) -> list[Outgoing]:
        """What was published, repeats included."""
        return [m for m in self.log if m.topic == topic and (kind is None or isinstance(m.body, kind))]

    def ids(self, topic: str, kind: type[Proto] | None = None) -> list[str]:
        """The distinct ids, in order of their first appearance."""
        return list(dict.fromkeys(m.id for m in self.of(topic, kind)))


class FakeOrders:
    """The `OrderBook`, and what the caps count."""

    def __init__(self, *facts: OrderFacts) -> None:
        self.known = {(each.brand, each.order_id): each for each in facts}

    async def get(self, brand: str, order_id: str) -> OrderFacts | None:
        return self.known.get((brand, order_id))

    async def count_of(self, brand: str, identity_hashes: tuple[str, ...], customer_id: str, since: datetime) -> int:
        return sum(
            each.brand == brand
            and each.occurred_at >= since
            and (each.customer_id == customer_id or bool({*identity_hashes} & {*each.identity_hashes}))
            for each in self.known.values()
        )


class FakeLedger:
    """The `LedgerBook` in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, LedgerRow] = {}
        self.untold: set[str] = set()
        self.budgets: dict[str, int] = {}
        self.claims: dict[str, Claims] = {}
        self.paid: dict[str, int] = {}

    async def insert(self, row: LedgerRow) -> bool:
        if row.id in self.rows:
            return False
        self._put(row)
        return True

    async def get(self, ledger_id: str) -> LedgerRow | None:
        return self.rows.get(ledger_id)

    async def by_request(self, request_id: str) -> LedgerRow | None:
        return next((row for row in self.rows.values() if row.request_id == request_id), None)

    async def change(self, row: LedgerRow) -> bool:
        known = self.rows.get(row.id)
        if known is None or known.version != row.version - 1:
            return False
        self._put(row)
        return True

    async def published(self, row: LedgerRow) -> None:
        if self.rows[row.id].version == row.version:
            self.untold.discard(row.id)

    async def books(self, accounts: Accounts) -> Books:
        return Books(
            {b.id: self.budgets[b.id] for b in accounts.budgets if b.id in self.budgets},
            {i: self.claims[i] for i in accounts.identities if i in self.claims},
            self.paid.get(accounts.order, 0),
        )

    async def reserve(self, row: LedgerRow, accounts: Accounts, books: Books, cap_days: int) -> Reservation:
        known, amount = self.rows.get(row.id), row.amount_minor
        if known is None or known.version != row.version - 1:
            return "gone"
        seen = {i: books.claims.get(i, Claims()) for i in accounts.identities}
        if (
            (accounts.order and self.paid.get(accounts.order, 0) != books.paid_for_order)
            or any(self.claims.get(i, Claims()).version != own.version for i, own in seen.items())
            or any(self.budgets.get(b.id, 0) + amount > b.limit for b in accounts.budgets)
        ):
            return "changed"
        self._put(row)
        if accounts.order:
            self.paid[accounts.order] = self.paid.get(accounts.order, 0) + amount
        for identity, own in seen.items():
            days = charged(own.days, accounts.day, cap_days, amount)
            self.claims[identity] = Claims(own.version + 1, days)
        for budget in accounts.budgets:
            self.budgets[budget.id] = self.budgets.get(budget.id, 0) + amount
        return "reserved"

    async def give_back(self, row: LedgerRow) -> bool:
        if not await self.change(row):
            return False
        charges, amount = row.charges, row.amount_minor
        if charges.order:
            self.paid[charges.order] -= amount
        for identity in charges.identities:
            own = self.claims[identity]
            self.claims[identity] = Claims(own.version + 1, returned(own.days, charges.day, amount))
        for budget in charges.budgets:
            self.budgets[budget] -= amount
        return True

    async def due(self, now: datetime, most: int = 200) -> list[LedgerRow]:
        found = [r for r in self.rows.values() if r.state in ("proposed", "approved") and r.settle_at <= now]
        return sorted(found, key=lambda row: row.settle_at)[:most]

    async def unpublished(self, before: datetime, most: int = 200) -> list[LedgerRow]:
        return [r for r in self.rows.values() if r.id in self.untold and r.updated_at <= before][:most]

    async def waiting_for(self, brand: str, order_ids: Sequence[str]) -> list[LedgerRow]:
        return [
            row
            for row in self.rows.values()
            if (row.brand, row.state, row.outcome) == (brand, "held", "order_unknown") and row.order_id in order_ids
        ]

    async def find(self, asked: Asked, most: int) -> list[LedgerRow]:
        found = [
            row
            for row in self.rows.values()
            if all(not getattr(asked, n) or getattr(asked, n) == getattr(row, n) for n in ("brand", "ticket_id"))
            and (not asked.order_id or asked.order_id == row.order_id)
            and (not asked.states or row.state in asked.states)
            and (asked.after is None or (row.proposed_at, row.id) < asked.after)
        ]
        return sorted(found, key=lambda row: (row.proposed_at, row.id), reverse=True)[:most]

    async def issued(self, brand: str, start: datetime, end: datetime) -> list[LedgerRow]:
        return [
            row
            for row in self.rows.values()
            if row.brand == brand and row.issued_at is not None and start <= row.issued_at < end
        ]

    async def spent(self, budget: str) -> int:
        return self.budgets.get(budget, 0)

    def _put(self, row: LedgerRow) -> None:
        self.rows[row.id] = row
        self.untold.add(row.id)


def incoming(topic: str, body: Proto, key: str = "k", number: int = 0) -> Incoming:
    """A message as a consumer hands it over."""
    return Incoming(topic, 0, number, key, body.DESCRIPTOR.name, f"{topic}-{number}", None, body)
