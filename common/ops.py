"""`/metrics`, `/healthz` and `/readyz` of a service."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from common.settings import host_port

# Why the service isn't ready; empty when it is.
Readiness = Callable[[], Awaitable[str]]


class OpsServer:
    """Serves metrics and health on its own port, so that load on the service's port can't hide them."""

    def __init__(self, address: str, ready: Readiness) -> None:
        self._address = address
        self._ready = ready
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readyz(self, _: web.Request) -> web.Response:
        reason = await self._ready()
        return web.json_response({"status": reason or "ready"}, status=503 if reason else 200)

    async def __aenter__(self) -> "OpsServer":
        await self._runner.setup()
        host, port = host_port(self._address)
        await web.TCPSite(self._runner, host, port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
