"""A whole system under load, and what is seen of a complaint on its way: acknowledged, routed, confirmed, escalated."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from aiokafka import AIOKafkaConsumer

from bench.load import CLOCK
from bench.texts import complaint
from deploy.local.system import System

# One machine sends everything here: what protects a platform from one customer would only measure itself.
UNLIMITED = {"PINGXI_INTAKE_CHANNEL_PER_MINUTE": "0", "PINGXI_INTAKE_CUSTOMER_PER_MINUTE": "0"}
LOOK_SECONDS = 0.01
GIVE_UP_SECONDS = 90.0


@dataclass
class Seen:
    """One complaint. Instants of this machine's clock; `routed` is when its ticket was read from the topic, the others
    are the outbox's own."""

    answer: Mapping[str, Any]
    acknowledged: datetime
    routed: datetime | None = None
    confirmed: datetime | None = None

    def seconds_to(self, what: str) -> float:
        """From the acknowledgement."""
        return float((getattr(self, what) - self.acknowledged).total_seconds())


@dataclass
class Whole:
    """A running system with eyes on its topic of tickets and its outbox."""

    system: System
    http: aiohttp.ClientSession
    sent: int = 0
    # By (ticket, event): when the first message of that event was taken, "" for the ticket's own first event.
    _moments: dict[tuple[str, str], asyncio.Future[datetime]] = field(default_factory=dict)

    async def send(self, **changes: str) -> Seen:
        """A complaint of a customer of its own; returns when it is acknowledged. Raises RuntimeError if it isn't."""
        self.sent += 1
        body = {**complaint(self.sent), **changes}
        async with self.http.post("/api/complaint", json=body) as answer:
            if answer.status != 201:
                raise RuntimeError(f"intake answered {answer.status}: {(await answer.text())[:200]}")
            said = await answer.json()
        return Seen(said, CLOCK.now())

    async def confirmed(self, seen: Seen) -> Seen:
        """Returns when its customer's confirmation and its ticket were seen."""
        ticket = str(seen.answer["id"])
        seen.confirmed = await self.when(ticket, "confirmation")
        seen.routed = await self.when(ticket, "")
        return seen

    async def when(self, ticket: str, event: str) -> datetime:
        """Waits for the first message of that event. Raises TimeoutError after a minute and a half."""
        async with asyncio.timeout(GIVE_UP_SECONDS):
            return await asyncio.shield(self._moment(ticket, event))

    def _moment(self, ticket: str, event: str) -> "asyncio.Future[datetime]":
        return self._moments.setdefault((ticket, event), asyncio.get_running_loop().create_future())

    def _see(self, ticket: str, event: str, at: datetime) -> None:
        moment = self._moment(ticket, event)
        if not moment.done():
            moment.set_result(at)

    async def _read_outbox(self) -> None:
        place = self.system.local / "outbox.jsonl"
        rest, position = b"", 0
        while True:
            if place.exists() and place.stat().st_size > position:
                with place.open("rb") as file:
                    file.seek(position)
                    data = file.read()
                position += len(data)
                *lines, rest = (rest + data).split(b"\n")
                for row in map(json.loads, lines):
                    self._see(row["ticket"], row["event"], datetime.fromisoformat(row["at"]))
            await asyncio.sleep(LOOK_SECONDS)

    async def _read_tickets(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            if record.key is not None:
                self._see(record.key.decode(), "", CLOCK.now())


@asynccontextmanager
async def whole() -> AsyncIterator[Whole]:
    """A system of its own, ready; it has ended when this is left."""
    with TemporaryDirectory(prefix="pingxi-bench-") as folder, System(Path(folder), changes=UNLIMITED) as system:
        await asyncio.to_thread(system.ready)
        consumer = AIOKafkaConsumer(
            "tickets.v1",
            bootstrap_servers=system.env["PINGXI_KAFKA"],
            auto_offset_reset="earliest",
            fetch_max_wait_ms=20,
        )
        await consumer.start()
        headers = {"authorization": f"Bearer {system.keys()['channels']['app']}"}
        base = f"http://{system.env['PINGXI_INTAKE_HTTP']}"
        connector = aiohttp.TCPConnector(limit=0)
        try:
            async with aiohttp.ClientSession(base, headers=headers, connector=connector) as http:
                seeing = Whole(system, http)
                eyes = [
                    asyncio.ensure_future(seeing._read_outbox()),
                    asyncio.ensure_future(seeing._read_tickets(consumer)),
                ]
                try:
                    yield seeing
                finally:
                    for eye in eyes:
                        eye.cancel()
                    await asyncio.gather(*eyes, return_exceptions=True)
        finally:
            await consumer.stop()
