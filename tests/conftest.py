"""What every test may ask for: a real broker, a real database, names of its own. And no sockets in unit tests."""

import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import sleep
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings
from pytest_socket import disable_socket, enable_socket

from common.clock import SystemClock
from deploy.local.files import RunFiles
from deploy.local.ports import private_addresses
from deploy.local.settings import ROOT

# Set by the process that started pytest; its xdist workers inherit it, so all share one broker and one database.
RUN = "PINGXI_TEST_RUN"
START_SECONDS = 120.0
CLOCK = SystemClock()


# No test asserts a time: a slow machine is not a failure.
settings.register_profile("pingxi", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pingxi")


def pytest_configure(config: pytest.Config) -> None:
    """The controller makes the folder of the run."""
    if not hasattr(config, "workerinput"):
        folder = tempfile.mkdtemp(prefix="pingxi-test-")
        os.environ[RUN] = json.dumps({"folder": folder, "pid": os.getpid()})


def pytest_unconfigure(config: pytest.Config) -> None:
    """The controller ends what any worker started."""
    if hasattr(config, "workerinput") or RUN not in os.environ:
        return
    folder = Path(json.loads(os.environ.pop(RUN))["folder"])
    files = RunFiles(folder)
    if (pid := files.pid("supervisor")) is not None and files.is_held():
        os.kill(pid, signal.SIGTERM)
        give_up = CLOCK.monotonic() + 20
        while files.is_held() and CLOCK.monotonic() < give_up:
            sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two whole systems at once, each under load, are more than two cores carry: those tests follow each other."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] == "e2e":
            item.add_marker(pytest.mark.xdist_group("whole systems"))


@pytest.fixture(autouse=True)
def _no_sockets_in_unit_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    if "unit" not in request.path.relative_to(Path(__file__).parent).parts:
        yield
        return
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture(scope="session")
def stack() -> dict[str, str]:
    """PINGXI_KAFKA and PINGXI_MONGO of the broker and the database of this run, started by the first test that asks.

    PINGXI_TEST_KAFKA and PINGXI_TEST_MONGO name servers to use instead.
    """
    own = {"kafka": os.environ.get("PINGXI_TEST_KAFKA"), "mongo": os.environ.get("PINGXI_TEST_MONGO")}
    run = json.loads(os.environ[RUN])
    folder = Path(run["folder"])
    chosen = folder / "addresses.json"
    only = ",".join(name for name, server in own.items() if not server)
    addresses = {}
    if only:
        with open(folder / "start.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not chosen.exists():
                addresses = private_addresses()
                _start(RunFiles(folder), addresses, only, run["pid"])
                chosen.write_text(json.dumps(addresses))
            addresses = json.loads(chosen.read_text())
    return {
        "PINGXI_KAFKA": own["kafka"] or addresses["PINGXI_KAFKA"],
        "PINGXI_MONGO": own["mongo"] or addresses["PINGXI_MONGO"],
    }


def _start(files: RunFiles, addresses: dict[str, str], only: str, pid: int) -> None:
    folder = str(files.local)
    environment = {**os.environ, **addresses, "PINGXI_EMBEDDED": "", "PINGXI_KEYS": "", "PINGXI_LOCAL": folder}
    printed = files.local / "supervisor.out"
    with open(printed, "ab") as output:
        # Outlives this worker on purpose: the controller stops it, or it ends when the controller has ended.
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.local", "run", "--only", only, "--with-pid", str(pid)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )
    give_up = CLOCK.monotonic() + START_SECONDS
    while not files.is_ready():
        if process.poll() is not None or CLOCK.monotonic() > give_up:
            pytest.fail("the test stack didn't start:\n" + printed.read_text())
        sleep(0.05)
    # Or the finaliser of Popen would warn that it still runs.
    process.returncode = 0


@pytest.fixture(scope="session")
def kafka(stack: dict[str, str]) -> str:
    """host:port of a real broker."""
    return stack["PINGXI_KAFKA"]


@pytest.fixture
def unique() -> str:
    """A short prefix that no other test has: lower-case letters and digits, for topics, groups and databases."""
    return f"t{secrets.token_hex(5)}"


@pytest.fixture
def mongo(stack: dict[str, str], unique: str) -> str:
    """URI of a database of this test's own, on a real server.

    It isn't dropped: the run's folder goes as a whole, and the embedded database locks up when a drop meets the
    transaction of a process that a test has just killed.
    """
    return urlsplit(stack["PINGXI_MONGO"])._replace(path=f"/{unique}").geturl()
