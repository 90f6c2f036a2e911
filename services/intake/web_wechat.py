"""HTTP: the callback of an official account of WeChat.

WeChat waits five seconds. Its document says that an empty answer and "success" end the matter: there is no retry. So
what couldn't be put into the log in time is answered with a request to send it again; only a connection that breaks is
retried, under the same message id, which is the same complaint.
"""

import asyncio
import secrets
from collections.abc import Mapping
from typing import cast

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from common import metrics
from common.clock import Clock
from common.errors import PingxiError, Unauthenticated, Unavailable
from rules.model import Category
from services.intake.body import read_body
from services.intake.conversations import Conversations
from services.intake.endpoints import DeskFor, answering, problem_answers
from services.intake.model import Locale, Submission
from services.intake.problems import Unreadable, code_of
from services.intake.signing import words_signed
from services.intake.wechat import Account, Note, read_note, reply_xml, sealed_xml
from services.intake.xml import Malformed, read_flat

MAX_XML = 64 * 1024
# Of the five seconds, what the way there and back may take.
ANSWER_SECONDS = 4.0
_CHANNEL = "wechat"
_NOTHING = "success"


def wechat_routes(
    app: FastAPI, conversations: Conversations, desk_for: DeskFor, account: Account | None, clock: Clock
) -> None:
    """Without an account every call is refused."""

    async def confirm_address(request: Request) -> Response:
        """WeChat asks whether this address is ours: the answer is its own `echostr`."""
        _signed(request)
        return PlainTextResponse(request.query_params.get("echostr", ""))

    async def receive_message(request: Request) -> Response:
        """A follower's message or act, plain or encrypted, answered in the same way within five seconds."""
        try:
            return await _receive(request, _signed(request))
        except Exception as error:
            metrics.complaints_rejected.labels(_CHANNEL, code_of(error)).inc()
            raise

    def _signed(request: Request) -> Account:
        asked = request.query_params
        words = (asked.get("timestamp", ""), asked.get("nonce", ""))
        if account is None or not words_signed(asked.get("signature", ""), account.token, *words):
            raise Unauthenticated("the signature isn't valid")
        return account

    async def _receive(request: Request, account: Account) -> Response:
        asked = request.query_params
        fields = _fields(await read_body(request, MAX_XML))
        encrypted = asked.get("encrypt_type") == "aes"
        if encrypted:
            words = (asked.get("timestamp", ""), asked.get("nonce", ""), fields.get("Encrypt", ""))
            if not words_signed(asked.get("msg_signature", ""), account.token, *words):
                raise Unauthenticated("the signature isn't valid")
            fields = _fields(account.envelope.open(fields.get("Encrypt", "")))
        note = read_note(fields)
        if note is None:
            raise Unreadable(400, "invalid_message", "the message has no FromUserName, MsgType or MsgId")
        text = await _answer(note, account)
        if not text:
            return PlainTextResponse(_NOTHING)
        now = int(clock.now().timestamp())
        answer = reply_xml(fields, text, now)
        if encrypted:
            answer = sealed_xml(
                account.envelope, account.token, answer, secrets.token_bytes(16), str(now), asked.get("nonce", "")
            )
        return Response(answer, media_type="application/xml")

    async def _answer(note: Note, account: Account) -> str:
        """What the follower is told, "" for nothing."""
        desk = desk_for(_CHANNEL)
        brand = account.brand or desk.default_brand
        locale = cast(Locale, desk.policies[brand].brand.default_locale)
        if note.kind == "greet":
            return conversations.greeting(brand, locale)
        if note.kind == "unknown":
            return conversations.unreadable(brand, locale)
        if note.kind == "nothing":
            return ""
        submission = Submission(
            brand=brand,
            channel="wechat",
            declared=Category.OTHER,
            description=note.text,
            contact=note.contact,
            locale=locale,
            channel_facts=note.facts,
        )
        started = clock.monotonic()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await conversations.take(submission, note.key)
        except (TimeoutError, PingxiError) as error:
            known = error if isinstance(error, PingxiError) else Unavailable("the log didn't acknowledge in time")
            metrics.complaints_rejected.labels(_CHANNEL, code_of(known)).inc()
            return conversations.again(brand, locale)
        if answer.receipt is not None:
            metrics.complaints_accepted.labels(_CHANNEL, brand).inc()
            metrics.intake_ack_seconds.observe(clock.monotonic() - started)
        return answer.reply

    app.add_api_route(
        "/channels/wechat",
        answering(confirm_address),
        methods=["GET"],
        response_model=None,
        responses={200: {"content": {"text/plain": {}}}, **problem_answers(401)},
        openapi_extra={"parameters": _queries("signature", "timestamp", "nonce", "echostr")},
    )
    app.add_api_route(
        "/channels/wechat",
        answering(receive_message),
        methods=["POST"],
        response_model=None,
        responses={200: {"content": {"application/xml": {}, "text/plain": {}}}, **problem_answers(400, 401, 413)},
        openapi_extra={
            "parameters": _queries("signature", "timestamp", "nonce", "encrypt_type", "msg_signature"),
            "requestBody": {"required": True, "content": {"text/xml": {"schema": {"type": "string"}}}},
        },
    )


def _fields(body: bytes) -> Mapping[str, str]:
    try:
        return read_flat(body)
    except Malformed as error:
        raise Unreadable(400, "invalid_xml", str(error)) from None


def _queries(*names: str) -> list[dict[str, object]]:
    return [{"name": name, "in": "query", "required": False, "schema": {"type": "string"}} for name in names]
