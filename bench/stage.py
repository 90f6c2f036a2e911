"""A real broker and a real database for a benchmark, and services started between them with names of their own."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord

from bench.progress import Progress
from common.clock import SystemClock
from common.topics import ensure_topics
from deploy.local.ports import private_addresses
from deploy.local.settings import ROOT
from deploy.local.system import System

CLOCK = SystemClock()
READY_SECONDS = 60.0


@dataclass
class Child:
    """A process of ours. It is ended when its stage is left."""

    process: asyncio.subprocess.Process
    log: Path

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL where that doesn't help."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self.process.wait(), 15.0)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()


@dataclass
class Stage:
    """Topics, a database and a folder that only one run has."""

    prefix: str
    env: dict[str, str]
    folder: Path
    children: list[Child] = field(default_factory=list)

    @property
    def kafka(self) -> str:
        return self.env["PINGXI_KAFKA"]

    async def start(self, *command: str, ready: str = "") -> Child:
        """Starts `python -m command…`; `ready` names the address variable of its `/readyz` to wait for."""
        log = self.folder / f"{command[0]}-{len(self.children)}.log"
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *command, cwd=ROOT, env=self.env, stdout=output, stderr=output
            )
        finally:
            os.close(output)
        child = Child(process, log)
        self.children.append(child)
        if ready:
            await self._until_ready(child, f"http://{self.env[ready]}/readyz")
        return child

    async def _until_ready(self, child: Child, url: str) -> None:
        give_up = CLOCK.monotonic() + READY_SECONDS
        async with httpx.AsyncClient() as http:
            while CLOCK.monotonic() < give_up and child.process.returncode is None:
                try:
                    if (await http.get(url)).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.05)
        raise RuntimeError(f"{child.log.name} didn't get ready:\n{child.log.read_text()[-3000:]}")

    async def read(self, topic: str, kind: bytes, count: int, progress: Progress, within: float = 120.0) -> "Reading":
        """Reads `count` messages of a kind that come from now on or were there already."""
        consumer = AIOKafkaConsumer(
            self.prefix + topic, bootstrap_servers=self.kafka, auto_offset_reset="earliest", fetch_max_wait_ms=20
        )
        await consumer.start()
        try:
            return await _read(consumer, kind, count, progress, within)
        finally:
            await consumer.stop()


@dataclass(frozen=True)
class Reading:
    """What was read: the records, and the seconds from the first to the last that were found in one look."""

    records: Sequence[ConsumerRecord]
    rate: float


async def _read(consumer: AIOKafkaConsumer, kind: bytes, count: int, progress: Progress, within: float) -> Reading:
    found: list[ConsumerRecord] = []
    first_at, first_count = 0.0, 0
    give_up = CLOCK.monotonic() + within
    while len(found) < count:
        if CLOCK.monotonic() > give_up:
            raise RuntimeError(f"only {len(found)} of {count} {kind.decode()} within {within:.0f} s")
        batches = await consumer.getmany(timeout_ms=50)
        now = CLOCK.monotonic()
        found += [r for records in batches.values() for r in records if dict(r.headers).get("ce_type") == kind]
        if found and not first_at:
            # What was there at the first look has no known start: the rate is that of all that came after it.
            first_at, first_count = now, len(found)
        progress.step(kind.decode().rpartition(".")[2], min(len(found), count), count)
    seconds = CLOCK.monotonic() - first_at
    return Reading(found, (len(found) - first_count) / seconds if seconds > 0 else 0.0)


@dataclass
class Backends:
    """Kafka and the database of all runs of a benchmark."""

    system: System
    folder: Path
    count: int = 0

    @asynccontextmanager
    async def stage(self, changes: Mapping[str, str] | None = None) -> AsyncIterator[Stage]:
        """Fresh topics, database and ports; what was started in it has ended when this is left."""
        self.count += 1
        name = f"run{self.count}"
        folder = self.folder / name
        folder.mkdir()
        mongo = urlsplit(self.system.env["PINGXI_MONGO"])._replace(path=f"/{name}").geturl()
        own = {**private_addresses(), "PINGXI_KAFKA": self.system.env["PINGXI_KAFKA"], "PINGXI_MONGO": mongo}
        env = {
            **os.environ,
            **self.system.env,
            **own,
            "PINGXI_TOPIC_PREFIX": f"{name}.",
            "PINGXI_LOCAL": str(folder),
            "PINGXI_LOG_LEVEL": "WARNING",
            **(changes or {}),
        }
        stage = Stage(f"{name}.", env, folder)
        await ensure_topics(stage.kafka, prefix=stage.prefix)
        try:
            yield stage
        finally:
            for child in stage.children:
                await child.stop()


@asynccontextmanager
async def backends() -> AsyncIterator[Backends]:
    """An embedded broker and database for the runs of one benchmark."""
    with tempfile.TemporaryDirectory(prefix="pingxi-bench-") as folder:
        system = System(Path(folder) / "system", only=("kafka", "mongo"))
        await asyncio.to_thread(system.start)
        try:
            await asyncio.to_thread(system.ready)
            yield Backends(system, Path(folder))
        finally:
            await asyncio.to_thread(system.stop)
