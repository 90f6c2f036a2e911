"""Starts processes in the order of their needs, starts again what dies, and ends them all."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from common.clock import Clock
from deploy.local.files import RunFiles
from deploy.local.processes import BACKENDS, Process, next_delay
from deploy.local.settings import ROOT

PROBE_EVERY = 0.1
REPORT_EVERY = 10.0
EARLY_DEATHS = 5
_CHILD = Path(__file__).with_name("child.py")
_GUARD = Path(__file__).with_name("guard.py")


class StartError(Exception):
    """The system can't be brought up; the message is for the person who started it."""


class Supervisor:
    """Runs the rows of a process table until `stop` is set, then ends all of them within 10 s.

    A process that dies is started again with growing delays for as long as it takes. Only one that dies five times
    before the whole was ready once ends the run, with StartError: that is a mistake to show, not a fault to ride out.
    """

    def __init__(
        self, rows: Sequence[Process], environment: Mapping[str, str], files: RunFiles, clock: Clock,
        report: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._rows = rows
        self._environment = dict(environment)
        self._files = files
        self._clock = clock
        self._report = report
        self._ready = {row.name: asyncio.Event() for row in rows}
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._guard: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._was_ready = False

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
        """Calls `on_ready` when every process is ready for the first time; returns after `stop` and a clean end."""
        self._guard = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-E", str(_GUARD), stdin=asyncio.subprocess.PIPE, start_new_session=True
        )
        tasks = [asyncio.create_task(self._keep(row)) for row in self._rows]
        announcing = asyncio.create_task(self._announce(on_ready))
        stopped = asyncio.create_task(stop.wait())
        try:
            watched = {stopped, *tasks, announcing}
            while not stopped.done():
                done, watched = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            self._stopping = True
            for task in (*tasks, announcing, stopped):
                task.cancel()
            await asyncio.gather(*tasks, announcing, stopped, return_exceptions=True)
            await self._end_all()

    async def _announce(self, on_ready: Callable[[], None]) -> None:
        waiting = asyncio.create_task(self._report_waiting())
        try:
            for event in self._ready.values():
                await event.wait()
        finally:
            waiting.cancel()
        self._was_ready = True
        on_ready()

    async def _report_waiting(self) -> None:
        while True:
            await self._clock.sleep(REPORT_EVERY)
            names = [name for name, event in self._ready.items() if not event.is_set()]
            self._report(f"  still waiting for {', '.join(names)}; see {self._files.logs}")

    async def _keep(self, row: Process) -> None:
        for name in row.after:
            if name in self._ready:
                await self._ready[name].wait()
        delay, deaths = 0.0, 0
        while True:
            started = self._clock.monotonic()
            child = await self._start(row)
            watching = asyncio.create_task(self._watch(row, started))
            try:
                code = await child.wait()
            finally:
                watching.cancel()
            if self._stopping:
                return
            self._forget(row.name, child.pid)
            if row.once and code == 0:
                self._became_ready(row, started)
                return
            deaths = 0 if self._ready[row.name].is_set() else deaths + 1
            if deaths >= EARLY_DEATHS and not self._was_ready:
                raise StartError(
                    f"{row.name} ended {deaths} times before it was ready. The end of {self._files.log(row.name)}:\n"
                    + self._files.log_tail(row.name)
                )
            delay = next_delay(delay, self._clock.monotonic() - started)
            self._report(f"  {row.name} {_how(code)}; starting it again in {delay:.1f} s")
            await self._clock.sleep(delay)

    async def _start(self, row: Process) -> asyncio.subprocess.Process:
        with self._files.open_log(row.name) as log:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-S", "-E", str(_CHILD), str(os.getpid()), *row.command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=self._environment,
                # Ctrl-C in a terminal reaches the whole foreground group; only the supervisor may decide on the order.
                start_new_session=True,
            )
        self._tell_guard("+", child.pid)
        self._running[row.name] = child
        self._files.write_pid(row.name, child.pid)
        return child

    async def _watch(self, row: Process, started: float) -> None:
        while row.probe and not await asyncio.to_thread(row.probe):
            await self._clock.sleep(PROBE_EVERY)
        if row.probe:
            self._became_ready(row, started)

    def _became_ready(self, row: Process, started: float) -> None:
        self._report(f"  {row.name} is ready after {self._clock.monotonic() - started:.1f} s")
        self._ready[row.name].set()

    async def _end_all(self) -> None:
        backends = {name for name in self._running if name in BACKENDS}
        # Services first: they finish what they hold while broker and database are still there.
        for group in (set(self._running) - backends, backends):
            await asyncio.gather(*(self._end(row) for row in self._rows if row.name in group))
        if self._guard and self._guard.stdin:
            self._guard.stdin.close()
            await self._guard.wait()

    async def _end(self, row: Process) -> None:
        child = self._running[row.name]
        with suppress(ProcessLookupError):
            child.terminate()
        try:
            async with asyncio.timeout(row.stop_within):
                await child.wait()
        except TimeoutError:
            self._report(f"  {row.name} didn't stop within {row.stop_within:.0f} s and was killed")
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        self._forget(row.name, child.pid)

    def _forget(self, name: str, pid: int) -> None:
        # What the process itself had started must not live on beside its successor.
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        self._running.pop(name, None)
        self._files.remove_pid(name)
        self._tell_guard("-", pid)

    def _tell_guard(self, sign: str, pid: int) -> None:
        if self._guard and self._guard.stdin:
            self._guard.stdin.write(f"{sign}{pid}\n".encode())


def _how(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
