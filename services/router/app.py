"""Where the router is put together."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from common import metrics
from common.clock import Clock, SystemClock
from common.consumer import BatchConsumer
from common.errors import Unavailable
from common.keys import load_keys
from common.ops import OpsServer
from common.policyfolder import PolicyFolder
from common.publisher import Publisher
from common.service import first_failure, run_service
from common.settings import load_settings
from rules.staff import Record, calendars_of
from services.router import consumer
from services.router.assembling import Assembling
from services.router.assigner import AutoAssignment, StaffAssigner
from services.router.book import PolicyBook
from services.router.corrections import Corrections
from services.router.database import connect, disconnect
from services.router.desk import Desk
from services.router.erasure import Erasure
from services.router.handlers import ComplaintHandler, HistoryHandler
from services.router.keeping import Keeping
from services.router.merging import Merging
from services.router.order_client import SlaOrders
from services.router.policy_life import PolicyLife
from services.router.reading import Reader
from services.router.relay import Relay
from services.router.search import SearchIndex
from services.router.server import make_server
from services.router.settings import RouterSettings
from services.router.staff_desk import StaffDesk
from services.router.staff_relay import StaffRelay
from services.router.staff_seed import load_seed
from services.router.store import MongoTickets
from services.router.store_parts import MongoParts
from services.router.store_policies import MongoVersions
from services.router.store_staff import MongoStaff
from services.router.store_uploads import MongoPictures
from services.router.ticket_service import TicketCalls
from services.router.timers import Timers
from services.router.watch import Watch
from services.router.wire import SealedVault

log = logging.getLogger(__name__)
_COUNT_EVERY_SECONDS = 30.0
# Counting reads every open ticket: it takes at most this share of a database's time, however many there are.
_COUNT_SHARE = 0.02


async def main(settings: RouterSettings, stop: asyncio.Event) -> None:
    """Serves until `stop`. Starts in any order with its broker and database, and waits for them."""
    keys = load_keys(settings.keys)
    folder = PolicyFolder(settings.policies)
    clock = SystemClock()
    client = connect(settings.mongo)
    tickets = MongoTickets(client, clock, timedelta(seconds=settings.router_listen_seconds))
    publisher = Publisher(settings.kafka, "router", topic_prefix=settings.topic_prefix)
    relay = Relay(tickets, publisher, clock)
    book = PolicyBook(folder.policies, publisher, clock)
    life = PolicyLife(book, MongoVersions(client), folder, tickets, relay, clock)
    vault = SealedVault(keys.sealer())
    seed = load_seed(settings.router_staff)
    people = MongoStaff(client, clock)
    staff_relay = StaffRelay(people, publisher, clock)
    calendars = calendars_of(book.of)
    staff = StaffDesk(people, lambda: book.brands, calendars, staff_relay.wake, clock)
    assigner = StaffAssigner(people, calendars, clock)
    automatic = AutoAssignment(people, assigner, tickets, relay.wake, clock)
    index = SearchIndex(keys.secrets["customer_ref"])
    pictures = MongoPictures(client)
    desk = Desk(tickets, relay, vault, clock, index, assigner, pictures)
    merging = Merging(desk.executor, book, vault, clock)
    orders = SlaOrders(settings.sla_grpc, keys.service, clock)
    taking = ComplaintHandler(tickets, relay, book, vault, clock, index, Reader(), pictures, orders)
    parts = MongoParts(client, clock)
    patience = timedelta(seconds=settings.router_parts_seconds)
    assembling = Assembling(parts, taking.handle, book, vault, clock, patience)
    watch = Watch(settings.kafka, settings.topic_prefix)
    calls = TicketCalls(
        desk,
        Corrections(desk.executor, book, vault),
        merging,
        Erasure(desk.executor, tickets, index, pictures, assembling),
        watch,
    )
    timers = Timers(tickets, relay, book, vault, merging, clock, pictures)
    complaints = consumer.complaints(settings, publisher, assembling.handle)
    unused_for = timedelta(hours=settings.router_unused_hours)
    keeping = Keeping(pictures, clock, unused_for, lambda: complaints.caught_up)
    armed = consumer.armed_clocks(settings, publisher, tickets)
    history = consumer.history(settings, publisher, HistoryHandler(tickets, relay, clock).handle)

    async def ready() -> str:
        if not publisher.ready:
            return "waiting for Kafka"
        if not book.announced:
            return "announcing policies"
        if not (complaints.assigned and history.assigned):
            return "waiting for the consumer groups"
        try:
            await tickets.ping()
        except Unavailable as error:
            return str(error)
        return ""

    await publisher.start()
    try:
        async with (
            OpsServer(settings.router_metrics, ready),
            make_server(settings.router_grpc, keys, calls, staff, life),
        ):
            await first_failure(
                stop,
                _work(tickets, parts, book, life, relay, complaints, history),
                _staff(people, staff, seed, staff_relay, automatic),
                _alone(tickets, timers, armed, assembling),
                _kept(pictures, keeping),
                watch.run(),
            )
    finally:
        await publisher.stop()
        await orders.close()
        await disconnect(client)


async def _work(
    tickets: MongoTickets,
    parts: MongoParts,
    book: PolicyBook,
    life: PolicyLife,
    relay: Relay,
    complaints: BatchConsumer,
    history: BatchConsumer,
) -> None:
    """Prepares the database before the first write (the embedded one locks up otherwise), then does everything."""
    await _until_done(tickets.prepare)
    await _until_done(parts.prepare)
    await _until_done(life.load)
    await first_failure(
        asyncio.Event(), relay.run(), complaints.run(), history.run(), _upkeep(tickets, book), _policies(book, life)
    )


async def _alone(tickets: MongoTickets, timers: Timers, armed: BatchConsumer, assembling: Assembling) -> None:
    """What the router does by itself, once the database is there."""
    await _until_done(tickets.ping)
    await first_failure(asyncio.Event(), timers.run(), armed.run(), assembling.run())


async def _kept(pictures: MongoPictures, keeping: Keeping) -> None:
    """Makes the pictures' indexes, then lets unused ones go."""
    await _until_done(pictures.prepare)
    await keeping.run()


async def _staff(
    people: MongoStaff, desk: StaffDesk, seed: Sequence[Record], relay: StaffRelay, automatic: AutoAssignment
) -> None:
    """Prepares the staff's collection, loads the seed, then publishes staff and gives tickets to people."""
    await _until_done(people.prepare)
    await _until_done(lambda: desk.seed(seed))
    await first_failure(asyncio.Event(), relay.run(), automatic.run())


async def _upkeep(tickets: MongoTickets, book: PolicyBook) -> None:
    """Announces policies as soon as there is somebody to tell, then counts open tickets."""
    await _until_done(book.announce_all)
    await count_open(tickets, SystemClock())


class Countable(Protocol):
    """What is counted; see `MongoTickets`."""

    async def open_by_queue(self) -> Mapping[tuple[str, str], int]: ...


async def count_open(tickets: Countable, clock: Clock) -> None:
    """Measures open tickets by queue and priority until cancelled: every 30 s, or fifty times as seldom as counting
    takes."""
    while True:
        started = clock.monotonic()
        try:
            counts = await tickets.open_by_queue()
        except Unavailable:
            log.warning("open tickets not counted")
        else:
            metrics.tickets_open.clear()
            for (queue, priority), count in counts.items():
                metrics.tickets_open.labels(queue, priority).set(count)
        taken = clock.monotonic() - started
        await clock.sleep(max(_COUNT_EVERY_SECONDS, taken / _COUNT_SHARE))


async def _policies(book: PolicyBook, life: PolicyLife) -> None:
    """Follows the policies once those in force have been announced."""
    await _until_done(book.announce_all)
    await life.run()


async def _until_done(step: Callable[[], Awaitable[None]]) -> None:
    delay = 0.1
    while True:
        try:
            return await step()
        except Unavailable as error:
            log.warning("waiting", extra={"reason": str(error)})
            await asyncio.sleep(delay)
            delay = min(delay * 2, 2.0)


def run() -> None:
    """The process: settings from the environment, signals, an orderly stop."""
    settings = load_settings(RouterSettings)
    run_service("router", settings.log_level, lambda stop: main(settings, stop))
