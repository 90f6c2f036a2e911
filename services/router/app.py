"""Where the router is put together."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from common import metrics
from common.clock import SystemClock
from common.consumer import BatchConsumer
from common.errors import Unavailable
from common.keys import load_keys
from common.ops import OpsServer
from common.policyfiles import load_all
from common.publisher import Publisher
from common.service import first_failure, run_service
from common.settings import load_settings
from services.router import consumer
from services.router.book import PolicyBook
from services.router.desk import Desk
from services.router.handlers import ComplaintHandler, HistoryHandler
from services.router.relay import Relay
from services.router.server import make_server
from services.router.settings import RouterSettings
from services.router.store import MongoTickets, connect, disconnect
from services.router.wire import SealedVault

log = logging.getLogger(__name__)
_COUNT_EVERY_SECONDS = 30.0


async def main(settings: RouterSettings, stop: asyncio.Event) -> None:
    """Serves until `stop`. Starts in any order with its broker and database, and waits for them."""
    keys = load_keys(settings.keys)
    policies = load_all(settings.policies)
    clock = SystemClock()
    client = connect(settings.mongo)
    tickets = MongoTickets(client, clock)
    publisher = Publisher(settings.kafka, "router", topic_prefix=settings.topic_prefix)
    relay = Relay(tickets, publisher, clock)
    book = PolicyBook(policies, publisher, clock)
    vault = SealedVault(keys.sealer())
    complaints = consumer.complaints(settings, publisher, ComplaintHandler(tickets, relay, book, vault, clock).handle)
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
            make_server(settings.router_grpc, keys, Desk(tickets, relay, vault, clock)),
        ):
            await first_failure(stop, _work(tickets, book, relay, complaints, history))
    finally:
        await publisher.stop()
        await disconnect(client)


async def _work(
    tickets: MongoTickets, book: PolicyBook, relay: Relay, complaints: BatchConsumer, history: BatchConsumer
) -> None:
    """Prepares the database before the first write (the embedded one locks up otherwise), then does everything."""
    await _until_done(tickets.prepare)
    await first_failure(asyncio.Event(), relay.run(), complaints.run(), history.run(), _upkeep(tickets, book))


async def _upkeep(tickets: MongoTickets, book: PolicyBook) -> None:
    """Announces policies as soon as there is somebody to tell, then counts open tickets."""
    await _until_done(book.announce_all)
    while True:
        try:
            counts = await tickets.open_by_queue()
        except Unavailable:
            log.warning("open tickets not counted")
        else:
            metrics.tickets_open.clear()
            for (queue, priority), count in counts.items():
                metrics.tickets_open.labels(queue, priority).set(count)
        await asyncio.sleep(_COUNT_EVERY_SECONDS)


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
