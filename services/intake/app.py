"""Puts intake together."""

import asyncio
import secrets

from common.clock import SystemClock
from common.grpc_server import GrpcServer
from common.keys import Keys, load_keys
from common.livepolicies import LivePolicies
from common.ops import OpsServer
from common.policyfiles import load_all
from common.publisher import Publisher
from common.service import first_failure
from gen.pingxi.v1.intake_pb2_grpc import add_IntakeServiceServicer_to_server
from rules import number
from services.intake.conversations import Conversations
from services.intake.endpoints import Authenticate
from services.intake.followups import FollowUps
from services.intake.form import Desk
from services.intake.handlers import Intake, Secrets
from services.intake.http_server import HttpServer
from services.intake.kafka_log import KafkaLog
from services.intake.limiting import RateLimits
from services.intake.mail.setup import mail_desk, smtp_server
from services.intake.policy import SYSTEM
from services.intake.router_client import RouterTickets
from services.intake.server import NAME, OPEN_METHODS, IntakeServer
from services.intake.settings import IntakeSettings
from services.intake.store import MongoUploads, connect, disconnect
from services.intake.streams import Streams
from services.intake.uploads import Uploads
from services.intake.web import web_app
from services.intake.web_hotline import hotline_routes
from services.intake.web_sms import sms_routes
from services.intake.web_wechat import wechat_routes
from services.intake.wechat import account_of


def authenticator(keys: Keys) -> Authenticate:
    """Channel keys speak for their channel, the service token for the channel "system"."""

    def authenticate(bearer: str) -> str | None:
        if not bearer:
            return None
        return SYSTEM if keys.is_service(bearer) else keys.channel_of(bearer)

    return authenticate


def secrets_of(keys: Keys) -> Secrets:
    """Raises ValueError naming the secret that is missing."""
    try:
        return Secrets(
            ticket_id=keys.secrets["ticket_id"],
            token=keys.secrets["token"],
            customer_ref=keys.secrets["customer_ref"],
        )
    except KeyError as error:
        raise ValueError(f"PINGXI_KEYS: the file has no secret {error}") from None


def _random_bits() -> int:
    return secrets.randbits(number.BITS)


async def main(settings: IntakeSettings, stop: asyncio.Event) -> None:
    """Runs intake until `stop`. Raises ValueError or PolicyError where keys or policies can't be used."""
    clock = SystemClock()
    keys = load_keys(settings.keys)
    policies = LivePolicies(settings.kafka, settings.topic_prefix, load_all(settings.policies))
    if settings.default_brand not in policies:
        raise ValueError(f"PINGXI_DEFAULT_BRAND: no brand {settings.default_brand!r} in {settings.policies}")
    authenticate = authenticator(keys)
    account = account_of(keys.wechat, policies)
    publisher = Publisher(
        settings.kafka, "intake", topic_prefix=settings.topic_prefix, timeout=settings.intake_publish_seconds
    )
    tickets = RouterTickets(settings.router_grpc, keys.service)
    log = KafkaLog(publisher, keys.sealer())
    secret = secrets_of(keys)
    limits = RateLimits(clock, settings.intake_customer_per_minute, settings.intake_channel_per_minute)
    intake = Intake(policies, log, tickets, clock, secret, _random_bits, limits=limits)
    follow_ups = FollowUps(log, tickets, intake.remembers, clock, secret.token, _random_bits, limits)
    streams = Streams(intake, tickets, settings.intake_event_streams)
    mongo = connect(settings.mongo)
    uploads = Uploads(MongoUploads(mongo), tickets, secret.token, lambda: secrets.token_urlsafe(16), limits)
    smtp = smtp_server(settings, mail_desk(settings, intake, uploads, policies, secret.customer_ref, clock), clock)

    def desk_for(caller: str) -> Desk:
        return Desk(policies, settings.default_brand, caller)

    async def ready() -> str:
        if not publisher.ready:
            return f"Kafka at {settings.kafka} doesn't answer yet"
        return "" if policies.caught_up else "policies.v1 isn't read yet"

    async def serve_grpc() -> None:
        add = add_IntakeServiceServicer_to_server
        servicer = IntakeServer(intake, desk_for, clock, follow_ups, limits)
        async with GrpcServer(settings.intake_grpc, authenticate, [(add, servicer, NAME)], OPEN_METHODS):
            await stop.wait()

    app = web_app(
        intake,
        desk_for,
        limits.counted(authenticate),
        clock,
        follow_ups=follow_ups,
        uploads=uploads,
        tickets=tickets,
        streams=streams,
    )
    conversations = Conversations(intake, tickets, policies)
    sms_routes(app, conversations, desk_for, keys.channels.get("sms"), clock)
    hotline_routes(app, intake, desk_for, limits.counted(authenticate), clock)
    wechat_routes(app, conversations, desk_for, account, clock)
    http = HttpServer(settings.intake_http, app)
    await publisher.start()
    try:
        async with OpsServer(settings.intake_metrics, ready), asyncio.TaskGroup() as servers:
            servers.create_task(http.serve(stop))
            servers.create_task(serve_grpc())
            servers.create_task(smtp.serve(stop))
            servers.create_task(log.hurry_after(stop))
            servers.create_task(streams.close_after(stop))
            servers.create_task(first_failure(stop, policies.run(), streams.run()))
        await intake.drain()
        await follow_ups.drain()
    finally:
        uploads.close()
        await publisher.stop()
        await tickets.close()
        await disconnect(mongo)
