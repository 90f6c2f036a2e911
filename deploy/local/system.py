"""A whole system as an object: started as a process of its own, asked, hurt and stopped. For the demo and for tests."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import sleep
from types import TracebackType
from typing import Any

from common.clock import SystemClock
from deploy.local.files import RunFiles
from deploy.local.ports import private_addresses
from deploy.local.processes import table
from deploy.local.settings import ROOT, from_environ

STOP_SECONDS = 20.0
POLL_SECONDS = 0.05


class SystemFailed(Exception):
    """The system ended or didn't get ready; the message holds what it printed last."""


class System:
    """`python -m deploy.local run` with its own folder. It ends with this process, however this process ends.

    `env` is what a client needs to find it (PINGXI_* variables). Without `environ` the ports are free ones and nothing
    is shared with another system on this machine; the demo passes its own environment. All methods block.
    """

    def __init__(
        self,
        local: Path,
        *,
        only: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        changes: Mapping[str, str] | None = None,
    ) -> None:
        """`changes` are variables to set for the system and its children, for example PINGXI_POLICIES."""
        private = {**os.environ, "PINGXI_EMBEDDED": "", "PINGXI_KEYS": "", **private_addresses()}
        base = private if environ is None else dict(environ)
        settings = from_environ({**base, **(changes or {}), "PINGXI_LOCAL": str(local)}, Path.cwd())
        self.local = settings.local
        self.env = settings.child_environment()
        self.output = settings.local / "logs" / "supervisor.log"
        self._files = RunFiles(settings.local)
        self._probes = {row.name: row.probe for row in table(settings) if row.probe}
        self._only = tuple(only)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the supervisor; returns at once. Data of an earlier start is kept."""
        self.output.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "deploy.local", "run", "--with-pid", str(os.getpid())]
        with open(self.output, "ab") as output:
            self._process = subprocess.Popen(
                [*command, *(["--only", ",".join(self._only)] if self._only else [])],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env=self.env,
                start_new_session=True,
            )

    def ready(self, within: float = 90.0) -> None:
        """Waits until every process is ready. Raises SystemFailed when the supervisor ends or time runs out."""
        # A killed supervisor leaves its sign of being ready: only the one started here counts.
        self._await(lambda: self._files.is_ready() and self.pids("supervisor") == self._pid(), within, "get ready")

    def pids(self, name: str) -> int | None:
        """The process id of `kafka`, `router`, `supervisor` …; None while it isn't running."""
        return self._files.pid(name)

    def kill(self, name: str, signum: int = signal.SIGKILL) -> int:
        """Sends a signal to a process and returns the process id it had. The supervisor will start it again."""
        pid = self.pids(name)
        if pid is None:
            raise SystemFailed(f"{name} isn't running")
        os.kill(pid, signum)
        return pid

    def restarted(self, name: str, old_pid: int, within: float = 30.0) -> int:
        """Waits until `name` is ready under another process id than `old_pid`, and returns that."""
        probe = self._probes[name]
        self._await(lambda: self.pids(name) not in (None, old_pid) and probe(), within, f"restart {name}")
        return self.pids(name) or 0

    def keys(self) -> dict[str, Any]:
        """The contents of keys.json."""
        return dict(json.loads(Path(self.env["PINGXI_KEYS"]).read_text()))

    def outbox(self) -> list[dict[str, Any]]:
        """Every message that the local outbox has taken so far."""
        path = self.local / "outbox.jsonl"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    def log(self, name: str) -> str:
        """What a process, or `supervisor`, has printed."""
        path = self._files.log(name)
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self) -> None:
        """Ends everything; does nothing where nothing runs."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def _pid(self) -> int | None:
        return self._process.pid if self._process else None

    def _await(self, condition: Callable[[], bool], within: float, what: str) -> None:
        clock = SystemClock()
        give_up = clock.monotonic() + within
        while not condition():
            ended = self._process is None or self._process.poll() is not None
            if ended or clock.monotonic() > give_up:
                why = "ended before it could" if ended else f"didn't within {within:.0f} s"
                raise SystemFailed(f"the system {why} {what}:\n{self._files.log_tail('supervisor', 40)}")
            sleep(POLL_SECONDS)

    def __enter__(self) -> "System":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
