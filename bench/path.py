"""The whole path: acknowledged, routed, confirmed in the outbox; and from a broken promise to the supervisors' message.

The highest sustained rate is that of callers who each wait for their confirmation before they complain again: what is
under way stays bounded. The delays are those of complaints that come at 10 %, 50 % and 80 % of that rate, whatever
became of those before. The reference of the rate is what the database writes of the same tickets, alone.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient

from bench.figures import Result, beside, percentile
from bench.load import CLOCK, closed_loop, open_loop
from bench.progress import Progress
from bench.whole import Seen, Whole, whole

CALLERS = 100
SHARES = (0.1, 0.5, 0.8)
AT_ONCE = 500
FOOD_SAFETY = "鸡肉沙拉里吃出了铁丝，孩子差点咽下去"
LIMIT = "the embedded database: one process of Python, all services and it on the same cores"


async def delays(short: bool, progress: Progress) -> Sequence[Result]:
    """`path_rate`, `path_p99_seconds` at half of it, the same at a tenth and at 80 %, `escalation_p99_seconds`."""
    runs, calls, seconds, breaches = (3, 100, 2.0, 15) if short else (5, 300, 5.0, 100)
    async with whole() as system:
        await _at_once(system, calls // 2)
        rates = []
        for run in range(runs):
            progress.step("as many as it takes", run, runs)
            rate = await _at_once(system, calls)
            rates.append((rate, await _bare_inserts(system, f"bare{run}")))
        progress.step("as many as it takes", runs, runs)
        highest = sorted(rate for rate, _ in rates)[runs // 2]
        rows = [beside("path_rate", rates, "complaints/s", "insert_many of the same tickets", LIMIT, callers=CALLERS)]
        for share in SHARES:
            seen = []
            for run in range(runs):
                progress.step(f"at {share:.0%} of it", run, runs)
                seen.append(await _at_rate(system, highest * share, seconds))
            progress.step(f"at {share:.0%} of it", runs, runs)
            rows.append(_row(share, highest * share, seen))
        progress.step(f"{breaches} broken promises")
        rows.append(await _escalations(system, breaches))
    return rows


async def _at_once(system: Whole, calls: int) -> float:
    """Complaints a second from acknowledgement to confirmation, `CALLERS` under way."""

    async def call(_: int) -> None:
        await system.confirmed(await system.send())

    return (await closed_loop(call, calls, min(CALLERS, calls))).rate


async def _at_rate(system: Whole, rate: float, seconds: float) -> list[Seen]:
    seen: list[Seen] = []

    async def call(_: int) -> None:
        seen.append(await system.confirmed(await system.send()))

    await open_loop(call, max(2, round(rate * seconds)), rate)
    return seen


def _row(share: float, rate: float, seen: Sequence[Sequence[Seen]]) -> Result:
    each = [sorted(one.seconds_to("confirmed") for one in run) for run in seen]
    confirmed = sorted(seconds for run in each for seconds in run)
    routed = sorted(one.seconds_to("routed") for run in seen for one in run)
    worst = [percentile(run, 0.99) for run in each]
    return Result(
        "path_p99_seconds" if share == 0.5 else f"path_p99_seconds_{share * 100:.0f}",
        percentile(confirmed, 0.99),
        "s",
        runs=len(each),
        spread=(min(worst), max(worst)),
        limit=LIMIT,
        facts={
            "complaints_per_second": rate,
            "share_of_highest": share,
            "complaints": float(len(confirmed)),
            "p50_seconds": percentile(confirmed, 0.5),
            "routed_p50_seconds": percentile(routed, 0.5),
            "routed_p99_seconds": percentile(routed, 0.99),
        },
    )


async def _escalations(system: Whole, count: int) -> Result:
    """Red complaints of the demo brand, whose first response is promised within seconds; nobody answers them."""
    late: list[float] = []

    async def call(index: int) -> None:
        seen = await system.send(type="其他", description=FOOD_SAFETY, brand="demo")
        deadline = datetime.fromisoformat(seen.answer["promise"]["firstResponseBy"])
        told = await system.when(str(seen.answer["id"]), "escalation")
        late.append((told - deadline).total_seconds())

    rate = 10.0
    await open_loop(call, count, rate)
    ordered = sorted(late)
    return Result(
        "escalation_p99_seconds",
        percentile(ordered, 0.99),
        "s",
        limit=LIMIT,
        spread=(ordered[0], ordered[-1]),
        facts={
            "breaches": float(count),
            "breaches_per_second": rate,
            "p50_seconds": percentile(ordered, 0.5),
        },
    )


async def _bare_inserts(system: Whole, name: str) -> float:
    """Tickets a second, as the router wrote them, in a collection without any index."""
    client: Any = AsyncIOMotorClient(system.system.env["PINGXI_MONGO"])
    try:
        database = client.get_default_database()
        documents = [each async for each in database["tickets"].find({}).limit(AT_ONCE)]
        started = CLOCK.monotonic()
        await database[name].insert_many(documents, ordered=False)
        rate = len(documents) / (CLOCK.monotonic() - started)
        await database.drop_collection(name)
    finally:
        client.close()
    return rate
