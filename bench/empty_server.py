"""The reference of `intake_http`: the web server intake runs on, answering an empty POST."""

import asyncio

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from common.ops import OpsServer
from common.service import run_service
from services.intake.http_server import HttpServer
from services.intake.settings import IntakeSettings


async def main(stop: asyncio.Event) -> None:
    """Serves until `stop`."""
    settings = IntakeSettings()
    app = FastAPI(openapi_url=None)

    async def answer(request: Request) -> Response:
        await request.body()
        return Response(b"{}", 201, media_type="application/json")

    async def ready() -> str:
        return ""

    app.add_api_route("/empty", answer, methods=["POST"], response_model=None)
    async with OpsServer(settings.intake_metrics, ready):
        await HttpServer(settings.intake_http, app).serve(stop)


if __name__ == "__main__":
    run_service("empty", "WARNING", main)
