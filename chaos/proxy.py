"""A TCP proxy between a service and what it needs, which can lose, hold or refuse what goes through it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal

# frozen: connections stay open and nothing passes (half-open). deaf: requests arrive, answers don't come back.
Mode = Literal["flowing", "frozen", "deaf", "refusing"]


class Proxy:
    """Listens on `address` for `target`, both host:port. The mode counts for connections that are open already, too."""

    def __init__(self, address: str, target: str) -> None:
        self.address = address
        self._target = target
        self._mode: Mode = "flowing"
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listens."""
        host, _, port = self.address.rpartition(":")
        self._server = await asyncio.start_server(self._connected, host, int(port))

    async def stop(self) -> None:
        """Closes every connection."""
        self.set("flowing")
        if self._server is not None:
            self._server.close()
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in [*self._writers]:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def set(self, mode: Mode) -> None:
        """Changes the mode at once; `refusing` also cuts what is open."""
        self._mode = mode
        self._changed.set()
        self._changed = asyncio.Event()
        if mode == "refusing":
            for writer in [*self._writers]:
                writer.transport.abort()

    @asynccontextmanager
    async def being(self, mode: Mode) -> AsyncIterator[None]:
        """The mode for the length of the block; then everything that was held goes on."""
        self.set(mode)
        try:
            yield
        finally:
            self.set("flowing")

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if self._mode == "refusing":
            writer.transport.abort()
            return
        host, _, port = self._target.rpartition(":")
        try:
            there_reader, there_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(there_writer)
        for pump in (self._pump(reader, there_writer, "request"), self._pump(there_reader, writer, "answer")):
            task = asyncio.ensure_future(pump)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        try:
            while data := await reader.read(65536):
                while self._mode == "frozen" or (self._mode == "deaf" and way == "answer"):
                    await self._changed.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
