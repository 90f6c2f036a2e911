"""The proxy of the fault runs does to a connection what its mode says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from chaos.proxy import Proxy
from deploy.local.ports import free_addresses
from tests.waiting import eventually

ANSWERS_WITHIN = 20.0


class Echo:
    """A server that notes what came, and sends it back."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.got.append(line)
            writer.write(line)
            await writer.drain()
        writer.close()

    async def has(self, line: bytes) -> bool:
        return line in self.got


@pytest.fixture
async def echo() -> Echo:
    return Echo()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[Proxy]:
    here, there = free_addresses(2)
    server = await asyncio.start_server(echo.serve, "127.0.0.1", int(there.rpartition(":")[2]))
    made = Proxy(here, there)
    await made.start()
    yield made
    await made.stop()
    server.close()
    await server.wait_closed()


async def connected(proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = proxy.address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def closed(writer: asyncio.StreamWriter) -> None:
    """Closes it, also where the other end has done so before."""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_what_flows_comes_back(proxy: Proxy) -> None:
    reader, writer = await connected(proxy)
    writer.write(b"one\n")
    assert await asyncio.wait_for(reader.readline(), ANSWERS_WITHIN) == b"one\n"
    await closed(writer)


async def test_deaf_loses_the_answer_until_it_is_over_but_not_the_request(proxy: Proxy, echo: Echo) -> None:
    reader, writer = await connected(proxy)
    async with proxy.being("deaf"):
        writer.write(b"two\n")
        await eventually(lambda: echo.has(b"two\n"))
        answer = asyncio.ensure_future(reader.readline())
        await asyncio.sleep(0)
        assert not answer.done()
    assert await asyncio.wait_for(answer, ANSWERS_WITHIN) == b"two\n"
    await closed(writer)


async def test_frozen_holds_the_request_until_it_is_over(proxy: Proxy, echo: Echo) -> None:
    reader, writer = await connected(proxy)
    writer.write(b"three\n")
    assert await asyncio.wait_for(reader.readline(), ANSWERS_WITHIN) == b"three\n"
    async with proxy.being("frozen"):
        writer.write(b"four\n")
        await writer.drain()
        assert not await echo.has(b"four\n")
    assert await asyncio.wait_for(reader.readline(), ANSWERS_WITHIN) == b"four\n"
    await closed(writer)


async def test_refusing_cuts_what_is_open_and_takes_nothing_new(proxy: Proxy) -> None:
    reader, writer = await connected(proxy)
    writer.write(b"five\n")
    assert await asyncio.wait_for(reader.readline(), ANSWERS_WITHIN) == b"five\n"
    async with proxy.being("refusing"):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), ANSWERS_WITHIN)
        late_reader, late_writer = await connected(proxy)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(late_reader.readexactly(1), ANSWERS_WITHIN)
        await closed(late_writer)
    again_reader, again_writer = await connected(proxy)
    again_writer.write(b"six\n")
    assert await asyncio.wait_for(again_reader.readline(), ANSWERS_WITHIN) == b"six\n"
    await closed(writer)
    await closed(again_writer)
