"""How fast the router turns complaints in the log into stored, published tickets.

The reference does with the bytes of the same run what can't be left out: write the documents, produce the events. Two
facts beside it say what the database alone allows: the same documents into a collection with the router's indexes, and
one small change of each of them, as taking a published event out of its ticket is.
"""

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from aiokafka import AIOKafkaProducer
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import UpdateOne

from bench.figures import Result, beside
from bench.progress import Progress
from bench.stage import CLOCK, Reading, Stage, backends
from bench.texts import complaint
from common.keys import load_keys
from common.policyfiles import load_all
from common.publisher import Publisher
from deploy.local.settings import ROOT
from rules import number
from services.intake.app import secrets_of
from services.intake.form import Desk, check_http
from services.intake.handlers import Intake
from services.intake.kafka_log import KafkaLog
from services.intake.router_client import RouterTickets

COMPLAINTS = 3000
RUNS = 5
AT_ONCE = 500


async def throughput(short: bool, progress: Progress) -> Sequence[Result]:
    """`router`: from a full log, complaints a second between the first and the last event on tickets.v1."""
    count, runs = (COMPLAINTS // 5, 2) if short else (COMPLAINTS, RUNS)
    pairs: list[tuple[float, float]] = []
    indexed: list[tuple[float, float]] = []
    async with backends() as there:
        for _ in range(runs):
            async with there.stage() as stage:
                await fill_log(stage, count, progress)
                router = await stage.start("services.router")
                reading = await stage.read("tickets.v1", b"pingxi.v1.TicketEvent", count, progress)
                await router.stop()
                pairs.append((reading.rate, await _bare(stage, reading)))
                indexed.append(await _indexed(stage))
    return [
        beside(
            "router",
            pairs,
            "complaints/s",
            "the same documents by bulk_write, then the same events by a bare producer",
            "the database: one insert into twelve indexes and one change of each ticket",
            complaints=float(count),
            indexed_inserts_per_second=median(insert for insert, _ in indexed),
            indexed_changes_per_second=median(change for _, change in indexed),
        )
    ]


async def fill_log(stage: Stage, count: int, progress: Progress) -> None:
    """`count` complaints in complaints.v1, as intake writes them."""
    policies = load_all(ROOT / "policies")
    keys = load_keys(Path(stage.env["PINGXI_KEYS"]))
    clock = CLOCK
    publisher = Publisher(stage.kafka, "intake", topic_prefix=stage.prefix, timeout=30.0)
    await publisher.start()
    router = RouterTickets(stage.env["PINGXI_ROUTER_GRPC"], keys.service)
    log = KafkaLog(publisher, keys.sealer())
    intake = Intake(policies, log, router, clock, secrets_of(keys), lambda: secrets.randbits(number.BITS))
    desk = Desk(policies, "default", "app")
    try:
        for start in range(0, count, AT_ONCE):
            forms = [check_http(complaint(index), desk) for index in range(start, min(count, start + AT_ONCE))]
            await asyncio.gather(*(intake.submit(form, "app", None) for form in forms))
            progress.step("complaints in the log", min(count, start + AT_ONCE), count)
    finally:
        await router.close()
        await publisher.stop()


async def _bare(stage: Stage, reading: Reading) -> float:
    """Documents and events a second, one after the other, nothing decided."""
    client: Any = AsyncIOMotorClient(stage.env["PINGXI_MONGO"])
    database = client.get_default_database()
    documents = [document async for document in database["tickets"].find({})]
    producer = AIOKafkaProducer(
        bootstrap_servers=stage.kafka, acks="all", enable_idempotence=True, linger_ms=2, max_batch_size=256 * 1024
    )
    await producer.start()
    records = list(reading.records)
    started = CLOCK.monotonic()
    for start in range(0, len(records), AT_ONCE):
        part = documents[start : start + AT_ONCE]
        if part:
            await database["bare"].insert_many(part, ordered=False)
        sent = [
            await producer.send(
                stage.prefix + "dead-letters.v1", record.value, record.key, headers=list(record.headers)
            )
            for record in records[start : start + AT_ONCE]
        ]
        await asyncio.gather(*sent)
    seconds = CLOCK.monotonic() - started
    await producer.stop()
    client.close()
    return len(records) / seconds


async def _indexed(stage: Stage) -> tuple[float, float]:
    """(inserts, changes) a second of as many of the same documents as one write takes, with the router's indexes."""
    client: Any = AsyncIOMotorClient(stage.env["PINGXI_MONGO"])
    try:
        database = client.get_default_database()
        documents = [each async for each in database["tickets"].find({}).limit(AT_ONCE)]
        for name, index in (await database["tickets"].index_information()).items():
            if name != "_id_":
                known = ("unique", "sparse", "partialFilterExpression")
                options = {key: index[key] for key in known if key in index}
                await database["indexed"].create_index(list(index["key"]), name=name, **options)
        started = CLOCK.monotonic()
        await database["indexed"].insert_many(documents, ordered=False)
        inserted = CLOCK.monotonic()
        changes = [UpdateOne({"_id": each["_id"]}, {"$set": {"waiting": 0}}) for each in documents]
        await database["indexed"].bulk_write(changes, ordered=False)
        changed = CLOCK.monotonic()
    finally:
        client.close()
    return len(documents) / (inserted - started), len(documents) / (changed - inserted)
