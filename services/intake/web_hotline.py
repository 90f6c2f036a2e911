"""HTTP: the hotline's console."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import FastAPI
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import Response

from common import metrics
from common.clock import Clock
from common.errors import Invalid, PermissionDenied
from common.tracing import continue_trace
from rules.number import parse
from services.intake.answers import receipt_body
from services.intake.body import check_json_type, parse_object, read_body
from services.intake.endpoints import Authenticate, DeskFor, answering, caller_of, json_answer, problem_answers
from services.intake.fields import Given, identifier, validated, wrong
from services.intake.form import ComplaintForm, Desk, check_http
from services.intake.handlers import Intake
from services.intake.model import Submission
from services.intake.policy import SYSTEM
from services.intake.problems import code_of
from services.intake.schemas import ReceiptBody

_CHANNEL = "hotline"
_MAX_URL = 500


def _needed(value: str) -> str:
    text = identifier(value)
    if not text:
        raise wrong("must not be blank")
    return text


def _link(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if len(value) > _MAX_URL or not value.isprintable() or parts.scheme not in ("http", "https") or not parts.netloc:
        raise wrong("must be a link (https://…) of at most 500 characters")
    return value


def _ticket(value: str | None) -> str | None:
    found = parse(value) if value is not None else None
    if value is not None and found is None:
        raise wrong("must be a ticket's number")
    return found


class CallForm(BaseModel):
    """What an operator's form has beside the complaint's own fields."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", title="Call")

    call_id: Annotated[StrictStr, AfterValidator(_needed)] = Field(
        description="The telephone system's own id, at most 64 characters: the same twice is one call."
    )
    operator: Annotated[StrictStr, AfterValidator(_needed)] = Field(description="Who took the call: a person's id.")
    recording: Annotated[Given, AfterValidator(_link)] = Field(None, description="Link of the recording.")
    ticket_id: Annotated[Given, AfterValidator(_ticket)] = Field(
        None, description="The customer's ticket the call is about, where he named it."
    )


_OWN = frozenset(to_camel(name) for name in CallForm.model_fields)


def hotline_routes(app: FastAPI, intake: Intake, desk_for: DeskFor, authenticate: Authenticate, clock: Clock) -> None:
    async def take_call(request: Request) -> Response:
        """A complaint an operator took by telephone. Repeat with the same `callId` after a 503."""
        started = clock.monotonic()
        caller = "unknown"
        try:
            caller = caller_of(request, authenticate)
            if caller not in (_CHANNEL, SYSTEM):
                raise PermissionDenied("the hotline's key is needed")
            check_json_type(request)
            fields = parse_object(await read_body(request))
            with continue_trace(request.headers.get("traceparent")):
                submission, key = check_call(fields, desk_for(_CHANNEL))
                receipt = await intake.submit(submission, _CHANNEL, key)
        except Exception as error:
            metrics.complaints_rejected.labels(caller, code_of(error)).inc()
            raise
        metrics.complaints_accepted.labels(_CHANNEL, submission.brand).inc()
        metrics.intake_ack_seconds.observe(clock.monotonic() - started)
        return json_answer(receipt_body(receipt), 201)

    app.add_api_route(
        "/channels/hotline",
        answering(take_call),
        methods=["POST"],
        status_code=201,
        response_model=None,
        responses={201: {"model": ReceiptBody}, **problem_answers(400, 401, 403, 409, 413, 415, 422, 429, 503)},
        openapi_extra={
            "security": [{"channelKey": []}],
            "requestBody": {"required": True, "content": {"application/json": {"schema": _schema()}}},
        },
    )


def check_call(fields: Mapping[str, object], desk: Desk) -> tuple[Submission, str]:
    """The complaint of an operator's form, and its key. Raises Invalid naming every wrong field."""
    problems = []
    call, submission = None, None
    try:
        call = validated(CallForm, {name: value for name, value in fields.items() if name in _OWN}, None, str)
    except Invalid as error:
        problems += error.problems
    try:
        submission = check_http({name: value for name, value in fields.items() if name not in _OWN}, desk)
    except Invalid as error:
        problems += error.problems
    if call is None or submission is None:
        raise Invalid(problems)
    facts = [("call_id", call.call_id), ("operator", call.operator)]
    if call.recording:
        facts.append(("recording", call.recording))
    taken = replace(submission, channel="hotline", channel_facts=tuple(facts), thread_ticket=call.ticket_id or "")
    return taken, f"call/{call.call_id}"


def _schema() -> dict[str, Any]:
    complaint, call = ComplaintForm.model_json_schema(), CallForm.model_json_schema()
    complaint["properties"] |= call["properties"]
    complaint["required"] = [*complaint["required"], *call["required"]]
    return {**complaint, "title": "Call"}
