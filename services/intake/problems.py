"""Errors as RFC 9457 `application/problem+json`, with a stable `code`; never a word of what was sent."""

import json
import logging
import math
import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from starlette.responses import Response

from common import errors
from common.errors import PingxiError
from services.intake.model import Locale
from services.intake.problem_titles import title_of

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
MAX_PROBLEMS = 50

_STATUS: Mapping[type[PingxiError], int] = {
    errors.Invalid: 422,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.StaleVersion: 409,
    errors.Refused: 409,
    errors.Unauthenticated: 401,
    errors.PermissionDenied: 403,
    errors.Unavailable: 503,
    errors.RateLimited: 429,
}


class Unreadable(PingxiError):
    """A request that isn't even a form: too large, not JSON, of the wrong kind. `close`: don't read on.

    Its one problem is named as a form's are: the field is `body`.
    """

    def __init__(self, status: int, code: str, message: str, *, close: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.close = close
        self.problems = (errors.FieldProblem("body", message),)


def problem(
    status: int,
    code: str,
    detail: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    locale: Locale = "en",
    **members: object,
) -> Response:
    """A problem document. `title` is for the customer, `detail` for his program, `type` an URN of the code."""
    title = title_of(code, locale) or HTTPStatus(status).phrase
    body: dict[str, object] = {"type": f"urn:pingxi:problem:{code}", "title": title}
    body |= {"status": status, "code": code}
    if detail:
        body["detail"] = detail
    text = json.dumps(body | members, ensure_ascii=False)
    return Response(text, status, headers=headers, media_type=MEDIA_TYPE)


def problem_of(error: Exception, locale: Locale = "en") -> Response:
    """The problem of an expected error; anything else is logged, without its text, and is a 500."""
    if isinstance(error, Unreadable):
        headers = {"connection": "close"} if error.close else None
        listed = _listed(error.problems)
        return problem(error.status, error.code, str(error), headers=headers, locale=locale, errors=listed)
    if isinstance(error, errors.Invalid):
        listed = _listed(error.problems)
        return problem(422, error.code, "fields are missing or wrong", locale=locale, errors=listed)
    if isinstance(error, errors.Unavailable | errors.RateLimited):
        headers = {"retry-after": str(max(1, math.ceil(error.retry_after)))}
        return problem(_STATUS[type(error)], error.code, str(error), headers=headers, locale=locale)
    if isinstance(error, errors.Unauthenticated):
        return problem(401, error.code, str(error), headers={"www-authenticate": "Bearer"}, locale=locale)
    if isinstance(error, PingxiError):
        return problem(_STATUS.get(type(error), 500), error.code, str(error), locale=locale)
    # An unexpected error's text may quote the complaint: its kind and place are enough to find it.
    place = " < ".join(
        f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[:-4:-1]
    )
    log.error("request failed at %s", place, extra={"reason": type(error).__name__})
    return problem(500, "internal", "something went wrong here; it has been noted", locale=locale)


def _listed(problems: Sequence[errors.FieldProblem]) -> list[dict[str, str]]:
    return [{"field": each.field, "message": each.message} for each in problems[:MAX_PROBLEMS]]


def code_of(error: Exception) -> str:
    """The code of an error, for counting."""
    return error.code if isinstance(error, PingxiError) else "internal"
