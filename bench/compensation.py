"""How many compensations the ledger decides: requested, recorded, judged, reserved, promised.

The reference does with the documents of the same run what can't be left out: insert each row, and replace it in one
transaction with its budget, cap and order. Nothing is read, decided or published. Both have as many requests under way.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from bench.figures import Result, beside
from bench.progress import Progress
from bench.stage import CLOCK, Stage, backends
from common.clock import ManualClock
from common.gather import gather_bounded
from common.policyfiles import load_all
from common.publisher import Publisher
from deploy.local.settings import ROOT
from rules.model import Metric, Priority, TriggerKind
from services.sla.compensation.keys import AT_ONCE
from services.sla.compensation.ledger import Ledger
from services.sla.compensation.model import Request
from services.sla.compensation.store import LedgerStore
from services.sla.store import Database
from services.sla.store_orders import OrderStore

REQUESTS = 400
RUNS = 5
WARM = 32
# The rule waits 10 s for a withdrawal before it pays; here a clock of our own has them pass.
SETTLED_AFTER = timedelta(seconds=11)


async def throughput(short: bool, progress: Progress) -> Sequence[Result]:
    """`compensation`: broken promises of red complaints, each of another customer, all paid from one day's budget."""
    count, runs = (REQUESTS // 5, 2) if short else (REQUESTS, RUNS)
    pairs = []
    async with backends() as there:
        for run in range(runs):
            async with there.stage() as stage:
                database = Database(stage.env["PINGXI_MONGO"])
                await database.prepare()
                progress.step("runs", run, runs)
                pairs.append((await _decided(stage, database, count), await _bare(database)))
                await database.close()
    progress.step("runs", runs, runs)
    return [
        beside(
            "compensation",
            pairs,
            "decisions/s",
            "an insert and a transaction of the same documents each",
            "the database: three changes of a row with seven indexes, and a brand's payments one after the other",
            decisions=float(count),
        )
    ]


def _request(number: int, clock: ManualClock) -> Request:
    return Request(
        id=f"bench-breach-{number}",
        brand="default",
        trigger=TriggerKind.SLA_BREACH,
        ticket_id=f"bench-ticket-{number}",
        order_id=f"bench-order-{number}",
        customer_id=f"bench-{number}",
        customer_ref=f"bench-{number}",
        metric=Metric.FIRST_RESPONSE,
        priority=Priority.URGENT,
        sla_policy="red",
        red=True,
        at=clock.now(),
    )


async def _decided(stage: Stage, database: Database, count: int) -> float:
    """Decisions a second."""
    book, clock = LedgerStore(database), ManualClock(CLOCK.now())
    await book.begin("new", clock.now())
    publisher = Publisher(stage.kafka, "sla", topic_prefix=stage.prefix)
    await publisher.start()
    try:
        policies = load_all(ROOT / "policies")
        ledger = Ledger(book, OrderStore(database, policies), publisher, clock, policies)
        # Once unmeasured: new topics have no leaders yet.
        await _settled(ledger, clock, range(WARM))
        started = CLOCK.monotonic()
        await _settled(ledger, clock, range(WARM, WARM + count))
        seconds = CLOCK.monotonic() - started
    finally:
        await publisher.stop()
    paid = [row for row in await book.find_all() if row.state == "published"]
    if len(paid) != WARM + count:
        raise RuntimeError(f"{len(paid)} of {WARM + count} requests were paid")
    return count / seconds


async def _settled(ledger: Ledger, clock: ManualClock, numbers: Iterable[int]) -> None:
    """Requested, and after the time in which it could be withdrawn settled."""
    await gather_bounded(AT_ONCE, [ledger.request(_request(number, clock)) for number in numbers])
    clock.advance(SETTLED_AFTER)
    await ledger.settle()


async def _bare(database: Database) -> float:
    """The same documents a second, in collections with the same indexes."""
    documents = [document async for document in database.collection("ledger").find({})]
    rows, budgets = database.collection("bare_ledger"), database.collection("bare_budgets")
    claims, orders = database.collection("bare_claims"), database.collection("bare_orders")
    for name, index in (await database.collection("ledger").index_information()).items():
        if name != "_id_":
            only = {key: index[key] for key in ("partialFilterExpression",) if key in index}
            await rows.create_index(list(index["key"]), **only)
    await budgets.insert_one({"_id": "day", "spent": 0})
    await claims.insert_many([{"_id": row["_id"], "version": 0} for row in documents])
    await orders.insert_many([{"_id": row["_id"], "paid": 0} for row in documents])
    # As in the ledger: side by side, payments from one budget would only conflict.
    turn = asyncio.Lock()

    async def one(row: dict[str, Any]) -> None:
        key, amount = {"_id": row["_id"]}, row["amount_minor"]

        async def steps(session: Any) -> None:
            await budgets.update_one({"_id": "day"}, {"$inc": {"spent": amount}}, session=session)
            await orders.update_one(key, {"$inc": {"paid": amount}}, session=session)
            await claims.update_one(key, {"$inc": {"version": 1}}, session=session)
            await rows.replace_one(key, row, session=session)

        await rows.insert_one(row)
        async with turn, await database.start_session() as session:
            await session.with_transaction(steps)

    started = CLOCK.monotonic()
    await gather_bounded(AT_ONCE, [one(row) for row in documents])
    return len(documents) / (CLOCK.monotonic() - started)
