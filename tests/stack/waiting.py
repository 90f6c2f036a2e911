"""Waiting for a condition, with a deadline, instead of sleeping and hoping."""

import os
from collections.abc import Callable
from time import sleep

from common.clock import SystemClock


def eventually(condition: Callable[[], bool], within: float = 20.0) -> None:
    """Returns when the condition holds; fails the test if it doesn't within that many seconds."""
    clock = SystemClock()
    give_up = clock.monotonic() + within
    while not condition():
        assert clock.monotonic() < give_up, f"not within {within} s"
        sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie that nobody has asked about yet doesn't."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        # Ended meanwhile, or a system without /proc.
        return not os.path.exists("/proc/self/stat")
