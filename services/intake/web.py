"""HTTP: the calls of `docs/http.md`. Each group of calls is one `_…_routes` function; what isn't there answers 404."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from common import metrics
from common.clock import Clock
from common.errors import Invalid, Unauthenticated
from common.tracing import continue_trace
from common.words import rfc3339
from rules.model import Promise
from services.intake.body import check_json_type, parse_object, read_body
from services.intake.form import ComplaintForm, Desk, check_http, check_key
from services.intake.handlers import Intake
from services.intake.model import Locale, Progress, Receipt, Submission
from services.intake.problems import code_of, problem, problem_of
from services.intake.schemas import ProblemBody, ProgressBody, ReceiptBody
from services.intake.texts import locale_of, status_text, timeline_text

KEY_HEADER = "Idempotency-Key"
# The credential's channel, None where it isn't valid.
Authenticate = Callable[[str], str | None]
# What a complaint of that caller is checked against.
DeskFor = Callable[[str], Desk]
Endpoint = Callable[[Request], Awaitable[Response]]


def web_app(intake: Intake, desk_for: DeskFor, authenticate: Authenticate, clock: Clock) -> FastAPI:
    """The application; every answer that isn't a success is a problem document."""
    app = FastAPI(title="Pingxi intake", version="1", docs_url=None, redoc_url=None, redirect_slashes=False)
    app.add_exception_handler(HTTPException, _http_problem)
    _complaint_routes(app, intake, desk_for, authenticate, clock)
    _docs_routes(app)
    return app


def _complaint_routes(
    app: FastAPI, intake: Intake, desk_for: DeskFor, authenticate: Authenticate, clock: Clock
) -> None:
    async def submit_complaint(request: Request) -> Response:
        """Acknowledges a complaint once it is safely in the log. Repeat with the same key after a 503."""
        started = clock.monotonic()
        caller = "unknown"
        try:
            caller = caller_of(request, authenticate)
            check_json_type(request)
            fields = parse_object(await read_body(request))
            key = request.headers.get(KEY_HEADER)
            with continue_trace(request.headers.get("traceparent")):
                submission = checked(fields, key, desk_for(caller))
                receipt = await intake.submit(submission, caller, key)
        except Exception as error:
            metrics.complaints_rejected.labels(caller, code_of(error)).inc()
            raise
        metrics.complaints_accepted.labels(submission.channel, submission.brand).inc()
        metrics.intake_ack_seconds.observe(clock.monotonic() - started)
        return _json(receipt_body(receipt), 201)

    async def get_progress(request: Request) -> Response:
        """How far a complaint is, with its token or a channel key. Never 404 for an acknowledged complaint."""
        trusted = authenticate(_bearer(request)) is not None
        with continue_trace(request.headers.get("traceparent")):
            progress = await intake.progress(
                request.path_params["ticket_id"], request.query_params.get("token"), trusted
            )
        locale = locale_of(request.headers.get("accept-language"))
        return _json(progress_body(progress, locale), 200, {"cache-control": "no-store", "vary": "accept-language"})

    app.add_api_route(
        "/api/complaint",
        _answering(submit_complaint),
        methods=["POST"],
        status_code=201,
        response_model=None,
        responses={201: {"model": ReceiptBody}, **_problems(400, 401, 409, 413, 415, 422, 503)},
        openapi_extra={
            "security": [{"channelKey": []}],
            "parameters": [_header(KEY_HEADER, "1 to 255 visible ASCII characters; makes a retry safe.")],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": ComplaintForm.model_json_schema()}},
            },
        },
    )
    app.add_api_route(
        "/api/complaint/{ticket_id}",
        _answering(get_progress),
        methods=["GET"],
        response_model=None,
        responses={200: {"model": ProgressBody}, **_problems(401, 404)},
        openapi_extra={
            "security": [{"channelKey": []}, {}],
            "parameters": [
                {"name": "ticket_id", "in": "path", "required": True, "schema": {"type": "string"}},
                {"name": "token", "in": "query", "required": False, "schema": {"type": "string"}},
                _header("Accept-Language", "zh-CN (default), zh-TW or en."),
            ],
        },
    )


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
        return _json(openapi(), 200)

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document
    app.add_api_route("/docs", docs, methods=["GET"], include_in_schema=False, response_model=None)


def caller_of(request: Request, authenticate: Authenticate) -> str:
    """The channel whose key the request carries. Raises Unauthenticated."""
    caller = authenticate(_bearer(request))
    if caller is None:
        raise Unauthenticated("a channel's bearer key is needed")
    return caller


def checked(fields: dict[str, Any], key: str | None, desk: Desk) -> Submission:
    """The complaint, with the key's problem beside the fields'. Raises Invalid."""
    wrong_key = check_key(key, KEY_HEADER)
    try:
        submission = check_http(fields, desk)
    except Invalid as error:
        raise Invalid([*error.problems, *([wrong_key] if wrong_key else [])]) from None
    if wrong_key:
        raise Invalid([wrong_key])
    return submission


def receipt_body(receipt: Receipt) -> dict[str, object]:
    """The JSON of a 201."""
    return {
        "success": True,
        "id": receipt.ticket_id,
        "token": receipt.token,
        "acknowledgedAt": rfc3339(receipt.acknowledged_at),
        "promise": _promise(receipt.promise),
    }


def progress_body(progress: Progress, locale: Locale) -> dict[str, object]:
    """The JSON of a progress answer."""
    return {
        "id": progress.ticket_id,
        "status": progress.status,
        "statusText": status_text(progress.status, locale),
        "type": progress.category,
        "promise": _promise(progress.promise),
        "timeline": [
            {"at": rfc3339(entry.at), "kind": entry.kind, "text": entry.text or timeline_text(entry.kind, locale)}
            for entry in progress.timeline
        ],
        "compensation": [
            {
                "id": entry.id,
                "amount": {"currency": entry.currency, "amountMinor": entry.amount_minor},
                "reason": entry.reason,
                "state": entry.state,
                "at": rfc3339(entry.at),
                **({"points": entry.points} if entry.points else {}),
            }
            for entry in progress.compensation
        ],
        "canRate": progress.can_rate,
    }


def _promise(promise: Promise) -> dict[str, str | None]:
    return {"firstResponseBy": _instant(promise.first_response_by), "resolveBy": _instant(promise.resolve_by)}


def _instant(instant: datetime | None) -> str | None:
    return rfc3339(instant) if instant else None


def _json(body: object, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(body, ensure_ascii=False), status, headers=headers, media_type="application/json")


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _answering(endpoint: Endpoint) -> Endpoint:
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientDisconnect:
            return problem(400, "disconnected")
        except Exception as error:  # noqa: BLE001  every failure is a problem document
            return problem_of(error)

    answer.__name__, answer.__doc__ = endpoint.__name__, endpoint.__doc__
    return answer


async def _http_problem(_: Request, error: Exception) -> Response:
    """What the framework refuses: no such path, method not allowed."""
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
    return problem(error.status_code, code, headers=error.headers)


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"model": ProblemBody, "content": {"application/problem+json": {}}, "description": "A problem."}
        for status in statuses
    }


def _header(name: str, description: str) -> dict[str, object]:
    schema = {"type": "string"}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}
