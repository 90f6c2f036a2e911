"""HTTP: texts from an SMS gateway."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from common import metrics
from common.clock import Clock
from common.errors import Unauthenticated
from common.tracing import continue_trace
from common.words import rfc3339
from services.intake.body import check_json_type, parse_object, read_body
from services.intake.conversations import Answer, Conversations
from services.intake.endpoints import DeskFor, answering, header, json_answer, problem_answers
from services.intake.problems import code_of
from services.intake.schemas import SmsAnswerBody
from services.intake.signing import signed
from services.intake.sms import SmsForm, check_sms

MAX_SMS = 128 * 1024
_CHANNEL = "sms"


def sms_routes(app: FastAPI, conversations: Conversations, desk_for: DeskFor, key: str | None, clock: Clock) -> None:
    """`key` is the channel's; without one nobody can sign."""

    async def receive_sms(request: Request) -> Response:
        """A text, or a part of one. 200 once it is safely in the log; a command has a reply for the customer.

        The body is signed: `X-Signature` is `sha256=` and the HMAC-SHA256, with the key of channel `sms`, of the
        timestamp, a dot and the body. Repeat with the same `messageId` after a 503.
        """
        started = clock.monotonic()
        try:
            body = await read_body(request, MAX_SMS)
            _check_signature(request, body)
            check_json_type(request)
            with continue_trace(request.headers.get("traceparent")):
                sms = check_sms(parse_object(body), desk_for(_CHANNEL))
                answer = await conversations.take(sms.submission, sms.key, sms.part)
        except Exception as error:
            metrics.complaints_rejected.labels(_CHANNEL, code_of(error)).inc()
            raise
        if answer.receipt is not None:
            metrics.complaints_accepted.labels(_CHANNEL, sms.submission.brand).inc()
            metrics.intake_ack_seconds.observe(clock.monotonic() - started)
        return json_answer(sms_body(answer), 200)

    def _check_signature(request: Request, body: bytes) -> None:
        timestamp, signature = request.headers.get("x-timestamp", ""), request.headers.get("x-signature", "")
        if key is None or not signed(key, timestamp, body, signature, clock.now()):
            # One sentence for whatever is wrong: who forges learns nothing.
            raise Unauthenticated("the signature isn't valid, or too old")

    app.add_api_route(
        "/channels/sms",
        answering(receive_sms),
        methods=["POST"],
        response_model=None,
        responses={200: {"model": SmsAnswerBody}, **problem_answers(400, 401, 409, 413, 415, 422, 429, 503)},
        openapi_extra={
            "parameters": [
                header("X-Timestamp", "Seconds or milliseconds since 1970, or RFC 3339; within five minutes of now."),
                header("X-Signature", "sha256=hex(HMAC-SHA256(key, timestamp + '.' + body))."),
            ],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": SmsForm.model_json_schema()}},
            },
        },
    )


def sms_body(answer: Answer) -> dict[str, object]:
    """The JSON of a 200. A command has no `id`: nothing was put into the log. Only it has a `reply`: a complaint is
    confirmed by the notifier, which knows what became of it."""
    receipt = answer.receipt
    return {
        "success": True,
        "id": receipt.ticket_id if receipt else None,
        "acknowledgedAt": rfc3339(receipt.acknowledged_at) if receipt else None,
        "reply": None if receipt else answer.reply,
    }
