"""Pictures on their way in and out. Only they need the database: a complaint names uploads without looking at them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import ParamSpec, TypeVar

from common.errors import FieldProblem, Invalid, NotFound, Unauthenticated, Unavailable
from services.intake.access import admitted
from services.intake.images import NotAnImage, cleaned
from services.intake.ports import Limits, Tickets, UploadStore

P = ParamSpec("P")
T = TypeVar("T")

MAX_BYTES = 8 * 1024 * 1024


class Uploads:
    """Takes and gives pictures; at most `at_once` are decoded side by side, at most `under_way` are in memory."""

    def __init__(
        self,
        store: UploadStore,
        tickets: Tickets,
        token_secret: bytes,
        fresh_id: Callable[[], str],
        limits: Limits | None = None,
        at_once: int = 2,
        under_way: int = 24,
    ) -> None:
        self._store = store
        self._tickets = tickets
        self._secret = token_secret
        self._fresh_id = fresh_id
        self._limits = limits
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="picture")
        self._free = under_way

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place for one upload, from before its body is read. Raises Unavailable where all are taken."""
        if self._free <= 0:
            raise Unavailable("too many uploads at once", retry_after=2.0)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    async def take(self, data: bytes, channel: str) -> str:
        """The id of the picture, once it is stored. Raises Invalid for what is no picture, Unavailable."""
        if not data:
            raise Invalid([FieldProblem("file", "is required")])
        try:
            picture = await self.apart(cleaned, data)
        except NotAnImage as error:
            raise Invalid([FieldProblem("file", str(error))]) from None
        upload_id = self._fresh_id()
        await self._store.put(upload_id, picture, channel)
        return upload_id

    async def apart(self, work: Callable[P, T], *arguments: P.args, **_: P.kwargs) -> T:
        """Does `work` beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *arguments))

    async def give(self, upload_id: str, ticket_id: str, token: str | None, trusted: bool) -> bytes:
        """The picture, for a `trusted` caller or the holder of the token of a ticket that shows it.

        Raises Unauthenticated, NotFound, Unavailable.
        """
        if not trusted:
            if not ticket_id:
                raise Unauthenticated("a channel key, or a ticket with its token, is needed")
            canonical, _ = admitted(self._secret, ticket_id, token, trusted=False)
            progress = await self._tickets.progress(canonical)
            if progress is None or upload_id not in progress.images:
                raise NotFound("no such picture of this complaint")
        data = await self._store.get(upload_id)
        if data is None:
            raise NotFound("no such picture")
        return data

    def admit(self, ticket_id: str, token: str | None) -> None:
        """Lets the holder of a ticket's token send a picture for it. Raises Unauthenticated, RateLimited."""
        try:
            canonical, _ = admitted(self._secret, ticket_id, token, trusted=False)
        except NotFound:
            raise Unauthenticated("a channel's bearer key, or a ticket with its token, is needed") from None
        if self._limits is not None:
            self._limits.customer(f"ticket/{canonical}")

    def close(self) -> None:
        """Takes no more; what is being decoded is left to end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
