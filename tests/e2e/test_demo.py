"""`make demo`, as a person or CI runs it, on ports of its own."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from common.clock import SystemClock
from deploy.demo.claims import CLAIM
from deploy.demo.steps import ANSWERED, LATE_ORDER, SURGE, UNANSWERED
from deploy.local.files import RunFiles
from deploy.local.ports import private_addresses
from deploy.local.settings import ROOT
from tests.stack.waiting import eventually

CLOCK = SystemClock()


def start(local: Path, **variables: str) -> "subprocess.Popen[str]":
    environment = {
        **os.environ,
        **private_addresses(),
        "PINGXI_LOCAL": str(local),
        "PINGXI_EMBEDDED": "",
        "PINGXI_KEYS": "",
        "PINGXI_TOPIC_PREFIX": "",
        **variables,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.demo"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.timeout(240)
def test_every_step_of_the_stories_is_seen_and_everything_ends(tmp_path: Path) -> None:
    demo = start(tmp_path / "local", DEMO_EXIT="1", PINGXI_DEMO_BOUND="60")
    try:
        printed, _ = demo.communicate(timeout=200)
    finally:
        demo.kill()
    assert demo.returncode == 0, printed
    assert "Not seen" not in printed
    assert re.search(r"All \d+ steps were seen\.", printed)
    for label, steps in (("A", UNANSWERED), ("B", ANSWERED), ("C", SURGE), ("D", LATE_ORDER), ("E", CLAIM)):
        told = [line for line in printed.splitlines() if re.match(rf"\[{label}\] +[+-]", line)]
        for step in steps:
            assert any(step.name in line and line.endswith(f"({step.place})") for line in told), step.name
    # A broken promise is told in the order in which it happens.
    unanswered = "\n".join(line for line in printed.splitlines() if line.startswith("[A]"))
    order = [unanswered.index(f" s  {name} ") for name in ("promise missed", "voucher ", "level 2 ", "acknowledged")]
    assert order == sorted(order)
    assert "\x1b" not in printed, "no terminal, no escape sequences"
    assert not RunFiles(tmp_path / "local").is_held()
    assert not list((tmp_path / "local" / "pids").iterdir())


@pytest.mark.timeout(120)
def test_interrupting_it_ends_everything(tmp_path: Path) -> None:
    demo = start(tmp_path / "local")
    files = RunFiles(tmp_path / "local")
    try:
        eventually(lambda: files.pid("kafka") is not None, 60)
        demo.send_signal(signal.SIGINT)
        began = CLOCK.monotonic()
        printed, _ = demo.communicate(timeout=40)
    finally:
        demo.kill()
    assert demo.returncode == 1
    assert CLOCK.monotonic() - began < 25
    assert "Everything has stopped." in printed
    assert "Traceback" not in printed
    assert not files.is_held()


def test_a_system_that_runs_already_is_said(tmp_path: Path) -> None:
    files = RunFiles(tmp_path)
    files.take()
    try:
        demo = start(tmp_path)
        printed, _ = demo.communicate(timeout=60)
    finally:
        files.release()
        demo.kill()
    assert demo.returncode == 1
    assert "already running" in printed
    assert "Traceback" not in printed
