"""The ledger on a real database: budgets are exact, every step may be the last, and what was lost is rebuilt."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from common.clock import ManualClock
from common.errors import Unavailable
from rules.model import PolicySet
from services.sla.compensation.ledger import Ledger
from services.sla.compensation.store import EPOCH, LedgerStore
from services.sla.order_facts import fold
from services.sla.store import Database
from services.sla.store_orders import OrderStore
from tests.fakes_ledger import BREACH, LATE, NOW, ORDER, POLICIES, FakeOrders, FakeTopics, with_limits
from tests.unit.sla.ledger_behaviour import (
    BEHAVIOUR,
    MINUTE,
    SPAN,
    Life,
    reserved,
    row_of,
    tell_the_story,
    the_story_has_one_outcome,
)
from tests.waiting import CLOCK

CLAIMS = 1000


@pytest.fixture
async def database(mongo: str) -> AsyncIterator[Database]:
    made = Database(mongo)
    await made.prepare()
    yield made
    await made.close()


@pytest.fixture
async def store(database: Database) -> LedgerStore:
    made = LedgerStore(database)
    await made.begin("new", NOW)
    return made


@pytest.mark.parametrize("behaviour", BEHAVIOUR, ids=lambda each: each.__name__)
async def test_the_ledger_in_mongodb(store: LedgerStore, behaviour: Callable[[Any], Awaitable[None]]) -> None:
    await behaviour(store)


async def test_a_thousand_simultaneous_claims_on_a_budget_for_ten_pay_exactly_ten(store: LedgerStore) -> None:
    """By three workers at once; the rest is held for a person, with its reason."""
    policies = {"default": with_limits(brand_per_day=10_500)}
    clock, topics = ManualClock(NOW), FakeTopics()
    workers = [Ledger(store, FakeOrders(), topics, clock, policies) for _ in range(3)]
    requests = [
        replace(BREACH, id=f"b{n}", ticket_id=f"t{n}", customer_id=f"c{n}", customer_ref=f"c{n}") for n in range(CLAIMS)
    ]

    async def claim(worker: Ledger, share: int) -> None:
        for request in requests[share::3]:
            await worker.request(request)

    await asyncio.gather(*(claim(worker, n) for n, worker in enumerate(workers)))
    clock.advance(timedelta(seconds=11))
    await asyncio.gather(*(worker.settle() for worker in workers))
    assert len(topics.ids("vouchers.v1")) == 10
    rows = await store.find_all()
    assert len(rows) == CLAIMS
    states = [(row.state, row.outcome) for row in rows]
    assert (states.count(("published", "issued")), states.count(("held", "brand_budget"))) == (10, CLAIMS - 10)
    assert await store.spent("brand/default/2026-03-01") == 10_000


async def test_the_caps_of_linked_accounts_are_exact_under_concurrency(store: LedgerStore) -> None:
    """Thirty accounts on one phone, all at once: five are paid, by the cap of the phone."""
    orders = [
        replace(ORDER, order_id=f"o{n}", customer_id=f"c{n}", identity_hashes=("phone-1",), merchant_id=f"m{n}")
        for n in range(30)
    ]
    clock, topics = ManualClock(NOW), FakeTopics()
    policies = {"default": with_limits(claims_to_orders_percent=100)}
    workers = [Ledger(store, FakeOrders(*orders), topics, clock, policies) for _ in range(2)]
    for order in orders:
        request = replace(LATE, id=order.order_id, order_id=order.order_id, customer_id="", customer_ref="")
        await workers[0].request(request)
    clock.advance(timedelta(seconds=11))
    await asyncio.gather(*(worker.settle() for worker in workers))
    assert len(topics.ids("vouchers.v1")) == 5
    outcomes = [row.outcome for row in await store.find_all()]
    assert (outcomes.count("issued"), outcomes.count("cap_count")) == (5, 25)


async def test_killed_before_or_after_each_step_the_story_has_one_outcome(database: Database) -> None:
    """Each death in a ledger of its own, the processes that follow find what was left behind."""
    life = Life()
    await _story(database, "whole", life)
    for step in range(1, life.steps + 1):
        for before in (True, False):
            await _story(database, f"s{step}{before}", Life((step, before)))


async def _story(database: Database, name: str, life: Life) -> None:
    store, topics = LedgerStore(database, name), FakeTopics()
    await store.begin("new", NOW)
    await tell_the_story(store, topics, life)
    await the_story_has_one_outcome(store, topics)


async def test_a_database_that_was_replaced_pays_nothing(database: Database, store: LedgerStore) -> None:
    await store.insert(row_of())
    after, accounts = reserved(row_of())
    await database.collection("ledger_meta").delete_one({"_id": EPOCH})
    assert not await store.has_epoch()
    with pytest.raises(Unavailable, match="replaced"):
        await store.reserve(after, accounts, await store.books(accounts), SPAN)
    assert (await store.get(after.id)) == row_of()
    assert set((await store.books(accounts)).spent.values()) <= {0}


def kept_for(keep: timedelta) -> PolicySet:
    return replace(POLICIES, orders=replace(POLICIES.orders, keep_facts=keep))


async def test_the_database_forgets_an_order_when_its_brand_says_counted_from_the_last_that_is_known_of_it(
    database: Database,
) -> None:
    orders = database.collection("orders")
    rules = {rule["key"][0][0]: rule.get("expireAfterSeconds") for rule in (await orders.index_information()).values()}
    assert rules["forget_at"] == 0
    now = CLOCK.now().replace(microsecond=0)
    placed = replace(ORDER, order_id="kept", occurred_at=now, promised_at=now + MINUTE, eta=None, delivered_at=None)
    store = OrderStore(database, {"default": kept_for(timedelta(days=60))})

    async def forgotten_at(brand: str = "default") -> Any:
        return (await orders.find_one({"_id": f"{brand}/kept"}))["forget_at"]

    await store.put([placed, replace(placed, brand="unknown")])
    assert await forgotten_at() == now + MINUTE + timedelta(days=60)
    assert await forgotten_at("unknown") == now + MINUTE + timedelta(days=90)
    delivered = replace(placed, seq=9, delivered_at=now + 5 * MINUTE, occurred_at=now + 5 * MINUTE)
    await store.put([delivered])
    assert await forgotten_at() == now + 5 * MINUTE + timedelta(days=60)


async def test_facts_of_orders_are_folded_whatever_their_order_and_counted_by_identity(database: Database) -> None:
    # For longer than this test's instants will be past: the database really deletes.
    store = OrderStore(database, {"default": kept_for(timedelta(days=36500))})
    placed = replace(ORDER, seq=1, placed_at=NOW, occurred_at=NOW)
    delivered = replace(ORDER, seq=3, placed_at=None, delivered_at=NOW + MINUTE, occurred_at=NOW + MINUTE)
    await store.put([delivered])
    await store.put([placed, placed, delivered])
    await store.put([placed])
    found = await store.get("default", "o1")
    assert found == fold(placed, delivered)
    assert found is not None
    assert (found.state, found.placed_at) == ("delivered", NOW)
    assert await store.get("demo", "o1") is None
    await store.put(
        [replace(placed, order_id="o2", customer_id="c2"), replace(placed, order_id="o3", customer_id="c3")]
    )
    await store.put([replace(placed, order_id="o4", identity_hashes=())])
    assert await store.count_of("default", ("phone-1",), "", NOW) == 3
    assert await store.count_of("default", (), "c1", NOW) == 2
    assert await store.count_of("default", ("phone-1",), "c1", NOW) == 4
    assert await store.count_of("default", ("phone-1",), "c1", NOW + 2 * MINUTE) == 0
    assert await store.count_of("default", (), "", NOW) == 0
    assert POLICIES.compensation.limits.cap_days == SPAN
