"""A running intake as a test sees it, and what it left in Kafka."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition

from common.clock import SystemClock
from common.keys import Keys, load_keys
from gen.pingxi.v1.complaint_pb2 import ComplaintSubmitted
from services.intake.settings import IntakeSettings

CLOCK = SystemClock()
PARTITIONS = 2
BODY = {"type": "商品质量", "description": "牛奶已经变质，孩子喝了不舒服", "contact": "13800138000"}


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on at the moment."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@dataclass
class Running:
    """Addresses, keys and an HTTP client of an intake."""

    settings: IntakeSettings
    client: httpx.AsyncClient
    keys: Keys = field(init=False)

    def __post_init__(self) -> None:
        self.keys = load_keys(self.settings.keys)

    @property
    def url(self) -> str:
        return f"http://{self.settings.intake_http}"

    async def post(
        self, body: object = BODY, *, key: str | None = None, channel: str = "app", **headers: str
    ) -> httpx.Response:
        sent = {"authorization": f"Bearer {self.keys.channels[channel]}", **headers}
        if key is not None:
            sent["Idempotency-Key"] = key
        return await self.client.post(f"{self.url}/api/complaint", json=body, headers=sent)

    async def progress(self, ticket_id: str, token: str, **headers: str) -> httpx.Response:
        return await self.client.get(f"{self.url}/api/complaint/{ticket_id}", params={"token": token}, headers=headers)

    async def readiness(self) -> httpx.Response:
        return await self.client.get(f"http://{self.settings.intake_metrics}/readyz")

    async def records(self, ticket_ids: Sequence[str]) -> "list[Record]":
        return [r for r in await read_log(self.settings.kafka, self.settings.topic_prefix) if r.key in ticket_ids]


@dataclass(frozen=True)
class Record:
    """One record of complaints.v1."""

    key: str
    body: ComplaintSubmitted
    headers: dict[str, str]
    raw: bytes


async def read_log(kafka: str, prefix: str) -> list[Record]:
    """Every complaint in complaints.v1 now."""
    topic = prefix + "complaints.v1"
    async with AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False) as consumer:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[Record] = []
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    headers = {name: value.decode() for name, value in record.headers}
                    if headers["ce_type"] != "pingxi.v1.ComplaintSubmitted":
                        continue
                    body = ComplaintSubmitted.FromString(record.value)
                    found.append(Record(record.key.decode(), body, headers, record.value))
        return found


async def is_ready(running: Running, status: int = 200) -> bool:
    """Whether /readyz answers with that status."""
    try:
        return (await running.readiness()).status_code == status
    except httpx.TransportError:
        return False


async def until(
    condition: Callable[[], Awaitable[bool]], alive: "asyncio.Task[None] | None" = None, seconds: float = 30
) -> None:
    """Waits for a condition; fails at once where the task that should bring it about has ended."""
    give_up = CLOCK.monotonic() + seconds
    while not await condition():
        if alive is not None and alive.done():
            alive.result()
        assert CLOCK.monotonic() < give_up, "the condition didn't come true in time"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def forwarded(port: int, target: str) -> AsyncIterator[None]:
    """Forwards connections to `port` to `target`: the broker comes back."""
    host, _, target_port = target.rpartition(":")
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(host, int(target_port))
        for task in (pump(reader, there_writer), pump(there_reader, writer)):
            running = asyncio.create_task(task)
            tasks.add(running)
            running.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connect, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        for task in [*tasks]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
