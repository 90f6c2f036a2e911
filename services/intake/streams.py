"""Customers who watch their complaint: one watch of the router for all of them, and a stream of news for each."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

from common.errors import Unavailable
from services.intake.handlers import Intake
from services.intake.model import Progress
from services.intake.news import News, Place, news
from services.intake.ports import Changes

HEARTBEAT_SECONDS = 15.0
# While the router hasn't the ticket, or is away.
ASK_AGAIN_SECONDS = 2.0
_LONGEST_SECONDS = 3600.0
_ASKING_AT_ONCE = 20

# News, None for "nothing, but still here".
Told = tuple[Progress, News] | None


class Streams:
    """`run` watches while anybody does; `follow` is one customer's stream."""

    def __init__(
        self,
        intake: Intake,
        changes: Changes,
        most: int = 1000,
        heartbeat: float = HEARTBEAT_SECONDS,
        ask_again: float = ASK_AGAIN_SECONDS,
    ) -> None:
        self._intake = intake
        self._changes = changes
        self._free = most
        self._heartbeat = heartbeat
        self._ask_again = ask_again
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._wanted = asyncio.Event()
        self._closing = False
        self._asking = asyncio.Semaphore(_ASKING_AT_ONCE)

    async def run(self) -> None:
        """Until cancelled. A router that is away is tried again; then everybody looks, for much may have passed."""
        delay = 0.1
        while True:
            await self._wanted.wait()
            try:
                async for ticket_id in self._changes.changes():
                    delay = 0.1
                    self._wake(ticket_id)
                    if not self._wanted.is_set():
                        break
            except Unavailable:
                await asyncio.sleep(delay)
                delay = min(delay * 2, 2.0)

    async def close_after(self, stop: asyncio.Event) -> None:
        """From `stop` on all streams end, so that the server can."""
        await stop.wait()
        self._closing = True
        self._wake("")

    def check_room(self) -> None:
        """Raises Unavailable where as many watch as may."""
        if self._free <= 0 or self._closing:
            raise Unavailable("too many watch at once", retry_after=10.0)

    async def look(self, ticket_id: str, token: str | None, trusted: bool) -> Progress:
        """As `Intake.progress`."""
        async with self._asking:
            return await self._intake.progress(ticket_id, token, trusted)

    async def follow(
        self, first: Progress, told: Place | None, look: Callable[[], Awaitable[Progress]]
    ) -> AsyncIterator[Told]:
        """News from `first` on until the complaint is closed, an hour has passed, or the service stops."""
        woken, progress = asyncio.Event(), first
        until = asyncio.get_running_loop().time() + _LONGEST_SECONDS
        with contextlib.ExitStack() as watched:
            watched.enter_context(self._counted())
            watched.enter_context(self._watching(progress.ticket_id, woken))
            # What changed between the first look and now is seen by the next.
            woken.set()
            while True:
                found = news(progress, told)
                if found is not None:
                    if found.place.ticket_id not in (progress.ticket_id, told and told.ticket_id):
                        watched.enter_context(self._watching(found.place.ticket_id, woken))
                        woken.set()
                    yield progress, found
                    told = found.place
                if progress.status == "closed" or self._closing or asyncio.get_running_loop().time() > until:
                    return
                patience = self._heartbeat if progress.version else min(self._ask_again, self._heartbeat)
                try:
                    await asyncio.wait_for(woken.wait(), patience)
                except TimeoutError:
                    yield None
                woken.clear()
                progress = await look()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    @contextmanager
    def _watching(self, ticket_id: str, woken: asyncio.Event) -> Iterator[None]:
        self._watchers.setdefault(ticket_id, set()).add(woken)
        self._wanted.set()
        try:
            yield
        finally:
            left = self._watchers.get(ticket_id, set())
            left.discard(woken)
            if not left:
                self._watchers.pop(ticket_id, None)
            if not self._watchers:
                self._wanted.clear()

    def _wake(self, ticket_id: str) -> None:
        """Those of one ticket, of all for ""."""
        groups = [self._watchers.get(ticket_id, set())] if ticket_id else list(self._watchers.values())
        for group in groups:
            for woken in group:
                woken.set()
