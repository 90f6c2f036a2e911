"""The Faust application of the sla service: its agents, their tables, and the timers beside them."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from faust.types import TP

from common.clock import SystemClock
from common.livepolicies import LivePolicies
from common.publisher import Publisher
from services.sla.due import DueSender
from services.sla.joining import Joining, Progress
from services.sla.keeper import Keeper
from services.sla.orders import stream as orders
from services.sla.orders.stream import ORDERS, OrderKeeper
from services.sla.policies import CalendarBook
from services.sla.risk.model import load_risk_model
from services.sla.settings import SlaSettings
from services.sla.stream import COMMANDS, COMPLAINTS, DUE, TICKETS, Watchdog, build_app
from services.sla.surge.counter import COUNTS
from services.sla.surge.stream import SurgeDetector, add_surges
from services.sla.table import rewind_after_recovery
from services.sla.timers import Timers

log = logging.getLogger(__name__)


async def partitions_of(settings: SlaSettings, topics: Sequence[str]) -> int:
    """Waits until the topics exist, and returns their common number of partitions.

    Raises ValueError where they differ: what belongs to one ticket or order would not meet in one worker.
    """
    names = [settings.topic_prefix + topic for topic in topics]
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


async def run_agents(
    settings: SlaSettings,
    calendars: CalendarBook,
    policies: LivePolicies,
    publisher: Publisher,
    clock: SystemClock,
    recovered: asyncio.Event,
) -> None:
    """The Faust application and its timers, until cancelled."""
    partitions = await partitions_of(settings, (COMPLAINTS, TICKETS, DUE, COMMANDS, COUNTS))
    order_partitions = await partitions_of(settings, (ORDERS, orders.DUE))
    await calendars.learn("")
    app, table, topics = build_app(
        app_id=settings.topic_prefix + settings.sla_group,
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

    common: dict[str, Any] = {
        "publisher": publisher,
        "clock": clock,
        "topic_prefix": settings.topic_prefix,
        "fail": fail,
    }
    watchdog = Watchdog(table=table, timers=Timers(), calendars=calendars, **common)
    app.agent(topics, name="watchdog")(watchdog.run)
    surge_table, surge_topics = add_surges(app, settings.topic_prefix, partitions)
    detector = SurgeDetector(table=surge_table, policies=policies, **common)
    app.agent(surge_topics, name="surges")(detector.run)
    order_table, order_topics = orders.add_orders(app, settings.topic_prefix, order_partitions)
    order_keeper = OrderKeeper(table=order_table, timers=Timers(), policies=policies, risk=load_risk_model(), **common)
    app.agent(order_topics, name="orders")(order_keeper.run)
    keepers: tuple[Keeper[Any, Any], ...] = (watchdog, order_keeper)
    senders = [
        DueSender(
            keeper=keeper,
            publisher=publisher,
            clock=clock,
            bootstrap=settings.kafka,
            topic_prefix=settings.topic_prefix,
        )
        for keeper in keepers
    ]
    rebuilding: set[asyncio.Task[None]] = set()
    joining = Joining(clock)

    async def rebuild(mine: Sequence[set[int]]) -> None:
        try:
            for due, partitions in zip(senders, mine, strict=True):
                await due.assigned(partitions)
            joining.ends()
            recovered.set()
        except Exception as error:  # noqa: BLE001  the process ends with it
            fail(error)

    async def revoked(_: object, gone: set[TP], **__: object) -> None:
        joining.begins()
        detector.revoked(gone)
        for keeper, due in zip(keepers, senders, strict=True):
            due.revoked({tp.partition for tp in gone if tp.topic in _inputs(keeper)})

    async def positioned(starts: Mapping[TP, int]) -> None:
        mine = []
        for keeper in keepers:
            own = {tp: offset for tp, offset in starts.items() if tp.topic in _inputs(keeper)}
            for tp, offset in own.items():
                keeper.positions[tp.topic.removeprefix(settings.topic_prefix), tp.partition] = offset
            mine.append({tp.partition for tp in own})
        task = asyncio.ensure_future(rebuild(mine))
        rebuilding.add(task)
        task.add_done_callback(rebuilding.discard)

    def _inputs(keeper: Keeper[Any, Any]) -> set[str]:
        return {settings.topic_prefix + topic for topic in keeper.inputs}

    app.on_partitions_revoked.connect(revoked)
    rewind_after_recovery(app, positioned)
    for due in senders:
        await due.start()
    try:
        await app.start()
        moving = [
            Progress(clock).watch(due.ends_of_mine, keeper.positions)
            for keeper, due in zip(keepers, senders, strict=True)
        ]
        watching = joining.watch(lambda: senders[0].end_offsets(range(partitions)))
        running = [
            asyncio.ensure_future(each)
            for each in (*(due.run() for due in senders), detector.tick(), watching, *moving)
        ]
        try:
            await asyncio.wait({failed, *running}, return_when=asyncio.FIRST_COMPLETED)
            for ended in (failed, *running):
                if ended.done():
                    ended.result()
        finally:
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)
    finally:
        try:
            await asyncio.wait_for(app.stop(), 5.0)
        except TimeoutError:
            log.warning("Faust didn't stop in time")
        for due in senders:
            await due.stop()
