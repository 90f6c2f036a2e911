"""Puts the sla service together."""

import asyncio
import logging
from contextlib import AsyncExitStack

from common.clock import SystemClock
from common.errors import Unavailable
from common.grpc_server import GrpcServer
from common.keys import load_keys
from common.livepolicies import LivePolicies
from common.ops import OpsServer
from common.policyfiles import load_all
from common.publisher import Publisher
from common.service import first_failure
from services.sla.agents import run_agents
from services.sla.compensation.audit import Audit
from services.sla.compensation.consumers import consumers
from services.sla.compensation.ledger import Ledger
from services.sla.compensation.rebuild import establish
from services.sla.compensation.receipts import Receipts
from services.sla.compensation.service import CompensationServicer
from services.sla.compensation.store import LedgerStore
from services.sla.orders.opener import TicketOpener, opener_consumer
from services.sla.orders_projection import OrdersProjection, orders_consumer
from services.sla.policies import CalendarBook
from services.sla.projection import Projection, consumer_of
from services.sla.rehearsal_service import Rehearsals
from services.sla.server import services
from services.sla.settings import SlaSettings
from services.sla.store import ClockStore, Database
from services.sla.store_orders import OrderStore
from services.sla.surge.counter import Counter
from services.sla.surge.counter import consumer_of as counter_consumer
from services.sla.surge.projection import Incidents
from services.sla.surge.projection import consumer_of as incidents_consumer
from services.sla.surge.store import IncidentStore, OrderPlaces

log = logging.getLogger(__name__)


async def main(settings: SlaSettings, stop: asyncio.Event) -> None:
    """Runs the service until `stop`. Raises what it can't recover from."""
    keys = load_keys(settings.keys)
    policies = LivePolicies(settings.kafka, settings.topic_prefix, load_all(settings.policies))
    clock = SystemClock()
    publisher = Publisher(settings.kafka, "sla", topic_prefix=settings.topic_prefix)
    database = Database(settings.mongo)
    book, orders = LedgerStore(database), OrderStore(database, policies)
    ledger = Ledger(book, orders, publisher, clock, policies)
    audit = Audit(settings.kafka, settings.topic_prefix, book, clock, policies)
    calendars = CalendarBook(settings.kafka, settings.topic_prefix, policies)
    projection = Projection(ClockStore(database), calendars)
    incident_store = IncidentStore(database)
    incidents = Incidents(incident_store, publisher, clock)
    opener = TicketOpener(settings.intake_grpc, keys.service, policies)
    counter = Counter(publisher, OrderPlaces(database), clock)
    # Set once this worker has partitions and their tables; the changelog exists from then on.
    recovered = asyncio.Event()
    rehearsals = Rehearsals(settings.kafka, settings.topic_prefix, settings.policies, policies, clock)

    async def why_not_ready() -> str:
        if not publisher.ready:
            return "Kafka doesn't answer"
        if not recovered.is_set():
            return "the watchdog has no partitions yet"
        try:
            if not await book.has_epoch():
                return "MongoDB has no ledger: see rebuild-ledger in docs/operations.md"
        except Unavailable as error:
            return str(error)
        return ""

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(OpsServer(settings.sla_metrics, why_not_ready))
        await publisher.start()
        stack.push_async_callback(publisher.stop)
        stack.push_async_callback(database.close)
        stack.push_async_callback(opener.close)
        await stack.enter_async_context(
            GrpcServer(
                settings.sla_grpc,
                lambda bearer: "service" if keys.is_service(bearer) else None,
                services(
                    publisher,
                    clock,
                    projection,
                    policies,
                    rehearsals,
                    CompensationServicer(ledger, book, audit),
                    incidents,
                    orders,
                ),
            )
        )

        counting = counter_consumer(settings, publisher, counter)
        showing = incidents_consumer(settings, publisher, incidents)
        opening = opener_consumer(settings, publisher, opener)

        async def with_database() -> None:
            while True:
                try:
                    await database.prepare()
                    await incident_store.prepare()
                    break
                except Unavailable as error:
                    log.warning("waiting for MongoDB", extra={"reason": str(error)})
                    await asyncio.sleep(0.5)

            async def project() -> None:
                await recovered.wait()
                await consumer_of(settings, publisher, projection).run()

            async def compensate() -> None:
                await _established(book, settings, clock)
                reading = [c.run() for c in consumers(settings, publisher, ledger, Receipts(ledger, book, publisher))]
                await first_failure(asyncio.Event(), *reading, ledger.run(), audit.run())

            kept = OrdersProjection(orders, ledger.learnt)
            keeping = orders_consumer(settings, publisher, kept).run()
            await first_failure(asyncio.Event(), compensate(), keeping, project(), showing.run())

        watching = run_agents(settings, calendars, policies, publisher, clock, recovered)
        await first_failure(stop, watching, with_database(), policies.run(), counting.run(), opening.run())


async def _established(book: LedgerStore, settings: SlaSettings, clock: SystemClock) -> None:
    """Returns once compensation may start: never on an empty database beside topics that tell of payments."""
    while True:
        try:
            if await establish(book, settings.kafka, settings.topic_prefix, clock.now()):
                return
            log.error("MongoDB has no ledger, but the topics do: compensation waits for rebuild-ledger")
        except Unavailable as error:
            log.warning("compensation waits", extra={"reason": str(error)})
        await clock.sleep(1.0)
