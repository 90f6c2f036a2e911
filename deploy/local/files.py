"""The files of a running system under PINGXI_LOCAL: lock, process ids, logs, the sign that it is ready."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO

LOG_LIMIT_BYTES = 50 * 1024 * 1024


class AlreadyRunning(Exception):
    """Another supervisor holds this folder."""


class RunFiles:
    """`pids/<name>`, `logs/<name>.log`, `supervisor.lock` and `ready` in one folder."""

    def __init__(self, local: Path) -> None:
        self.local = local
        self.pids = local / "pids"
        self.logs = local / "logs"
        self._ready = local / "ready"
        self._lock: IO[str] | None = None

    def take(self) -> None:
        """Makes the folders, takes the lock and clears what a crashed run left.

        Raises AlreadyRunning, and OSError where the folder can't be written.
        """
        for folder in (self.local, self.pids, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        lock = open(self.local / "supervisor.lock", "a")  # noqa: SIM115 - held until the process ends
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise AlreadyRunning from None
        self._lock = lock
        self._ready.unlink(missing_ok=True)
        for stale in self.pids.iterdir():
            stale.unlink()
        for log in self.logs.glob("*.log"):
            if log.stat().st_size > LOG_LIMIT_BYTES:
                log.replace(log.with_suffix(".log.1"))
        self.write_pid("supervisor", os.getpid())

    def release(self) -> None:
        """The opposite of `take`."""
        self._ready.unlink(missing_ok=True)
        self.remove_pid("supervisor")
        if self._lock:
            self._lock.close()

    def is_held(self) -> bool:
        """Whether a supervisor is running on this folder."""
        try:
            with open(self.local / "supervisor.lock") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False

    def pid(self, name: str) -> int | None:
        """The process id written for a name."""
        try:
            return int((self.pids / name).read_text())
        except FileNotFoundError:
            return None

    def write_pid(self, name: str, pid: int) -> None:
        """Readers see the old number or the new one, never half of it."""
        temporary = self.pids / f".{name}"
        temporary.write_text(f"{pid}\n")
        temporary.replace(self.pids / name)

    def remove_pid(self, name: str) -> None:
        """Does nothing where there is none."""
        (self.pids / name).unlink(missing_ok=True)

    def log(self, name: str) -> Path:
        """The log file of a process."""
        return self.logs / f"{name}.log"

    def open_log(self, name: str) -> IO[bytes]:
        """The log file, to be written at its end."""
        return open(self.log(name), "ab")

    def log_tail(self, name: str, lines: int = 15) -> str:
        """The last lines of a log."""
        with open(self.log(name), "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])

    def is_ready(self) -> bool:
        """Whether the running supervisor has seen every process ready."""
        return self._ready.exists()

    def write_ready(self, addresses: Mapping[str, str]) -> None:
        """Says that everything is ready, and where."""
        temporary = self._ready.with_name(".ready")
        temporary.write_text(json.dumps(dict(addresses), indent=2) + "\n")
        temporary.replace(self._ready)
