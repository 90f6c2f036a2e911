"""What fields of a request may hold, whichever call they belong to, and how a wrong one is named.

A problem's message never quotes what was sent: it may be a phone number, an address or the complaint itself.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, StrictStr, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from common.errors import FieldProblem, Invalid
from services.intake.text import valid_unicode, visible

MAX_IMAGES = 3
MAX_ID = 64

M = TypeVar("M", bound=BaseModel)

_OURS = "pingxi"
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_UPLOAD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DIGITS = re.compile(r"[0-9]{5,}")


def wrong(message: str) -> PydanticCustomError:
    """What a validator raises."""
    # The type is for literals, so that nobody formats input into a message; ours are made of rules and policies only.
    return PydanticCustomError(_OURS, cast(Any, message))


def one_of(words: list[str]) -> PydanticCustomError:
    """What a validator raises for a word that isn't one of these."""
    return wrong("must be one of " + ", ".join(words))


def text_of(value: str, longest: int) -> str:
    """The text without the space around it; "" where there is nothing to see. For validators."""
    text = value.strip()
    if not valid_unicode(text):
        raise wrong("must be valid Unicode")
    if len(text) > longest:
        raise wrong(f"must have at most {longest} characters")
    return text if visible(text) else ""


def identifier(value: str | None) -> str:
    """An id as the client names things; "" for none."""
    text = (value or "").strip()
    if len(text) > MAX_ID:
        raise wrong(f"must have at most {MAX_ID} characters")
    if not text.isprintable():
        raise wrong("must not have control characters")
    return text


def few(value: object) -> object:
    """At most MAX_IMAGES."""
    # Before its items are looked at: a million of wrong ones is one problem.
    if isinstance(value, list) and len(value) > MAX_IMAGES:
        raise wrong(f"must be at most {MAX_IMAGES}")
    return value


def uploads(value: list[str] | None) -> list[str] | None:
    """Ids as POST /api/uploads gives them; whether they exist only the database knows, and it isn't asked."""
    if not all(_UPLOAD.fullmatch(image) for image in value or ()):
        raise wrong("must be ids of uploads")
    return value


def instant(value: object) -> datetime | None:
    """RFC 3339, with an offset."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise wrong("must be a text")
    if _RFC3339.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise wrong("must be a date and time as in RFC 3339, such as 2026-11-22T12:00:00Z")


def none_if_empty(value: object) -> object:
    """Forms send an empty text for what wasn't filled in."""
    return None if value == "" else value


Given = Annotated[StrictStr | None, BeforeValidator(none_if_empty)]
Identifier = Annotated[StrictStr | None, AfterValidator(identifier)]


Images = Annotated[list[StrictStr] | None, BeforeValidator(few), AfterValidator(uploads)]

_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "string_type": "must be a text",
    "list_type": "must be a list of texts",
}


def check_key(key: str | None, field: str) -> FieldProblem | None:
    """What is wrong with an idempotency key, sent as `field`."""
    if key is None or _KEY.fullmatch(key):
        return None
    return FieldProblem(field, "must have 1 to 255 visible ASCII characters")


def validated(model: type[M], fields: Mapping[str, object], context: object, named: Callable[[str], str]) -> M:
    """The model of these fields. Raises Invalid naming every wrong field, as `named` says."""
    try:
        return model.model_validate(fields, context=context)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise Invalid([_as_problem(each, named) for each in found]) from None


def _as_problem(error: ErrorDetails, named: Any) -> FieldProblem:
    first, *rest = error["loc"] or ("",)
    name = shown(str(first)) if error["type"] == "extra_forbidden" else named(str(first))
    place = "".join(f"[{part}]" for part in rest if isinstance(part, int))
    kind = error["type"]
    message = error["msg"] if kind == _OURS else _MESSAGES.get(kind, "is not valid")
    return FieldProblem(name + place, message)


def shown(name: str) -> str:
    """An unknown field's name, unless somebody put a number or a text there."""
    return _DIGITS.sub("*", name if len(name) <= MAX_ID else name[:MAX_ID] + "…")
