"""Where the notifier is put together."""

import asyncio
import random
import sys
from collections.abc import Mapping, Sequence
from functools import partial

from common.clock import SystemClock
from common.consumer import BatchConsumer
from common.errors import Unavailable
from common.events import Incoming
from common.grpc_server import GrpcServer
from common.keys import Keys, load_keys
from common.livepolicies import LivePolicies
from common.ops import OpsServer
from common.policyfiles import PolicyError, load_all
from common.publisher import Publisher
from common.service import first_failure, run_service
from common.settings import load_settings
from gen.pingxi.v1.escalation_pb2 import TicketEscalated
from gen.pingxi.v1.notification_pb2 import NotificationDelivered, NotificationFailed
from gen.pingxi.v1.notification_pb2_grpc import add_NotificationServiceServicer_to_server
from gen.pingxi.v1.order_event_pb2 import DelayExpected, EtaTold
from gen.pingxi.v1.surge_pb2 import SurgeOpened
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from gen.pingxi.v1.voucher_pb2 import PointsGranted, VoucherIssued
from rules.model import PolicySet
from rules.staff import calendars_of
from services.notifier.handlers import Notifier, Patience, keep_records
from services.notifier.live import LiveWriter
from services.notifier.outbox import OutboxProvider
from services.notifier.outcomes import KafkaOutcomes
from services.notifier.policy import plan
from services.notifier.server import NotificationServer
from services.notifier.settings import NotifierSettings
from services.notifier.staff import StaffDirectory
from services.notifier.store import MongoClaims
from services.notifier.templates import Templates, TemplatesError, load_templates
from services.notifier.tickets import RouterTickets
from services.notifier.wire import TOPIC, delivery_of, happening_of

SERVICE = "notifier"
_BATCH = 200


async def main(
    settings: NotifierSettings,
    keys: Keys,
    templates: Templates,
    policies: Mapping[str, PolicySet],
    stop: asyncio.Event,
) -> None:
    """Runs the notifier until `stop`."""
    clock = SystemClock()
    publisher = Publisher(settings.kafka, SERVICE, topic_prefix=settings.topic_prefix)
    claims = MongoClaims(settings.mongo, clock)
    tickets = RouterTickets(settings.router_grpc, keys.service)
    staff = StaffDirectory(settings.kafka, SERVICE, settings.topic_prefix)
    live = LivePolicies(settings.kafka, settings.topic_prefix, policies)
    writer = LiveWriter(settings.policies, live, templates)
    calendars = calendars_of(live.get)
    patience = Patience(settings.notifier_give_up_seconds, settings.notifier_unknown_ticket_seconds)
    consumer = partial(
        BatchConsumer,
        settings.kafka,
        service=SERVICE,
        publisher=publisher,
        topic_prefix=settings.topic_prefix,
        max_batch=_BATCH,
    )
    async with OutboxProvider(settings.outbox) as provider:
        outcomes = KafkaOutcomes(publisher)
        notifier = Notifier(claims, tickets, provider, outcomes, writer, clock, random.random, patience)

        async def deliver(messages: Sequence[Incoming]) -> None:
            happenings = [happening_of(message.body) for message in messages]
            present = await staff.present()
            await notifier.deliver_all(
                [owed for found in happenings if found for owed in plan(found, present, calendars)]
            )

        async def keep(messages: Sequence[Incoming]) -> None:
            await keep_records(claims, [delivery_of(message.body) for message in messages])

        # Groups of their own: what a customer's message waits for (router, database) must not hold up an escalation.
        consumers = [
            consumer(
                group=SERVICE,
                topics=["tickets.v1", "vouchers.v1"],
                kinds=[TicketEvent, VoucherIssued, PointsGranted],
                handle=deliver,
            ),
            consumer(
                group="notifier-escalations",
                topics=["escalations.v1", "surges.v1"],
                kinds=[TicketEscalated, SurgeOpened],
                handle=deliver,
            ),
            consumer(
                group="notifier-orders", topics=["order-events.v1"], kinds=[DelayExpected, EtaTold], handle=deliver
            ),
            consumer(
                group="notifier-records",
                topics=[TOPIC],
                kinds=[NotificationDelivered, NotificationFailed],
                handle=keep,
            ),
        ]

        async def readiness() -> str:
            if not publisher.ready:
                return "Kafka doesn't answer"
            if not all(each.assigned for each in consumers):
                return "no partitions assigned yet"
            if not staff.loaded:
                return "staff.v1 isn't read yet"
            try:
                await claims.ping()
            except Unavailable as error:
                return str(error)
            return ""

        servicer = NotificationServer(claims, writer)
        services = [(add_NotificationServiceServicer_to_server, servicer, "pingxi.v1.NotificationService")]
        await publisher.start()
        try:
            async with (
                OpsServer(settings.notifier_metrics, readiness),
                GrpcServer(settings.notifier_grpc, lambda t: "service" if keys.is_service(t) else None, services),
            ):
                await first_failure(stop, staff.run(), live.run(), writer.run(), *(each.run() for each in consumers))
        finally:
            await publisher.stop()
            await tickets.close()
            claims.close()


def start() -> None:
    """Reads settings, keys, policies and templates, then runs; a wrong one is told in sentences, exit 2."""
    settings = load_settings(NotifierSettings)
    try:
        keys = load_keys(settings.keys)
        policies = load_all(settings.policies)
        templates = load_templates(settings.policies, policies)
    except (ValueError, PolicyError, TemplatesError) as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    run_service(SERVICE, settings.log_level, lambda stop: main(settings, keys, templates, policies, stop))
