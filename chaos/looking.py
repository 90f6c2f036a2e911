"""The end of a run: waits until the system has come to rest, then looks at topics, MongoDB, outbox and logs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import PyMongoError

from chaos import money
from chaos.clients import Told
from chaos.installation import Installation
from chaos.observation import Copy, Lag, Observation, Sent, StoredTicket
from chaos.reading import Observer, read_whole
from chaos.rebuilding import Calendars, clock_copies, ticket_copies
from chaos.records import INTERNAL, JUDGED, poisoned_of, record_of
from common.clock import Clock
from common.policyfiles import load_all
from deploy.local.settings import ROOT

CHANGELOG = "pingxi-sla-clocks-changelog"
POLICIES = load_all(ROOT / "policies")
# Whatever a policy of brand `demo` lets happen by itself after the last complaint has happened by then.
AFTER_LOAD = 30.0
QUIET = 5.0


async def lags(bootstrap: str) -> tuple[Lag, ...]:
    """How far every group is in every partition of the topics it reads. Raises KafkaError, OSError."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        groups = [name for name, _ in await admin.list_consumer_groups()]
        committed = {group: await admin.list_consumer_group_offsets(group) for group in groups}
    finally:
        await admin.close()
    reads = {(group, tp.topic) for group, offsets in committed.items() for tp in offsets}
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer:
        places = {tp for offsets in committed.values() for tp in offsets}
        counts: dict[str, int] = {}
        for tp in places:
            counts[tp.topic] = max(counts.get(tp.topic, 0), tp.partition + 1)
        everywhere = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
        ends = await consumer.end_offsets(everywhere)
    found = []
    for group, topic in sorted(reads):
        for number in range(counts[topic]):
            place = TopicPartition(topic, number)
            at = committed[group].get(place)
            found.append(Lag(group, topic, number, max(0, at.offset) if at else 0, ends[place]))
    return tuple(found)


async def at_rest(installation: Installation, observer: Observer, since: float, clock: Clock, within: float) -> str:
    """Waits until nothing moves any more: all ready, all groups at the ends, nothing new. "", or why it never did."""
    give_up = clock.monotonic() + within
    why = "not looked"
    while clock.monotonic() < give_up:
        await clock.sleep(1.0)
        now = clock.monotonic()
        if now - since < AFTER_LOAD:
            why = "promises run"
            continue
        waiting = [name for name, ready in (await installation.readiness()).items() if not ready]
        if waiting:
            why = f"not ready: {', '.join(waiting)}"
            continue
        if now - observer.last_at < QUIET:
            why = "messages still come"
            continue
        try:
            behind = [lag for lag in await lags(installation.kafka) if lag.committed < lag.end]
        except (KafkaError, OSError) as error:
            why = f"Kafka: {type(error).__name__}"
            continue
        try:
            unsettled = await _unsettled(installation.mongo)
        except PyMongoError as error:
            why = f"MongoDB: {type(error).__name__}"
            continue
        if unsettled:
            why = f"{unsettled} rows of the ledger are still to be settled or published"
            continue
        if behind:
            why = f"{behind[0].group} is behind in {behind[0].topic}/{behind[0].partition}"
            continue
        return ""
    return why


async def look(
    installation: Installation, observer: Observer, told: Told, clock: Clock, *, sealed: Sequence[str]
) -> Observation:
    """Everything there is to see. `sealed` are texts and contacts that must be nowhere in the clear."""
    while True:
        before = await _tickets(installation.mongo)
        raw = await read_whole(installation.kafka, (*JUDGED, *INTERNAL, CHANGELOG))
        behind = await lags(installation.kafka)
        # A ticket that closes by itself meanwhile would be seen half.
        if before == (tickets := await _tickets(installation.mongo)):
            break
    now = clock.now()
    ledger, budgets, clocks = await _sla(installation.mongo)
    judged = [r for r in raw if r.topic in JUDGED]
    records = [record_of(r, observer.seen_at.get((r.topic, r.partition, r.offset), now)) for r in judged]
    return Observation(
        settled_at=now,
        requests=tuple(told.requests.values()),
        commands=tuple(told.commands.values()),
        records=tuple(record for record in records if record is not None),
        poisoned=poisoned_of(raw),
        tickets=tuple(
            StoredTicket(d["_id"], d["order_id"], d["version"], tuple(row["version"] for row in d["outbox"]))
            for d in tickets
        ),
        ledger=tuple(money.ledger_row(d, POLICIES) for d in ledger),
        budgets=money.budgets(budgets, POLICIES),
        sent=tuple(
            Sent(row["idempotencyKey"], row["ticket"], row["recipient"], row["event"])
            for row in installation.backends.outbox()
        ),
        copies=tuple(_copies(raw, clocks, tickets, now)),
        lags=behind,
        leaks=tuple(_leaks(installation.logs(), raw, sealed)),
        pays=money.PAYS,
    )


async def _unsettled(uri: str) -> int:
    pending = {"$or": [{"state": {"$in": ["proposed", "reserved"]}}, {"unpublished": True}]}
    return len(await _documents(uri, lambda database: database["ledger"].find(pending, {"_id": 1})))


async def _tickets(uri: str) -> list[dict[str, Any]]:
    fields = {"order_id": 1, "version": 1, "outbox.version": 1, "status": 1, "assignee": 1, "queue": 1, "priority": 1}
    return await _documents(uri, lambda database: database["tickets"].find({}, fields).sort("_id", 1))


async def _sla(uri: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, bytes]]:
    ledger = await _documents(uri, lambda database: database["ledger"].find({}))
    budgets = await _documents(uri, lambda database: database["budgets"].find({}))
    clocks = await _documents(uri, lambda database: database["clocks"].find({}))
    return ledger, budgets, {d["_id"]: bytes(d["row"]) for d in clocks}


async def _documents(uri: str, find: Callable[[Any], Any]) -> list[dict[str, Any]]:
    client: Any = AsyncIOMotorClient(uri, serverSelectionTimeoutMS=20_000, tz_aware=True, tzinfo=UTC)
    try:
        return [document async for document in find(client.get_default_database())]
    finally:
        client.close()


def _copies(
    raw: Sequence[ConsumerRecord], clocks: Mapping[str, bytes], tickets: Sequence[Mapping[str, Any]], now: datetime
) -> Iterator[Copy]:
    table = {r.key.decode(): r.value for r in raw if r.topic == CHANGELOG and r.key and r.value}
    for ticket in table.keys() | clocks.keys():
        live, rebuilt = clocks.get(ticket, b""), table.get(ticket, b"")
        yield Copy("clocks in MongoDB, and the changelog", ticket, live.hex(), rebuilt.hex())
    yield from clock_copies(raw, table, Calendars(POLICIES), now)
    documents = {
        d["_id"]: SimpleNamespace(**{name: d[name] for name in ("version", "assignee", "queue")}) for d in tickets
    }
    yield from ticket_copies(raw, documents)


def _leaks(logs: Sequence[Path], raw: Sequence[ConsumerRecord], sealed: Sequence[str]) -> list[str]:
    """Files and topics that hold a contact or a text in the clear."""
    needles = [text.encode() for text in sealed]
    found = []
    for path in logs:
        content = path.read_bytes()
        if any(needle in content for needle in needles):
            found.append(str(path.name))
    for topic in {r.topic for r in raw}:
        content = b"\n".join(r.value or b"" for r in raw if r.topic == topic)
        if any(needle in content for needle in needles):
            found.append(topic)
    return found
