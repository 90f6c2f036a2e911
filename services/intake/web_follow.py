"""HTTP: what a customer adds to a complaint: messages, a rating."""

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from common.tracing import continue_trace
from common.words import rfc3339
from services.intake import examples
from services.intake.body import check_json_type, parse_object, read_body
from services.intake.endpoints import (
    KEY_HEADER,
    Authenticate,
    Endpoint,
    answering,
    bearer,
    header,
    json_answer,
    problem_answers,
    success,
    ticket_parameters,
)
from services.intake.followups import FollowUps
from services.intake.form_follow import MessageForm, RatingForm, check_message, check_rating
from services.intake.schemas import MessageReceiptBody, RatingReceiptBody


def follow_routes(app: FastAPI, follow_ups: FollowUps, authenticate: Authenticate) -> None:
    """Adds the two calls."""

    async def add_message(request: Request) -> Response:
        """Adds to a complaint, with its token or a channel key. 201 once it is safely in the log."""
        check_json_type(request)
        fields = parse_object(await read_body(request))
        key = request.headers.get(KEY_HEADER)
        with continue_trace(request.headers.get("traceparent")):
            text, images = check_message(fields, key, KEY_HEADER)
            receipt = await follow_ups.add_message(*_who(request, authenticate), key, text, images)
        body = {"success": True, "messageId": receipt.message_id, "receivedAt": rfc3339(receipt.received_at)}
        return json_answer(body, 201)

    async def rate(request: Request) -> Response:
        """Rates the result, with the complaint's token or a channel key. 409 `cannot_rate` where there is none."""
        check_json_type(request)
        fields = parse_object(await read_body(request))
        key = request.headers.get(KEY_HEADER)
        with continue_trace(request.headers.get("traceparent")):
            score, resolved, comment = check_rating(fields, key, KEY_HEADER)
            receipt = await follow_ups.rate(*_who(request, authenticate), key, score, resolved, comment)
        body = {
            "success": True,
            "ratingId": receipt.rating_id,
            "receivedAt": rfc3339(receipt.received_at),
            "reopens": receipt.reopens,
        }
        return json_answer(body, 201)

    _route(app, "messages", add_message, MessageForm, MessageReceiptBody, examples.MESSAGE, examples.MESSAGE_RECEIPT)
    _route(app, "rating", rate, RatingForm, RatingReceiptBody, examples.RATING, examples.RATING_RECEIPT)


def _route(
    app: FastAPI,
    name: str,
    endpoint: Endpoint,
    form: type[BaseModel],
    answer: type[BaseModel],
    example: dict[str, object],
    answered: dict[str, object],
) -> None:
    app.add_api_route(
        f"/api/complaint/{{ticket_id}}/{name}",
        answering(endpoint),
        methods=["POST"],
        status_code=201,
        response_model=None,
        responses={
            201: success(answer, "It is in the log.", answered),
            **problem_answers(400, 401, 404, 408, 409, 413, 415, 422, 429, 503),
        },
        openapi_extra={
            "security": [{"channelKey": []}, {}],
            "parameters": [
                *ticket_parameters(),
                header(KEY_HEADER, "1 to 255 visible ASCII characters; makes a retry safe."),
            ],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": form.model_json_schema(), "example": example}},
            },
        },
    )


def _who(request: Request, authenticate: Authenticate) -> tuple[str, str | None, str]:
    """Number, token, and the channel whose key the request carries ("" for none)."""
    caller = authenticate(bearer(request)) or ""
    return request.path_params["ticket_id"], request.query_params.get("token"), caller
