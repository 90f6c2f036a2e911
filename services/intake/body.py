"""Reading a request's JSON object, within bounds."""

import asyncio
import json
from typing import Any, NoReturn

from starlette.requests import Request

from services.intake.problems import Unreadable
from services.intake.text import valid_unicode

MAX_BODY = 1024 * 1024
MAX_DRAINED = 16 * 1024 * 1024
BODY_SECONDS = 20.0


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """The body. Beyond `limit` it is read on and dropped, so that the client gets to read its 413 (interfaces.md).

    Raises Unreadable: 413; 408 where it doesn't arrive in time.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= limit:
                    chunks.append(chunk)
                if size > MAX_DRAINED:
                    break
    except TimeoutError:
        raise Unreadable(408, "body_timeout", "the body didn't arrive in time", close=True) from None
    if size > limit:
        raise Unreadable(413, "too_large", f"at most {limit} bytes", close=size > MAX_DRAINED)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def check_json_type(request: Request) -> None:
    """Raises Unreadable (415) for a body that doesn't claim to be plain JSON in UTF-8."""
    kind, *parameters = request.headers.get("content-type", "").lower().split(";")
    charset = next((p.partition("=")[2].strip('" ') for p in parameters if p.strip().startswith("charset=")), "utf-8")
    if kind.strip() != "application/json" or charset not in ("utf-8", "utf8"):
        raise Unreadable(415, "unsupported_media_type", "the body must be application/json in UTF-8")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Unreadable(415, "unsupported_content_encoding", "the body must not be compressed")


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises Unreadable (400), each reason with its code."""
    try:
        parsed = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise Unreadable(400, "invalid_utf8", "the body isn't valid UTF-8") from None
    except (ValueError, RecursionError):
        raise Unreadable(400, "invalid_json", "the body isn't valid JSON") from None
    if not isinstance(parsed, dict):
        raise Unreadable(400, "not_an_object", "the body must be a JSON object")
    return parsed


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # Which of two values is meant nobody knows, and parsers differ.
        raise Unreadable(400, "duplicate_key", "a key occurs twice in one object")
    if not all(key.isascii() or valid_unicode(key) for key in found):
        raise Unreadable(400, "invalid_unicode", "a key isn't valid Unicode")
    return found


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity aren't JSON")
