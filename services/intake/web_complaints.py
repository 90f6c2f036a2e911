"""HTTP: a complaint in, its progress out."""

from datetime import datetime
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from common import metrics
from common.clock import Clock
from common.errors import Invalid
from common.tracing import continue_trace
from common.words import rfc3339
from rules.model import Promise
from services.intake import examples
from services.intake.body import check_json_type, parse_object, read_body
from services.intake.endpoints import (
    KEY_HEADER,
    Authenticate,
    DeskFor,
    answering,
    bearer,
    caller_of,
    header,
    json_answer,
    problem_answers,
    ticket_parameters,
)
from services.intake.fields import check_key
from services.intake.form import ComplaintForm, Desk, check_http
from services.intake.handlers import Intake
from services.intake.model import Locale, Progress, Receipt, Submission, TimelineEntry
from services.intake.problems import code_of
from services.intake.schemas import ProgressBody, ReceiptBody
from services.intake.texts import locale_of, status_text, timeline_text


def complaint_routes(app: FastAPI, intake: Intake, desk_for: DeskFor, authenticate: Authenticate, clock: Clock) -> None:
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
        return json_answer(receipt_body(receipt), 201)

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

    app.add_api_route(
        "/api/complaint",
        answering(submit_complaint),
        methods=["POST"],
        status_code=201,
        response_model=None,
        responses={201: {"model": ReceiptBody}, **problem_answers(400, 401, 409, 413, 415, 422, 503)},
        openapi_extra={
            "security": [{"channelKey": []}],
            "parameters": [header(KEY_HEADER, "1 to 255 visible ASCII characters; makes a retry safe.")],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": ComplaintForm.model_json_schema(), "example": examples.COMPLAINT}
                },
            },
        },
    )
    app.add_api_route(
        "/api/complaint/{ticket_id}",
        answering(get_progress),
        methods=["GET"],
        response_model=None,
        responses={200: {"model": ProgressBody}, **problem_answers(401, 404)},
        openapi_extra={
            "security": [{"channelKey": []}, {}],
            "parameters": [
                *ticket_parameters(),
                header("Accept-Language", "zh-CN (default), zh-TW or en."),
            ],
        },
    )


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
        "timeline": [entry_body(entry, locale) for entry in progress.timeline],
        "compensation": [
            {
                "id": entry.id,
                "amount": {"currency": entry.currency, "amountMinor": entry.amount_minor},
                "reason": entry.reason,
                "state": entry.state,
                "at": rfc3339(entry.at),
            }
            for entry in progress.compensation
        ],
        "canRate": progress.can_rate,
    }


def entry_body(entry: TimelineEntry, locale: Locale) -> dict[str, object]:
    """The JSON of one thing that happened."""
    return {
        "at": rfc3339(entry.at),
        "kind": entry.kind,
        "text": entry.text or timeline_text(entry.kind, locale),
        "images": list(entry.images),
    }


def _promise(promise: Promise) -> dict[str, str | None]:
    return {"firstResponseBy": _instant(promise.first_response_by), "resolveBy": _instant(promise.resolve_by)}


def _instant(instant: datetime | None) -> str | None:
    return rfc3339(instant) if instant else None
