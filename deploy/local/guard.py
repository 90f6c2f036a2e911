"""Kills what is left when the supervisor is gone: `python guard.py`, told on standard input.

Lines `+PID` and `-PID` add and remove process groups. The end of the input means that the supervisor has ended, however
that happened: every group still listed is killed, which also reaches children of children. Standard library only.
"""

import os
import signal
import sys
from collections.abc import Iterable


def groups_left(lines: Iterable[str]) -> set[int]:
    """The groups still listed when the lines end."""
    groups: set[int] = set()
    for line in lines:
        number = int(line[1:])
        if line.startswith("+"):
            groups.add(number)
        else:
            groups.discard(number)
    return groups


def main() -> None:
    """Waits for the end of the input, then kills."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    for group in groups_left(sys.stdin):
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    main()
