"""The ledger read back from the topics, after MongoDB was lost.

    python -m services.sla rebuild-ledger

reads `ledger.v1` (every row's newest version) and `vouchers.v1` (promises whose row got lost), and writes rows,
budgets, caps and what orders were paid into the database of PINGXI_MONGO, which then counts as the ledger's. Until that
is done a service that finds an empty database beside topics with history pays nothing: an empty ledger would pay twice.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from common.clock import SystemClock
from common.errors import Poison, Unavailable
from common.livepolicies import LivePolicies
from common.policyfiles import load_all
from common.settings import load_settings
from gen.pingxi.v1.compensation_pb2 import LedgerRow as LedgerRowProto
from gen.pingxi.v1.voucher_pb2 import PointsGranted, VoucherIssued
from services.sla.compensation.accounts import books_of, local_day
from services.sla.compensation.ledger_rows import row_from_proto, row_of_voucher
from services.sla.compensation.model import LedgerRow
from services.sla.compensation.store import LedgerStore
from services.sla.history import read_history
from services.sla.settings import SlaSettings
from services.sla.store import Database

LEDGER = "ledger.v1"
VOUCHERS = "vouchers.v1"


async def has_history(bootstrap: str, topic_prefix: str) -> bool:
    """Whether anything was ever written to the ledger's topics. Raises Unavailable."""
    for topic in (LEDGER, VOUCHERS):
        if await _written(bootstrap, topic_prefix + topic):
            return True
    return False


async def _written(bootstrap: str, topic: str) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        await admin.start()
        [described] = await admin.describe_topics([topic])
        if described["error_code"] != 0:
            raise Unavailable(f"{topic} isn't there")
        await consumer.start()
        places = [TopicPartition(topic, p["partition"]) for p in described["partitions"]]
        consumer.assign(places)
        return any((await consumer.end_offsets(places)).values())
    except (KafkaError, OSError) as error:
        raise Unavailable(f"Kafka at {bootstrap} doesn't answer: {type(error).__name__}") from error
    finally:
        await consumer.stop()
        await admin.close()


async def establish(store: LedgerStore, bootstrap: str, topic_prefix: str, now: datetime) -> bool:
    """Whether the database is the ledger's; a new installation's becomes it. Raises Unavailable."""
    if await store.has_epoch():
        return True
    if await has_history(bootstrap, topic_prefix):
        return False
    await store.begin("new", now)
    return True


async def rows_in(bootstrap: str, topic_prefix: str, policies: LivePolicies) -> tuple[dict[str, LedgerRow], int]:
    """Every row the topics tell of, by id, and how many messages couldn't be read. Raises Unavailable."""
    rows: dict[str, LedgerRow] = {}
    unreadable = 0
    async for batch in read_history(bootstrap, topic_prefix + LEDGER, [LedgerRowProto]):
        for message in batch.messages:
            assert isinstance(message.body, LedgerRowProto)
            try:
                row = row_from_proto(message.body)
            except (Poison, ValueError):
                unreadable += 1
                continue
            # Not the last one: two workers' messages about a row may have overtaken each other.
            if row.id not in rows or rows[row.id].version < row.version:
                rows[row.id] = row

    def day_of(brand: str, at: datetime) -> str:
        return local_day(policies[brand], at) if brand in policies else at.date().isoformat()

    async for batch in read_history(bootstrap, topic_prefix + VOUCHERS, [VoucherIssued, PointsGranted]):
        for message in batch.messages:
            assert isinstance(message.body, VoucherIssued | PointsGranted)
            try:
                row = row_of_voucher(message.body, day_of)
            except (Poison, ValueError):
                unreadable += 1
                continue
            rows.setdefault(row.id, row)
    return rows, unreadable


async def rebuild(settings: SlaSettings, now: datetime) -> tuple[int, int]:
    """(rows written, messages that couldn't be read). Raises Unavailable, ValueError where there is a ledger."""
    database = Database(settings.mongo)
    try:
        await database.prepare()
        store = LedgerStore(database)
        if await store.has_epoch():
            raise ValueError("this database has a ledger: nothing was changed")
        policies = LivePolicies(settings.kafka, settings.topic_prefix, load_all(settings.policies))
        rows, unreadable = await rows_in(settings.kafka, settings.topic_prefix, policies)
        books, paid = books_of(rows.values())
        await store.rebuild(list(rows.values()), books, paid)
        await store.begin("rebuilt", now)
        return len(rows), unreadable
    finally:
        await database.close()


def main(arguments: Sequence[str]) -> int:
    """The command: 0 once the ledger is there, 1 with a sentence on standard error."""
    argparse.ArgumentParser(
        prog="python -m services.sla rebuild-ledger", description=(__doc__ or "").split("\n")[0]
    ).parse_args(arguments)
    settings = load_settings(SlaSettings)
    try:
        rows, unreadable = asyncio.run(rebuild(settings, SystemClock().now()))
    except (Unavailable, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{rows:,} rows rebuilt from {LEDGER} and {VOUCHERS}\n")
    if unreadable:
        sys.stderr.write(f"{unreadable:,} messages could not be read\n")
    return 0
