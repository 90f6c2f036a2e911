"""HTTP: a complaint in, its progress out."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from common import metrics
from common.clock import Clock
from common.errors import Invalid
from common.tracing import continue_trace
from services.intake import examples
from services.intake.answers import progress_body, receipt_body
from services.intake.body import check_json_type, parse_object, read_body
from services.intake.endpoints import (
    KEY_HEADER,
    Authenticate,
    DeskFor,
    Endpoint,
    answering,
    bearer,
    caller_of,
    header,
    json_answer,
    problem_answers,
    success,
    ticket_parameters,
)
from services.intake.fields import MAX_ID, check_key
from services.intake.form import ComplaintForm, Desk, FeedbackForm, check_feedback, check_http
from services.intake.handlers import Intake
from services.intake.model import Submission
from services.intake.problems import code_of
from services.intake.schemas import ProgressBody, ReceiptBody
from services.intake.texts import locale_of

Check = Callable[[dict[str, Any], Desk], Submission]


def complaint_routes(app: FastAPI, intake: Intake, desk_for: DeskFor, authenticate: Authenticate, clock: Clock) -> None:
    async def submitted(request: Request, check: Check) -> Response:
        started = clock.monotonic()
        caller = "unknown"
        try:
            caller = caller_of(request, authenticate)
            check_json_type(request)
            fields = parse_object(await read_body(request))
            key = request.headers.get(KEY_HEADER)
            with continue_trace(request.headers.get("traceparent")):
                submission = checked(fields, key, desk_for(caller), check)
                receipt = await intake.submit(submission, caller, key)
        except Exception as error:
            metrics.complaints_rejected.labels(caller, code_of(error)).inc()
            raise
        metrics.complaints_accepted.labels(submission.channel, submission.brand).inc()
        metrics.intake_ack_seconds.observe(clock.monotonic() - started)
        return json_answer(receipt_body(receipt), 201)

    async def submit_complaint(request: Request) -> Response:
        """Acknowledges a complaint once it is safely in the log. Repeat with the same key after a 503."""
        return await submitted(request, check_http)

    async def submit_feedback(request: Request) -> Response:
        """One tap from an order or its sign-off page: a complaint that needs no words. Answers as for a complaint."""
        order_id = request.path_params["order_id"]
        return await submitted(request, lambda fields, desk: check_feedback(fields, order_id, desk))

    async def get_progress(request: Request) -> Response:
        """How far a complaint is, with its token or a channel key. Never 404 for an acknowledged complaint."""
        trusted = authenticate(bearer(request)) is not None
        with continue_trace(request.headers.get("traceparent")):
            progress = await intake.progress(
                request.path_params["ticket_id"], request.query_params.get("token"), trusted
            )
        locale = locale_of(request.headers.get("accept-language"))
        return json_answer(
            progress_body(progress, locale), 200, {"cache-control": "no-store", "vary": "accept-language"}
        )

    _submission_route(app, "/api/complaint", submit_complaint, ComplaintForm, examples.COMPLAINT)
    order = {"name": "order_id", "in": "path", "required": True, "schema": {"type": "string", "maxLength": MAX_ID}}
    _submission_route(app, "/api/orders/{order_id}/feedback", submit_feedback, FeedbackForm, examples.FEEDBACK, order)
    app.add_api_route(
        "/api/complaint/{ticket_id}",
        answering(get_progress),
        methods=["GET"],
        response_model=None,
        responses={200: success(ProgressBody, "How far it is.", examples.PROGRESS), **problem_answers(401, 404, 429)},
        openapi_extra={
            "security": [{"channelKey": []}, {}],
            "parameters": [
                *ticket_parameters(),
                header("Accept-Language", "zh-CN (default), zh-TW or en."),
            ],
        },
    )


def _submission_route(
    app: FastAPI,
    path: str,
    endpoint: Endpoint,
    form: type[BaseModel],
    example: dict[str, object],
    *parameters: dict[str, object],
) -> None:
    app.add_api_route(
        path,
        answering(endpoint),
        methods=["POST"],
        status_code=201,
        response_model=None,
        responses={
            201: success(ReceiptBody, "It is in the log.", examples.RECEIPT),
            **problem_answers(400, 401, 408, 409, 413, 415, 422, 429, 503),
        },
        openapi_extra={
            "security": [{"channelKey": []}],
            "parameters": [
                *parameters,
                header(KEY_HEADER, "1 to 255 visible ASCII characters; makes a retry safe."),
            ],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": form.model_json_schema(), "example": example}},
            },
        },
    )


def checked(fields: dict[str, Any], key: str | None, desk: Desk, check: Check = check_http) -> Submission:
    """The complaint, with the key's problem beside the fields'. Raises Invalid."""
    wrong_key = check_key(key, KEY_HEADER)
    try:
        submission = check(fields, desk)
    except Invalid as error:
        raise Invalid([*error.problems, *([wrong_key] if wrong_key else [])]) from None
    if wrong_key:
        raise Invalid([wrong_key])
    return submission
