"""The ledger on a real database: budgets are exact, and every state is left behind safely."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.sla.compensation import LedgerRow
from services.sla.store import Database, LedgerStore

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def row(number: int) -> LedgerRow:
    return LedgerRow(
        id=f"row-{number}",
        request_id=f"breach-{number}",
        state="proposed",
        brand="default",
        ticket_id=f"ticket-{number}",
        order_id="",
        customer_id="c1",
        customer_ref="c1",
        amount_minor=1000,
        currency="CNY",
        reason="red_first_response",
        rule="red-first-response",
        outcome="",
        policy_hash="h",
        proposed_at=NOW,
        settle_at=NOW,
        updated_at=NOW,
    )


@pytest.fixture
async def store(mongo: str) -> AsyncIterator[LedgerStore]:
    database = Database(mongo)
    await database.prepare()
    yield LedgerStore(database)
    await database.close()


async def test_a_row_is_written_once(store: LedgerStore) -> None:
    assert await asyncio.gather(*(store.insert(row(1)) for _ in range(5))) != [True] * 5
    assert [r.id for r in await store.to_settle(NOW)] == ["row-1"]


async def test_many_simultaneous_claims_on_a_budget_for_ten_pay_ten(store: LedgerStore) -> None:
    rows = [row(n) for n in range(60)]
    for each in rows:
        await store.insert(each)
    outcomes = await asyncio.gather(*(store.reserve(each, "brand/default/d", 10_500, NOW) for each in rows))
    assert outcomes.count("reserved") == 10
    assert outcomes.count("no_budget") == 50
    assert await store.spent("brand/default/d") == 10_000
    assert len(await store.to_settle(NOW)) == 50


async def test_one_row_is_reserved_once_by_many_workers(store: LedgerStore) -> None:
    await store.insert(row(1))
    outcomes = await asyncio.gather(*(store.reserve(row(1), "b", 100_000, NOW) for _ in range(10)))
    assert outcomes.count("reserved") == 1
    assert await store.spent("b") == 1000


async def test_a_withdrawn_row_is_never_reserved(store: LedgerStore) -> None:
    await store.insert(row(1))
    assert await store.withdraw("breach-1", "withdrawn", NOW) == "withdrawn"
    assert await store.reserve(row(1), "b", 100_000, NOW) == "gone"
    assert await store.spent("b") == 0
    assert await store.withdraw("breach-1", "withdrawn", NOW) == "unknown"


async def test_a_settled_voucher_stays_with_the_customer(store: LedgerStore) -> None:
    await store.insert(row(1))
    await store.reserve(row(1), "b", 100_000, NOW)
    assert await store.withdraw("breach-1", "withdrawn", NOW) == "settled"


async def test_a_change_of_an_older_version_is_refused(store: LedgerStore) -> None:
    await store.insert(row(1))
    assert await store.change(row(1), "held", "budget_exhausted", NOW)
    assert not await store.change(row(1), "held", "budget_exhausted", NOW)
    found = await store.unpublished()
    assert [(r.state, r.outcome, r.version) for r in found] == [("held", "budget_exhausted", 2)]
    await store.clear_unpublished(replace(found[0], version=1))
    assert len(await store.unpublished()) == 1
    await store.clear_unpublished(found[0])
    assert await store.unpublished() == []
