"""A real notifier between a real broker, a real database, a real outbox process and a router of this test's own."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from aiokafka import AIOKafkaConsumer
from google.protobuf.message import Message as Proto

from common.errors import NotFound, Unavailable
from common.events import Decoder, Incoming, Outgoing
from common.grpc_server import GrpcServer
from common.publisher import Publisher
from common.settings import host_port
from common.topics import ensure_topics
from common.words import to_timestamp
from deploy.local.keys import generate
from deploy.local.ports import free_addresses
from deploy.local.settings import ROOT
from gen.pingxi.v1 import common_pb2, escalation_pb2, notification_pb2, ticket_pb2, ticket_service_pb2, voucher_pb2
from gen.pingxi.v1.ticket_service_pb2_grpc import TicketServiceServicer, add_TicketServiceServicer_to_server
from tests.waiting import CLOCK, eventually

CONTACT = "+8613800001111"


class Router(TicketServiceServicer):
    """Knows the tickets it is given."""

    def __init__(self) -> None:
        self.tickets: dict[str, ticket_service_pb2.Ticket] = {}
        self.away = False
        self.asked = 0

    async def GetTicket(self, request: Any, context: Any) -> ticket_service_pb2.GetTicketResponse:
        self.asked += 1
        if self.away:
            raise Unavailable("told to be away")
        if request.ticket_id not in self.tickets:
            raise NotFound("no such ticket")
        return ticket_service_pb2.GetTicketResponse(ticket=self.tickets[request.ticket_id])


class Door:
    """A way to the database that can be shut: connections through it are cut, new ones are refused."""

    def __init__(self, address: str, target: str) -> None:
        self._address = host_port(address)
        self._target = host_port(target)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, *self._address)

    async def shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(*self._target)
        self._open |= {writer, inner_writer}
        try:
            await asyncio.gather(self._copy(reader, inner_writer), self._copy(inner_reader, writer))
        finally:
            self._open -= {writer, inner_writer}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@dataclass
class World:
    """`env` is what the notifier runs with."""

    kafka: str
    prefix: str
    publisher: Publisher
    router: Router
    door: Door
    outbox: httpx.AsyncClient
    token: str
    env: dict[str, str]
    log: Path
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def spawn(self, module: str) -> asyncio.subprocess.Process:
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module),
            env=self.env,
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        os.close(log)
        self.processes.append(process)
        return process

    async def start(self) -> asyncio.subprocess.Process:
        """Starts the notifier and waits until it is ready."""
        process = await self.spawn("services.notifier")
        async with httpx.AsyncClient() as http:

            async def ready() -> bool:
                assert process.returncode is None, self.log.read_text()
                with contextlib.suppress(httpx.HTTPError):
                    answer = await http.get(f"http://{self.env['PINGXI_NOTIFIER_METRICS']}/readyz")
                    return answer.status_code == 200
                return False

            await eventually(ready)
        return process

    async def sent(self, ticket: str | None = None) -> list[dict[str, Any]]:
        """The outbox's rows."""
        answer = await self.outbox.get("/messages", params={"ticket": ticket} if ticket else {})
        rows: list[dict[str, Any]] = answer.json()["messages"]
        return rows

    async def behave(self, **behaviour: float) -> None:
        (await self.outbox.put("/behaviour", json=behaviour)).raise_for_status()

    async def publish(self, *bodies: Proto, times: int = 1) -> None:
        """Publishes events as their owners would, each `times` times."""
        await self.publisher.publish_all([outgoing(body) for body in bodies for _ in range(times)], timeout=20.0)

    async def read(self, topic: str, kinds: list[type[Proto]], count: int, within: float = 40.0) -> list[Incoming]:
        """The first `count` messages of a topic."""
        decoder = Decoder(kinds)
        consumer = AIOKafkaConsumer(
            self.prefix + topic, bootstrap_servers=self.kafka, auto_offset_reset="earliest", group_id=None
        )
        await consumer.start()
        found: list[Incoming] = []
        give_up = CLOCK.monotonic() + within
        try:
            while len(found) < count:
                assert CLOCK.monotonic() < give_up, f"{len(found)} of {count} messages in {topic} within {within} s"
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        message = decoder.decode(
                            topic, record.partition, record.offset, record.key, record.value, record.headers
                        )
                        assert message is not None
                        found.append(message)
        finally:
            await consumer.stop()
        return found

    async def outcomes(self, count: int) -> list[Incoming]:
        """The first `count` messages of notifications.v1."""
        return await self.read(
            "notifications.v1", [notification_pb2.NotificationDelivered, notification_pb2.NotificationFailed], count
        )


def outgoing(body: Proto) -> Outgoing:
    """An event with its topic, key and id."""
    match body:
        case ticket_pb2.TicketEvent():
            return Outgoing("tickets.v1", body.ticket_id, body.event_id, body.ticket_id, datetime.now(UTC), body)
        case escalation_pb2.TicketEscalated():
            id_ = f"{body.escalation_id}-{body.level}-{body.returned}"
            return Outgoing("escalations.v1", body.ticket_id, id_, body.ticket_id, datetime.now(UTC), body)
        case voucher_pb2.VoucherIssued():
            return Outgoing("vouchers.v1", body.customer_id, body.voucher_id, body.ticket_id, datetime.now(UTC), body)
        case voucher_pb2.PointsGranted():
            return Outgoing("vouchers.v1", body.customer_id, body.grant_id, body.ticket_id, datetime.now(UTC), body)
    raise AssertionError(body)


def opened(ticket: str, *, red: bool = False, at: datetime | None = None) -> ticket_pb2.TicketEvent:
    """An opened ticket with a promise."""
    event = ticket_pb2.TicketEvent(
        event_id=f"{ticket}-1", ticket_id=ticket, version=1, occurred_at=to_timestamp(at or datetime.now(UTC))
    )
    event.snapshot.CopyFrom(
        ticket_pb2.TicketSnapshot(
            brand="default",
            locale="zh-CN",
            category=common_pb2.CATEGORY_FOOD_SAFETY if red else common_pb2.CATEGORY_PRICE,
            priority=common_pb2.PRIORITY_URGENT if red else common_pb2.PRIORITY_NORMAL,
            queue="quality_control",
            red=red,
            notices=["role:supervisor", "oncall:emergency"] if red else [],
        )
    )
    now = datetime.now(UTC)
    event.snapshot.promise.first_response_by.FromSeconds(int(now.timestamp()) + 600)
    event.snapshot.promise.resolve_by.FromSeconds(int(now.timestamp()) + 86_400)
    event.opened.SetInParent()
    return event


def replied(ticket: str, version: int, message: str) -> ticket_pb2.TicketEvent:
    """The desk has answered."""
    event = opened(ticket)
    event.event_id, event.version = f"{ticket}-{version}", version
    event.replied.message_id = message
    return event


def escalated(ticket: str, level: int = 1) -> escalation_pb2.TicketEscalated:
    """A level of an escalation."""
    now = to_timestamp(datetime.now(UTC))
    return escalation_pb2.TicketEscalated(
        escalation_id=f"b-{ticket}",
        ticket_id=ticket,
        brand="default",
        metric=common_pb2.METRIC_FIRST_RESPONSE,
        level=level,
        notify=["assignee", "queue_lead"] if level == 1 else ["role:supervisor", "oncall:emergency"],
        ways=["console", "robot", "sms"],
        breached_at=now,
        escalated_at=now,
        priority=common_pb2.PRIORITY_URGENT,
        queue="quality_control",
        red=True,
    )


def granted(ticket: str) -> voucher_pb2.PointsGranted:
    """Points for a ticket's satisfied customer."""
    return voucher_pb2.PointsGranted(
        grant_id=f"g-{ticket}",
        brand="default",
        customer_id="c-1",
        ticket_id=ticket,
        points=50,
        reason="satisfied",
        granted_at=to_timestamp(datetime.now(UTC)),
    )


def issued(ticket: str) -> voucher_pb2.VoucherIssued:
    """A voucher for a ticket's customer."""
    return voucher_pb2.VoucherIssued(
        voucher_id=f"v-{ticket}",
        brand="default",
        customer_id="c-1",
        ticket_id=ticket,
        amount=common_pb2.Money(currency="CNY", amount_minor=1000),
        reason="red_first_response",
        issued_at=to_timestamp(datetime.now(UTC)),
    )


def known(ticket: str, texts: Mapping[str, str] | None = None) -> ticket_service_pb2.Ticket:
    """A ticket as the router serves it."""
    found = ticket_service_pb2.Ticket(id=ticket, contact=CONTACT, snapshot=ticket_pb2.TicketSnapshot(locale="zh-CN"))
    for id_, text in (texts or {}).items():
        found.messages.add(id=id_, text=text, public=True)
    return found


@contextlib.asynccontextmanager
async def made(kafka: str, mongo: str, unique: str, folder: Path) -> AsyncIterator[World]:
    """Everything but the notifier, which a test starts when it wants to."""
    router_at, outbox_at, notifier_at, metrics_at, door_at = free_addresses(5)
    keys = generate()
    (folder / "keys.json").write_text(json.dumps(keys))
    prefix = f"{unique}."
    await ensure_topics(kafka, prefix=prefix, partitions=2)
    router = Router()
    uri = urlsplit(mongo)
    door = Door(door_at, uri.netloc)
    publisher = Publisher(kafka, "test", topic_prefix=prefix)
    env = {
        **os.environ,
        "PINGXI_KAFKA": kafka,
        "PINGXI_MONGO": uri._replace(netloc=door_at, query="directConnection=true").geturl(),
        "PINGXI_TOPIC_PREFIX": prefix,
        "PINGXI_KEYS": str(folder / "keys.json"),
        "PINGXI_LOCAL": str(folder),
        "PINGXI_POLICIES": str(ROOT / "policies"),
        "PINGXI_ROUTER_GRPC": router_at,
        "PINGXI_OUTBOX": outbox_at,
        "PINGXI_NOTIFIER_GRPC": notifier_at,
        "PINGXI_NOTIFIER_METRICS": metrics_at,
        "PINGXI_NOTIFIER_GIVE_UP_SECONDS": "6",
        "PINGXI_NOTIFIER_UNKNOWN_TICKET_SECONDS": "3",
    }
    services = [(add_TicketServiceServicer_to_server, router, "pingxi.v1.TicketService")]
    server = GrpcServer(router_at, lambda token: "notifier" if token == keys["service"] else None, services)
    async with server, httpx.AsyncClient(base_url=f"http://{outbox_at}", timeout=10.0) as outbox:
        world = World(kafka, prefix, publisher, router, door, outbox, keys["service"], env, folder / "log")
        await door.open()
        await publisher.start()
        try:
            await world.spawn("deploy.local.outbox")

            async def up() -> bool:
                with contextlib.suppress(httpx.HTTPError):
                    return (await outbox.get("/readyz")).status_code == 200
                return False

            await eventually(up)
            yield world
        finally:
            for process in world.processes:
                if process.returncode is None:
                    process.kill()
                await process.wait()
            await publisher.stop()
            await door.shut()
