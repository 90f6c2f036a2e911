"""A running router as a test sees it: what goes into its topics, what comes out, and its API."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import grpc
import httpx
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from common.events import Outgoing
from common.keys import Keys
from common.publisher import Publisher
from common.words import to_timestamp
from gen.pingxi.v1 import common_pb2, complaint_pb2
from gen.pingxi.v1.complaint_pb2 import ComplaintSubmitted, CustomerMessage, PersonalContent
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from gen.pingxi.v1.ticket_service_pb2_grpc import TicketServiceStub
from rules.number import from_random
from services.router.app import main
from services.router.settings import RouterSettings
from tests.waiting import CLOCK, eventually
from wire.personal import seal_personal

PARTITIONS = 2


class Door:
    """A way to the database that can be shut: connections through it are cut, new ones are refused."""

    def __init__(self, port: int, uri: str) -> None:
        target = urlsplit(uri)
        assert target.hostname is not None
        self._port = port
        self._target = (target.hostname, target.port or 27017)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        # Without directConnection the driver would go to the address the database gives for itself.
        self.uri = target._replace(netloc=f"127.0.0.1:{port}", query="directConnection=true").geturl()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        inner_reader, inner_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, inner_writer}
        await asyncio.gather(self._copy(reader, inner_writer), self._copy(inner_reader, writer))
        self._writers -= {writer, inner_writer}
        self._serving.discard(task)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


class Tail:
    """Everything on a topic, from its beginning."""

    def __init__(self, kafka: str, prefix: str, topic: str) -> None:
        self._topic = prefix + topic
        self._kafka = kafka
        self.records: list[ConsumerRecord] = []

    async def __aenter__(self) -> "Tail":
        self._consumer = AIOKafkaConsumer(
            self._topic, bootstrap_servers=self._kafka, auto_offset_reset="earliest", fetch_max_wait_ms=50
        )
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def until(self, enough: Callable[[Sequence[Any]], bool], within: float = 40.0) -> None:
        """Reads on until the records are `enough`."""
        give_up = CLOCK.monotonic() + within
        while not enough(self.records):
            assert CLOCK.monotonic() < give_up, f"{len(self.records)} on {self._topic} within {within} s"
            for records in (await self._consumer.getmany(timeout_ms=100)).values():
                self.records += records

    async def settle(self) -> None:
        """Reads to the present end."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        await self.until(lambda rows: len(rows) >= sum(ends.values()))

    def events(self, ticket_id: str | None = None) -> list[TicketEvent]:
        """As ticket events, of one ticket in order."""
        found = [TicketEvent.FromString(record.value) for record in self.records]
        return [event for event in found if ticket_id in (None, event.ticket_id)]


@dataclass
class World:
    """A router's surroundings; `running()` is the router itself, in this process."""

    settings: RouterSettings
    keys: Keys
    publisher: Publisher

    @asynccontextmanager
    async def running(self, wait: bool = True) -> AsyncIterator[asyncio.Task[None]]:
        """The router until the block ends; a task that was ended before is left alone."""
        stop = asyncio.Event()
        task = asyncio.ensure_future(main(self.settings, stop))
        try:
            if wait:
                await eventually(self.ready)
            yield task
        finally:
            if not task.done():
                stop.set()
                await asyncio.wait_for(task, 8)

    async def ready(self) -> bool:
        return await self.readiness() == "ready"

    async def readiness(self) -> str:
        """What /readyz says, "" where nobody answers."""
        async with httpx.AsyncClient() as client:
            try:
                answer = await client.get(f"http://{self.settings.router_metrics}/readyz", timeout=5)
            except httpx.TransportError:
                return ""
        return str(answer.json()["status"])

    async def metric(self, name: str) -> float:
        """The sum of a metric's samples of that full name."""
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"http://{self.settings.router_metrics}/metrics")).text
        rows = [line for line in text.splitlines() if line.startswith((name + " ", name + "{"))]
        return sum(float(row.rpartition(" ")[2]) for row in rows)

    @asynccontextmanager
    async def api(self, token: str | None = None) -> AsyncIterator["Api"]:
        """The ticket API as another service calls it."""
        async with grpc.aio.insecure_channel(self.settings.router_grpc) as channel:
            yield Api(channel, self.keys.service if token is None else token)

    def tail(self, topic: str) -> Tail:
        return Tail(self.settings.kafka, self.settings.topic_prefix, topic)

    def complaint(self, n: int, text: str = "菜送错了", **changes: Any) -> ComplaintSubmitted:
        """As intake publishes it."""
        ticket_id = changes.pop("ticket_id", from_random(n))
        content = PersonalContent(contact="+8613800000000", text=text)
        values: dict[str, Any] = {
            "ticket_id": ticket_id,
            "brand": "default",
            "channel": common_pb2.CHANNEL_APP,
            "declared_category": common_pb2.CATEGORY_OTHER,
            "customer_ref": f"ref-{n}",
            "customer_id": f"customer-{n}",
            "personal": seal_personal(self.keys.sealer(), ticket_id, content),
            "acknowledged_at": to_timestamp(CLOCK.now()),
            "fingerprint": f"print-{n}",
        }
        return ComplaintSubmitted(**{**values, **changes})

    def message(self, n: int, message_id: str, text: str = "还没到") -> CustomerMessage:
        ticket_id = from_random(n)
        return CustomerMessage(
            message_id=message_id,
            ticket_id=ticket_id,
            brand="default",
            personal=seal_personal(self.keys.sealer(), ticket_id, PersonalContent(text=text)),
            received_at=to_timestamp(CLOCK.now()),
        )

    async def submit(self, *bodies: ComplaintSubmitted | CustomerMessage | complaint_pb2.RatingGiven) -> None:
        """Onto complaints.v1."""
        await self.send("complaints.v1", [(body.ticket_id, body) for body in bodies])

    async def send(self, topic: str, bodies: Sequence[tuple[str, Any]], message_id: str = "") -> None:
        """Onto any topic, with a key each."""
        now: datetime = CLOCK.now()
        await self.publisher.publish_all(
            [Outgoing(topic, key, message_id or f"{key}-{n}", key, now, body) for n, (key, body) in enumerate(bodies)],
            timeout=20,
        )


class Api:
    """The stub with the token and a deadline on every call."""

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self.channel = channel
        self._stub = TicketServiceStub(channel)
        self.metadata = (("authorization", f"Bearer {token}"),) if token else ()

    async def call(self, method: str, request: Any, timeout: float = 10.0) -> Any:
        """One call."""
        return await getattr(self._stub, method)(request, metadata=self.metadata, timeout=timeout)
