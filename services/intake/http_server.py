"""uvicorn inside the service's own loop: it takes no signals, and stops when it is told to."""

import asyncio
import contextlib
import socket
from collections.abc import Generator
from typing import Any

import uvicorn

from common.settings import host_port

GRACE_SECONDS = 2


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class HttpServer:
    """Serves `app` on `address`."""

    def __init__(self, address: str, app: Any) -> None:
        self._address = address
        self._server = _Server(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )

    async def serve(self, stop: asyncio.Event) -> None:
        """Serves until `stop`; then accepts no more and lets what is in flight finish within the grace.

        Raises OSError naming the address where it is taken.
        """
        # uvicorn would end the process by itself.
        listening = _bind(self._address)
        serving = asyncio.ensure_future(self._server.serve(sockets=[listening]))
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done() and not stop.is_set():
                raise RuntimeError("the HTTP server ended by itself") from serving.exception()
        finally:
            stopping.cancel()
            self._server.should_exit = True
            await asyncio.wait({serving})
            listening.close()


def _bind(address: str) -> socket.socket:
    host, port = host_port(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host.strip("[]"), port))
    except OSError as error:
        bound.close()
        raise OSError(error.errno, f"{error.strerror}: {address}") from error
    return bound
