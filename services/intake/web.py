"""HTTP: the calls of `docs/http.md`. Each group of calls is a module `web_…`; what isn't there answers 404."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from common.clock import Clock
from services.intake.endpoints import Authenticate, DeskFor, framework_problem, json_answer
from services.intake.followups import FollowUps
from services.intake.handlers import Intake
from services.intake.ports import Tickets
from services.intake.streams import Streams
from services.intake.uploads import Uploads
from services.intake.web_complaints import complaint_routes
from services.intake.web_customers import customer_routes
from services.intake.web_events import event_routes
from services.intake.web_follow import follow_routes
from services.intake.web_uploads import upload_routes


def web_app(
    intake: Intake,
    desk_for: DeskFor,
    authenticate: Authenticate,
    clock: Clock,
    *,
    follow_ups: FollowUps | None = None,
    uploads: Uploads | None = None,
    tickets: Tickets | None = None,
    streams: Streams | None = None,
) -> FastAPI:
    """The application; every answer that isn't a success is a problem document. What isn't given isn't served."""
    app = FastAPI(title="Pingxi intake", version="1", docs_url=None, redoc_url=None, redirect_slashes=False)
    app.add_exception_handler(HTTPException, framework_problem)
    complaint_routes(app, intake, desk_for, authenticate, clock)
    if follow_ups is not None:
        follow_routes(app, follow_ups, authenticate)
    if uploads is not None:
        upload_routes(app, uploads, authenticate)
    if tickets is not None:
        customer_routes(app, tickets, desk_for, authenticate)
    if streams is not None:
        event_routes(app, streams, authenticate)
    _docs_routes(app)
    return app


def _docs_routes(app: FastAPI) -> None:
    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            schema = get_openapi(
                title=app.title, version=app.version, routes=app.routes, description="Complaints in, progress out."
            )
            schemes = schema.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes["channelKey"] = {"type": "http", "scheme": "bearer", "description": "The key of a channel."}
            app.openapi_schema = schema
        return app.openapi_schema

    async def docs(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return get_swagger_ui_html(openapi_url=app.openapi_url or "", title=app.title)
        return json_answer(openapi(), 200)

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document
    app.add_api_route("/docs", docs, methods=["GET"], include_in_schema=False, response_model=None)
