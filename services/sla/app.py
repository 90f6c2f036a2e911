"""Puts the sla service together."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from faust.types import TP

from common.clock import SystemClock
from common.consumer import BatchConsumer
from common.errors import Unavailable
from common.grpc_server import GrpcServer
from common.keys import load_keys
from common.livepolicies import LivePolicies
from common.ops import OpsServer
from common.policyfiles import load_all
from common.publisher import Publisher
from common.service import first_failure
from gen.pingxi.v1.compensation_pb2 import CompensationRequested, CompensationWithdrawn
from services.sla.due import DueSender
from services.sla.joining import Joining, Progress
from services.sla.ledger import Ledger
from services.sla.policies import CalendarBook
from services.sla.projection import Projection, consumer_of
from services.sla.rehearsal_service import Rehearsals
from services.sla.server import services
from services.sla.settings import SlaSettings
from services.sla.store import ClockStore, Database, LedgerStore
from services.sla.stream import COMMANDS, COMPLAINTS, DUE, INPUTS, TICKETS, Watchdog, build_app
from services.sla.table import rewind_after_recovery
from services.sla.timers import Timers

log = logging.getLogger(__name__)


async def partitions_of_inputs(settings: SlaSettings) -> int:
    """Waits until every input topic exists, and returns their common number of partitions.

    Raises ValueError where they differ: a ticket's messages would not meet in one worker.
    """
    names = [settings.topic_prefix + t for t in (COMPLAINTS, TICKETS, DUE, COMMANDS)]
    while True:
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
        try:
            await admin.start()
            described = await admin.describe_topics(names)
            counts = {row["topic"]: len(row["partitions"]) for row in described if row["error_code"] == 0}
            if len(counts) == len(names):
                if len(set(counts.values())) != 1:
                    raise ValueError(f"topics that are joined need equal partitions: {counts}")
                return counts[names[0]]
        except (KafkaError, OSError) as error:
            log.warning("waiting for Kafka", extra={"reason": type(error).__name__})
        finally:
            await admin.close()
        await asyncio.sleep(0.3)


async def main(settings: SlaSettings, stop: asyncio.Event) -> None:
    """Runs the service until `stop`. Raises what it can't recover from."""
    keys = load_keys(settings.keys)
    policies = LivePolicies(settings.kafka, settings.topic_prefix, load_all(settings.policies))
    clock = SystemClock()
    publisher = Publisher(settings.kafka, "sla", topic_prefix=settings.topic_prefix)
    database = Database(settings.mongo)
    ledger = Ledger(LedgerStore(database), publisher, clock, policies)
    calendars = CalendarBook(settings.kafka, settings.topic_prefix, policies)
    projection = Projection(ClockStore(database), calendars)
    # Set once this worker has partitions and their tables; the changelog exists from then on.
    recovered = asyncio.Event()
    rehearsals = Rehearsals(settings.kafka, settings.topic_prefix, settings.policies, policies, clock)

    async def why_not_ready() -> str:
        if not publisher.ready:
            return "Kafka doesn't answer"
        if not recovered.is_set():
            return "the watchdog has no partitions yet"
        try:
            await database.ping()
        except Unavailable as error:
            return str(error)
        return ""

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(OpsServer(settings.sla_metrics, why_not_ready))
        await publisher.start()
        stack.push_async_callback(publisher.stop)
        stack.push_async_callback(database.close)
        await stack.enter_async_context(
            GrpcServer(
                settings.sla_grpc,
                lambda bearer: "service" if keys.is_service(bearer) else None,
                services(publisher, clock, projection, policies, rehearsals),
            )
        )
        requests = BatchConsumer(
            settings.kafka,
            service="sla",
            group=f"{settings.sla_group}-compensation",
            topics=["compensation-requests"],
            kinds=[CompensationRequested, CompensationWithdrawn],
            handle=ledger.handle,
            publisher=publisher,
            topic_prefix=settings.topic_prefix,
        )

        async def with_database() -> None:
            while True:
                try:
                    await database.prepare()
                    break
                except Unavailable as error:
                    log.warning("waiting for MongoDB", extra={"reason": str(error)})
                    await asyncio.sleep(0.5)

            async def project() -> None:
                await recovered.wait()
                await consumer_of(settings, publisher, projection).run()

            await first_failure(asyncio.Event(), requests.run(), ledger.run(), project())

        watching = run_watchdog(settings, calendars, publisher, clock, recovered)
        await first_failure(stop, watching, with_database(), policies.run())


async def run_watchdog(
    settings: SlaSettings,
    calendars: CalendarBook,
    publisher: Publisher,
    clock: SystemClock,
    recovered: asyncio.Event,
) -> None:
    """The Faust application and its timer, until cancelled."""
    partitions = await partitions_of_inputs(settings)
    await calendars.learn("")
    app_id = settings.topic_prefix + settings.sla_group
    app, table, topics = build_app(
        app_id=app_id,
        broker=settings.kafka,
        partitions=partitions,
        data=str((settings.local / "sla" / settings.sla_instance).absolute()),
        topic_prefix=settings.topic_prefix,
        standby=settings.sla_standby,
    )
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(error: BaseException) -> None:
        if not failed.done():
            failed.set_exception(error)

    watchdog = Watchdog(
        table=table,
        timers=Timers(),
        publisher=publisher,
        calendars=calendars,
        clock=clock,
        topic_prefix=settings.topic_prefix,
        fail=fail,
    )
    due = DueSender(
        watchdog=watchdog,
        publisher=publisher,
        clock=clock,
        bootstrap=settings.kafka,
        topic_prefix=settings.topic_prefix,
    )
    app.agent(topics, name="watchdog")(watchdog.run)

    joining = Joining(clock)
    inputs = {settings.topic_prefix + topic for topic in INPUTS}
    rebuilding: set[asyncio.Task[None]] = set()

    async def rebuild(partitions: set[int]) -> None:
        try:
            await due.assigned(partitions)
            joining.ends()
            recovered.set()
        except Exception as error:  # noqa: BLE001  the process ends with it
            fail(error)

    async def revoked(_: object, partitions: set[TP], **__: object) -> None:
        joining.begins()
        due.revoked({tp.partition for tp in partitions if tp.topic in inputs})

    async def positioned(starts: Mapping[TP, int]) -> None:
        mine = {tp: offset for tp, offset in starts.items() if tp.topic in inputs}
        for tp, offset in mine.items():
            watchdog.positions[tp.topic.removeprefix(settings.topic_prefix), tp.partition] = offset
        task = asyncio.ensure_future(rebuild({tp.partition for tp in mine}))
        rebuilding.add(task)
        task.add_done_callback(rebuilding.discard)

    app.on_partitions_revoked.connect(revoked)
    rewind_after_recovery(app, positioned)
    await due.start()
    try:
        await app.start()
        ticking = asyncio.ensure_future(due.run())
        watching = asyncio.ensure_future(joining.watch(lambda: due.end_offsets(range(partitions))))
        moving = asyncio.ensure_future(Progress(clock).watch(due.ends_of_mine, watchdog.positions))
        try:
            await asyncio.wait({failed, ticking, watching, moving}, return_when=asyncio.FIRST_COMPLETED)
            for ended in (failed, ticking, watching, moving):
                if ended.done():
                    ended.result()
        finally:
            for task in (ticking, watching, moving):
                task.cancel()
            await asyncio.gather(ticking, watching, moving, return_exceptions=True)
    finally:
        try:
            await asyncio.wait_for(app.stop(), 5.0)
        except TimeoutError:
            log.warning("Faust didn't stop in time")
        await due.stop()
