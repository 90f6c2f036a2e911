"""The system under test: broker, database and provider apart from the services, with proxies in between.

Every process is one of `deploy.local.system`'s and ends with this one. Nothing of the product is changed for it.
"""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from chaos.proxy import Proxy
from common.clock import Clock
from deploy.local.ports import free_addresses
from deploy.local.settings import ROOT
from deploy.local.system import System

BACKENDS = ("kafka", "mongo", "outbox")
SERVICES = ("intake", "router", "sla", "notifier")
PROCESSES = (*SERVICES, *BACKENDS)
_CHILD = ROOT / "deploy" / "local" / "child.py"


class Installation:
    """`backends` and `services` are two supervised systems; `proxies` stand before the database and the provider."""

    def __init__(self, folder: Path, clock: Clock, *, planted: str = "") -> None:
        """`planted` names a bug of `chaos.planted` that the services are started with."""
        self.folder = folder
        self.clock = clock
        self.backends = System(folder / "backends", only=BACKENDS)
        mongo = urlsplit(self.backends.env["PINGXI_MONGO"])
        database, provider = free_addresses(2)
        self.proxies = {
            "mongo": Proxy(database, mongo.netloc),
            "outbox": Proxy(provider, self.backends.env["PINGXI_OUTBOX"]),
        }
        path = os.pathsep.join([str(ROOT / "chaos" / "planting"), str(ROOT)])
        self.services = System(
            folder / "services",
            only=SERVICES,
            changes={
                "PINGXI_EMBEDDED": "none",
                "PINGXI_KAFKA": self.backends.env["PINGXI_KAFKA"],
                # It announces itself as a replica set of one: the driver would go around the proxy.
                "PINGXI_MONGO": f"mongodb://{database}/pingxi?directConnection=true",
                "PINGXI_OUTBOX": provider,
                "PYTHONPATH": path,
                "CHAOS_PLANTED": planted,
            },
        )
        self.kafka = self.backends.env["PINGXI_KAFKA"]
        self.mongo = self.backends.env["PINGXI_MONGO"]
        self._second: asyncio.subprocess.Process | None = None
        self._second_metrics = ""
        self._stopped: set[int] = set()

    async def start(self) -> None:
        """Returns when everything is ready. Raises SystemFailed."""
        for system in (self.backends, self.services):
            system.start()
            await asyncio.to_thread(system.ready, 300.0)
            if system is self.backends:
                for proxy in self.proxies.values():
                    await proxy.start()

    async def stop(self) -> None:
        """Ends every process."""
        await self.end_second_worker()
        self.resume_all()
        await asyncio.to_thread(self.services.stop)
        for proxy in self.proxies.values():
            await proxy.stop()
        await asyncio.to_thread(self.backends.stop)

    def _of(self, name: str) -> System:
        return self.backends if name in BACKENDS else self.services

    def pid(self, name: str) -> int | None:
        """The process id of `kafka`, `router` …; None where it is just being started again."""
        return self._of(name).pids(name)

    def hit(self, name: str, signum: int) -> int | None:
        """Sends a signal; None where the process isn't there at the moment."""
        pid = self.pid(name)
        if pid is None:
            return None
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            return None
        if signum == signal.SIGSTOP:
            self._stopped.add(pid)
        return pid

    def resume(self, pid: int) -> None:
        """The opposite of SIGSTOP."""
        self._stopped.discard(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def resume_all(self) -> None:
        """Whatever still stands."""
        for pid in [*self._stopped]:
            self.resume(pid)

    def address(self, variable: str) -> str:
        """host:port of a service."""
        return self.services.env[variable]

    async def readiness(self) -> dict[str, bool]:
        """Who answers 200 to /readyz."""
        found = {}
        async with httpx.AsyncClient(timeout=2.0) as http:
            for name in SERVICES:
                url = f"http://{self.address(f'PINGXI_{name.upper()}_METRICS')}/readyz"
                try:
                    found[name] = (await http.get(url)).status_code == 200
                except httpx.HTTPError:
                    found[name] = False
        return found

    async def until_ready(self, within: float) -> bool:
        """Whether every service gets ready in time."""
        give_up = self.clock.monotonic() + within
        while not all((await self.readiness()).values()):
            if self.clock.monotonic() > give_up:
                return False
            await self.clock.sleep(0.3)
        return True

    async def behave(self, behaviour: dict[str, float]) -> None:
        """Tells the provider how to misbehave (deploy/local/outbox.py); `{}`: not at all."""
        async with httpx.AsyncClient(timeout=5.0) as http:
            with suppress(httpx.HTTPError):
                await http.put(f"http://{self.backends.env['PINGXI_OUTBOX']}/behaviour", json=behaviour)

    async def start_second_worker(self) -> int:
        """Another sla process of the same group: partitions move to it. Its process id."""
        await self.end_second_worker()
        grpc, metrics = free_addresses(2)
        environment = {
            **self.services.env,
            "PINGXI_SLA_GRPC": grpc,
            "PINGXI_SLA_METRICS": metrics,
            "PINGXI_SLA_INSTANCE": "second",
        }
        self.folder.joinpath("services", "logs").mkdir(parents=True, exist_ok=True)
        output = os.open(
            self.folder / "services" / "logs" / "sla-second.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644
        )
        self._second = await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", "-E", str(_CHILD), str(os.getpid()), sys.executable, "-m", "services.sla"),
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env=environment,
        )
        os.close(output)
        self._second_metrics = metrics
        return self._second.pid

    async def second_is_ready(self) -> bool:
        """Whether the second worker has its partitions."""
        async with httpx.AsyncClient(timeout=1.0) as http:
            try:
                return (await http.get(f"http://{self._second_metrics}/readyz")).status_code == 200
            except httpx.HTTPError:
                return False

    async def end_second_worker(self, signum: int = signal.SIGKILL) -> None:
        """Ends it, where there is one."""
        second, self._second = self._second, None
        if second is not None and second.returncode is None:
            second.send_signal(signum)
            try:
                await asyncio.wait_for(second.wait(), 20.0)
            except TimeoutError:
                second.kill()
                await second.wait()

    def logs(self) -> list[Path]:
        """What every process printed."""
        return sorted(self.folder.glob("*/logs/*.log*"))
