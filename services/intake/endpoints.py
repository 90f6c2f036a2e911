"""What every HTTP call has in common: who calls, how an answer is written, how a failure becomes a problem document."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from common.errors import Unauthenticated
from services.intake import examples
from services.intake.form import Desk
from services.intake.model import Locale
from services.intake.problems import problem, problem_of
from services.intake.schemas import ProblemBody
from services.intake.texts import locale_of

KEY_HEADER = "Idempotency-Key"
# The credential's channel, None where it isn't valid.
Authenticate = Callable[[str], str | None]
# What a complaint of that caller is checked against.
DeskFor = Callable[[str], Desk]
Endpoint = Callable[[Request], Awaitable[Response]]


def caller_of(request: Request, authenticate: Authenticate) -> str:
    """The channel whose key the request carries. Raises Unauthenticated."""
    caller = authenticate(bearer(request))
    if caller is None:
        raise Unauthenticated("a channel's bearer key is needed")
    return caller


def bearer(request: Request) -> str:
    """The bearer token of a request, "" where there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def json_answer(body: object, status: int, headers: dict[str, str] | None = None) -> Response:
    """A JSON document in UTF-8."""
    return Response(json.dumps(body, ensure_ascii=False), status, headers=headers, media_type="application/json")


def answering(endpoint: Endpoint) -> Endpoint:
    """The endpoint with every failure answered as a problem document."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientDisconnect:
            return problem(400, "disconnected")
        except Exception as error:  # noqa: BLE001  every failure is a problem document
            return problem_of(error, problem_locale(request))

    answer.__name__, answer.__doc__ = endpoint.__name__, endpoint.__doc__
    return answer


def problem_locale(request: Request) -> Locale:
    """The language of a problem's title: English for programs, which ask for none."""
    asked = request.headers.get("accept-language")
    return locale_of(asked) if asked else "en"


async def framework_problem(request: Request, error: Exception) -> Response:
    """What the framework refuses: no such path, method not allowed."""
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
    return problem(error.status_code, code, headers=error.headers, locale=problem_locale(request))


def success(model: type[BaseModel], description: str, example: dict[str, object]) -> dict[str, Any]:
    """A success as the description of a call knows it."""
    return {"model": model, "description": description, "content": {"application/json": {"example": example}}}


def problem_answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These statuses as the description of a call knows them."""
    return {
        status: {"model": ProblemBody, "content": {"application/problem+json": {}}, "description": "A problem."}
        for status in statuses
    }


def header(name: str, description: str) -> dict[str, object]:
    """An optional header in the description of a call."""
    schema = {"type": "string"}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def query(name: str, description: str, **schema: object) -> dict[str, object]:
    """An optional query parameter in the description of a call."""
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
    }


def ticket_parameters() -> list[dict[str, object]]:
    """What names a complaint in a path, and proves that one may."""
    number = {"type": "string", "example": examples.TICKET}
    return [
        {"name": "ticket_id", "in": "path", "required": True, "description": "Its number.", "schema": number},
        query("token", "The complaint's token; not needed with a channel key."),
    ]
