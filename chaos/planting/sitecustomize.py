"""Comes first on PYTHONPATH of the services of a fault run, so Python imports it before anything else of them.

SIGUSR1 makes a process say where its threads and its tasks stand; CHAOS_PLANTED plants a bug (chaos/planted.py).
"""

import asyncio
import faulthandler
import os
import signal
import sys
from types import FrameType


def say_where(_: int, __: FrameType | None) -> None:
    """Prints every thread's and every task's stack to standard error."""
    faulthandler.dump_traceback(all_threads=True)
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:
        return
    for task in tasks:
        print(task, file=sys.stderr)
        for frame in task.get_stack(limit=8):
            print(f"    {frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}", file=sys.stderr)


signal.signal(signal.SIGUSR1, say_where)

if os.environ.get("CHAOS_PLANTED"):
    from chaos.planted import plant

    plant(os.environ["CHAOS_PLANTED"])
