"""The life of a process: logging, signals, a bounded stop."""

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable

import uvloop

from common.logs import configure_logging

log = logging.getLogger(__name__)
STOP_WITHIN = 4.5


def run_service(name: str, log_level: str, main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Runs `main(stop)` until it ends; SIGTERM and SIGINT set `stop`, after which it has 4.5 s.

    An exception that leaves `main` is logged and ends the process with 1: the supervisor starts it again, and
    at-least-once delivery repeats what wasn't finished.
    """
    configure_logging(name, log_level)

    async def supervise() -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop.set)
        task = asyncio.ensure_future(main(stop))
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait({task}, timeout=STOP_WITHIN)
        if not task.done():
            log.error("didn't stop in time", extra={"seconds": STOP_WITHIN})
            return 1
        if error := task.exception():
            log.critical("ended by an error", exc_info=error)
            return 1
        return 0

    code = uvloop.run(supervise())
    sys.stderr.flush()
    sys.exit(code)


async def first_failure(stop: asyncio.Event, *tasks: Awaitable[None]) -> None:
    """Runs background tasks until `stop`; the first that fails or ends early fails the service.

    A service with a dead loop inside looks healthy and isn't: ending is honest.
    """
    running = [asyncio.ensure_future(t) for t in tasks]
    stopping = asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait({*running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopping}:
            task.result()
            if not stop.is_set():
                raise RuntimeError("a background task ended by itself")
    finally:
        pending = {*running, stopping}
        while pending:
            # Again and again: asyncio.wait_for loses a cancellation that comes just as its future is done.
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=2.0)
        await asyncio.gather(*running, stopping, return_exceptions=True)
