"""What a complaint costs, and whether that grows with what is stored: `make bench BENCH=growth`.

At each size the whole path takes some complaints, and their cost is the CPU time of each process and what came on disk.
The tickets stored are copies of routed ones under numbers, customers and orders of their own, written straight into the
router's collection. BENCH_STORED="10000 100000 1000000" says other sizes than the first two of these; a million needs
about 20 GB of disk and an hour.
"""

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient

from bench.figures import Result, percentile
from bench.load import CLOCK, closed_loop
from bench.progress import Progress
from bench.whole import Seen, Whole, whole
from rules import number

STORED = (10_000, 100_000)
CALLERS = 50
COMPLAINTS = 500
AT_ONCE = 500
# What would have the router come back to a ticket.
_TO_DO = frozenset({"waiting", "listen_at", "next_action_at"})
SERVICES = ("intake", "router", "sla", "notifier", "outbox", "mongo", "kafka")


def sizes() -> tuple[int, ...]:
    """BENCH_STORED, ascending. Raises ValueError where it isn't numbers."""
    return tuple(sorted(int(word) for word in os.environ.get("BENCH_STORED", "").split())) or STORED


async def cost(short: bool, progress: Progress) -> Sequence[Result]:
    """`growth_<tickets>`: ms of CPU time a complaint, with the parts of each process."""
    wanted, complaints = ((500, 2000), 100) if short else (sizes(), COMPLAINTS)
    rows = []
    async with whole() as system:
        await _taken(system, 100)
        client: Any = AsyncIOMotorClient(system.system.env["PINGXI_MONGO"])
        try:
            tickets = client.get_default_database()["tickets"]
            for stored in wanted:
                await _fill(tickets, stored, progress)
                progress.step(f"{complaints} complaints with {stored:,} tickets stored")
                rows.append(await _cost(system, client, stored, complaints))
        finally:
            client.close()
    return rows


async def _fill(tickets: Any, stored: int, progress: Progress) -> None:
    models = [each async for each in tickets.find({}).limit(100)]
    there = await tickets.count_documents({})
    while there < stored:
        part = [copy_of(models[index % len(models)]) for index in range(min(AT_ONCE, stored - there))]
        await tickets.insert_many(part, ordered=False)
        there += len(part)
        progress.step("tickets stored", there, stored)


def copy_of(model: Mapping[str, Any]) -> dict[str, Any]:
    """The same ticket of somebody else, with nothing left to do about it."""
    own = secrets.token_hex(8)
    changes: dict[str, Any] = {
        "_id": number.from_random(secrets.randbits(number.BITS)),
        "customer_ref": own,
        "terms": [f"{term[:8]}{own}" for term in model.get("terms", ())],
        "claims": [f"{claim}{own}" for claim in model.get("claims", ())],
        "outbox": [],
        **{name: own for name in ("customer_id", "order_id") if model.get(name)},
    }
    kept = {name: value for name, value in model.items() if name not in _TO_DO}
    return kept | {name: value for name, value in changes.items() if name in model}


async def _taken(system: Whole, count: int) -> list[Seen]:
    seen: list[Seen] = []

    async def call(_: int) -> None:
        seen.append(await system.confirmed(await system.send()))

    await closed_loop(call, count, min(CALLERS, count))
    return seen


async def _cost(system: Whole, client: Any, stored: int, complaints: int) -> Result:
    log, documents = _log_bytes(system), await _document_bytes(client)
    before, started = _cpu(system), CLOCK.monotonic()
    seen = await _taken(system, complaints)
    seconds = CLOCK.monotonic() - started
    used = {name: (after - before[name]) * 1000 / complaints for name, after in _cpu(system).items()}
    delays = sorted(each.seconds_to("confirmed") for each in seen)
    return Result(
        f"growth_{stored}",
        sum(used.values()),
        "ms CPU a complaint",
        limit="an update of a ticket makes the embedded database rewrite the ticket's index entries",
        facts={
            "tickets_stored": float(stored),
            **{f"{name}_ms": value for name, value in used.items()},
            "kafka_bytes": (_log_bytes(system) - log) / complaints,
            "mongodb_bytes": (await _document_bytes(client) - documents) / complaints,
            "complaints_per_second": complaints / seconds,
            "p50_seconds": percentile(delays, 0.5),
            "p99_seconds": percentile(delays, 0.99),
        },
    )


def _cpu(system: Whole) -> dict[str, float]:
    """Seconds that each process has used of a core."""
    used = {}
    for name in SERVICES:
        pid = system.system.pids(name)
        if pid is None:
            raise RuntimeError(f"{name} isn't running")
        # After the name, which may hold anything, up to its closing parenthesis (proc(5)).
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used[name] = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return used


def _log_bytes(system: Whole) -> int:
    """What all topics hold, the broker's own too."""
    return sum(segment.stat().st_size for segment in _segments(system.system.local / "kafka" / "data"))


def _segments(folder: Path) -> Iterator[Path]:
    return folder.glob("*/*.log")


async def _document_bytes(client: Any) -> int:
    """BSON of all documents."""
    return int((await client.get_default_database().command("dbStats"))["dataSize"])
