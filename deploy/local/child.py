"""Becomes another program that can't outlive its parent: `python child.py PARENT_PID PROGRAM ARGUMENT…`.

Runs between fork and exec of every supervised process, as a program of its own because code run inside fork of a
process with threads may deadlock. Standard library only; started with -S -E, so it costs some 15 ms.
"""

import os
import sys

PR_SET_PDEATHSIG = 1
SIGKILL = 9


def main() -> None:
    """Asks Linux to kill this process when its parent ends; elsewhere guard.py alone does that."""
    parent = int(sys.argv[1])
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    # The parent may have ended before the request was made.
    if os.getppid() != parent:
        sys.exit(1)
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
