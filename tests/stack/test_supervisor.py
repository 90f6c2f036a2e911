"""The supervisor over small processes: order, restarts, bounded ends, and nothing left behind."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from common.clock import SystemClock
from deploy.local.files import RunFiles
from deploy.local.processes import Process
from deploy.local.supervisor import StartError, Supervisor
from deploy.local.system import System
from tests.stack.waiting import eventually, is_alive

# Says in the file of its first argument when it starts and when it is asked to end.
TELLER = """
import signal, sys, threading
name, path = sys.argv[1:]
end = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: end.set())
print("start", name, file=open(path, "a"), flush=True)
while not end.wait(0.02): pass
print("end", name, file=open(path, "a"), flush=True)
"""
STUBBORN = (
    "import signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)"
)


@pytest.fixture
def files(tmp_path: Path) -> RunFiles:
    files = RunFiles(tmp_path / "local")
    files.pids.mkdir(parents=True)
    files.logs.mkdir()
    return files


class HurriedClock(SystemClock):
    """Waits are much shorter than asked for."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 100)


def python(name: str, code: str, *arguments: str, **rest: object) -> Process:
    """A row that runs a piece of Python."""
    return Process(name, (sys.executable, "-S", "-c", code, *arguments), **rest)  # type: ignore[arg-type]


async def run_until_ready(rows: list[Process], files: RunFiles, said: list[str]) -> None:
    """Starts the rows and stops them as soon as all are ready."""
    stop = asyncio.Event()
    await Supervisor(rows, os.environ, files, SystemClock(), said.append).run(stop, stop.set)


async def test_processes_start_after_what_they_need_and_backends_end_last(tmp_path: Path, files: RunFiles) -> None:
    story = tmp_path / "story"

    def told(line: str) -> bool:
        return story.exists() and line in story.read_text().splitlines()

    rows = [
        python("kafka", TELLER, "kafka", str(story), probe=lambda: told("start kafka")),
        python("topics", f"print('made', file=open({str(story)!r}, 'a'))", once=True, after=("kafka",)),
        python("intake", TELLER, "intake", str(story), probe=lambda: told("start intake"), after=("topics", "absent")),
    ]
    await run_until_ready(rows, files, [])
    assert story.read_text().splitlines() == ["start kafka", "made", "start intake", "end intake", "end kafka"]
    assert list(files.pids.iterdir()) == []


async def test_a_process_that_ignores_the_request_to_end_is_killed_in_time(files: RunFiles) -> None:
    said: list[str] = []
    row = python("deaf", STUBBORN, probe=lambda: "up" in files.log_tail("deaf"), stop_within=0.2)
    clock = SystemClock()
    started = clock.monotonic()
    await run_until_ready([row], files, said)
    assert clock.monotonic() - started < 8
    assert "  deaf didn't stop within 0 s and was killed" in said


async def test_a_process_that_never_gets_up_ends_the_start_with_the_end_of_its_log(files: RunFiles) -> None:
    row = python("broken", "import sys; sys.exit('no such thing as a free lunch')", probe=lambda: False)
    said: list[str] = []
    with pytest.raises(StartError, match=r"broken ended 5 times[\s\S]*free lunch"):
        await Supervisor([row], os.environ, files, HurriedClock(), said.append).run(asyncio.Event(), lambda: None)
    delays = [line.rpartition(" in ")[2] for line in said if "starting it again" in line]
    assert delays == ["0.2 s", "0.4 s", "0.8 s", "1.6 s"]


def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    system = System(tmp_path, only=["mongo", "outbox"])
    system.start()
    try:
        system.ready()
        pids = [pid for name in ("mongo", "outbox") if (pid := system.pids(name))]
        assert len(pids) == 2
        system.kill("supervisor")
        eventually(lambda: not any(map(is_alive, pids)), within=5)
    finally:
        system.stop()
    with system:  # The stale files of the crash are no obstacle.
        system.ready()


def test_the_guard_reaches_children_of_children(tmp_path: Path) -> None:
    guard_program = Path(__file__).parents[2] / "deploy" / "local" / "guard.py"
    grandchild = tmp_path / "grandchild"
    shell = f"sleep 60 & echo $! > {grandchild}.new; mv {grandchild}.new {grandchild}; wait"
    child = subprocess.Popen(["sh", "-c", shell], start_new_session=True)
    guard = subprocess.Popen([sys.executable, str(guard_program)], stdin=subprocess.PIPE, text=True)
    eventually(grandchild.exists)
    guard.communicate(f"+{child.pid}\n", timeout=10)
    assert child.wait(10) == -signal.SIGKILL
    eventually(lambda: not is_alive(int(grandchild.read_text())))


def test_the_system_ends_when_the_process_it_belongs_to_was_killed(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", _OWNER, str(tmp_path)])
    files = RunFiles(tmp_path)
    try:
        eventually(files.is_ready, within=60)
        pids = [files.pid("supervisor") or 0, files.pid("outbox") or 0]
    finally:
        owner.kill()
        owner.wait()
    eventually(lambda: not any(map(is_alive, pids)), within=10)


_OWNER = """
import sys, time
from pathlib import Path
from deploy.local.system import System
with System(Path(sys.argv[1]), only=["outbox"]) as system:
    system.ready()
    time.sleep(60)
"""
