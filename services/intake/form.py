"""What a client may send as a complaint: one model for HTTP and gRPC, every problem named at once.

A problem's message never quotes what was sent: it may be a phone number, an address or the complaint itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from pydantic import (
    AfterValidator,
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidationInfo,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from common.contact import MAX_LENGTH, normalise_contact
from common.errors import FieldProblem, Invalid
from rules.lateness import ORDER_LATE
from rules.model import Category, PolicySet
from rules.routing import category_of
from services.intake.model import CHANNELS, LOCALES, Channel, Locale, Submission
from services.intake.policy import SYSTEM, may_name
from services.intake.text import valid_unicode, visible

MAX_DESCRIPTION = 200
MAX_IMAGES = 3
MAX_ID = 64

_OURS = "pingxi"
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_UPLOAD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DIGITS = re.compile(r"[0-9]{5,}")


@dataclass(frozen=True)
class Desk:
    """What a complaint is checked against: the brands, and who calls."""

    policies: Mapping[str, PolicySet]
    default_brand: str
    caller: str

    def brand(self, info: ValidationInfo) -> PolicySet:
        """The policies of the brand named, of the default one where none (or none that exists) is."""
        return self.policies[info.data.get("brand") or self.default_brand]


def _desk(info: ValidationInfo) -> Desk:
    return cast(Desk, info.context)


def _problem(message: str) -> PydanticCustomError:
    # The type is for literals, so that nobody formats input into a message; ours are made of rules and policies only.
    return PydanticCustomError(_OURS, cast(Any, message))


def _one_of(words: list[str]) -> PydanticCustomError:
    return _problem("must be one of " + ", ".join(words))


def _brand(value: str | None, info: ValidationInfo) -> str:
    desk = _desk(info)
    if value is None:
        return desk.default_brand
    if value not in desk.policies:
        raise _problem("no such brand")
    return value


def _type(value: str, info: ValidationInfo) -> str:
    routing = _desk(info).brand(info).routing
    word = value.strip()
    if category_of(routing, word) is None:
        raise _one_of([*routing.declared_types, *Category])
    return word


def _description(value: str) -> str:
    text = value.strip()
    if not valid_unicode(text):
        raise _problem("must be valid Unicode")
    if not visible(text):
        raise _problem("must not be blank")
    if len(text) > MAX_DESCRIPTION:
        raise _problem(f"must have at most {MAX_DESCRIPTION} characters")
    return text


def _contact(value: str) -> str:
    if not value.strip():
        raise _problem("must not be blank")
    if len(value) > MAX_LENGTH:
        raise _problem(f"must have at most {MAX_LENGTH} characters")
    contact = normalise_contact(value)
    if contact is None:
        raise _problem("must be a phone number or a mail address")
    return contact


def _contact_if_given(value: str | None) -> str:
    return "" if value is None else _contact(value)


def _identifier(value: str | None) -> str:
    text = (value or "").strip()
    if len(text) > MAX_ID:
        raise _problem(f"must have at most {MAX_ID} characters")
    if not text.isprintable():
        raise _problem("must not have control characters")
    return text


def _few(value: object) -> object:
    # Before its items are looked at: a million of wrong ones is one problem.
    if isinstance(value, list) and len(value) > MAX_IMAGES:
        raise _problem(f"must be at most {MAX_IMAGES}")
    return value


def _uploads(value: list[str] | None) -> list[str] | None:
    if not all(_UPLOAD.fullmatch(image) for image in value or ()):
        raise _problem("must be ids of uploads")
    return value


def _channel(value: str | None, info: ValidationInfo) -> str:
    caller = _desk(info).caller
    if value is None:
        return caller
    if value not in CHANNELS:
        raise _one_of(list(CHANNELS))
    if not may_name(caller, value):
        raise _problem("must be the channel of the key, or absent")
    return value


def _locale(value: str | None, info: ValidationInfo) -> str:
    if value is None:
        return _desk(info).brand(info).brand.default_locale
    if value not in LOCALES:
        raise _one_of(list(LOCALES))
    return value


def _instant(value: object) -> datetime | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise _problem("must be a text")
    if _RFC3339.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise _problem("must be a date and time as in RFC 3339, such as 2026-11-22T12:00:00Z")


def _none_if_empty(value: object) -> object:
    """Forms send an empty text for what wasn't filled in."""
    return None if value == "" else value


_Given = Annotated[StrictStr | None, BeforeValidator(_none_if_empty)]
_Identifier = Annotated[StrictStr | None, AfterValidator(_identifier)]


class ComplaintForm(BaseModel):
    """A complaint. The order of the fields is the order of the checks: `brand` first, for others depend on it."""

    model_config = ConfigDict(
        alias_generator=AliasGenerator(alias=to_camel), extra="forbid", validate_default=True, title="Complaint"
    )

    brand: Annotated[_Given, AfterValidator(_brand)] = Field(
        None, description="Whose customer it is; the installation's default brand if absent."
    )
    type: Annotated[StrictStr, AfterValidator(_type)] = Field(
        description="商品质量, 配送, 价格, 客服态度, 其他, or the English code of a category."
    )
    description: Annotated[StrictStr, AfterValidator(_description)] = Field(
        description="What happened; not blank.", json_schema_extra={"minLength": 1, "maxLength": MAX_DESCRIPTION}
    )
    contact: Annotated[StrictStr, AfterValidator(_contact)] = Field(
        description="A phone number (of China, if it has no country code) or a mail address."
    )
    order_id: _Identifier = Field(None, description="At most 64 characters.")
    images: Annotated[list[StrictStr] | None, BeforeValidator(_few), AfterValidator(_uploads)] = Field(
        None, description="Ids that POST /api/uploads gave.", json_schema_extra={"maxItems": MAX_IMAGES}
    )
    customer_id: _Identifier = Field(None, description="The brand's own id of its customer.")
    region: _Identifier = Field(None, description="Where it happened, as the brand names its regions.")
    merchant_id: _Identifier = None
    product_id: _Identifier = None
    channel: Annotated[_Given, AfterValidator(_channel)] = Field(
        None,
        description="The channel of the key, or absent; the hotline's key may name another.",
        json_schema_extra={"enum": [*CHANNELS, None]},
    )
    occurred_at: Annotated[datetime | None, BeforeValidator(_instant)] = Field(
        None, description="When it happened (RFC 3339); believed within five minutes of the present."
    )
    locale: Annotated[_Given, AfterValidator(_locale)] = Field(
        None, description="The brand's own if absent.", json_schema_extra={"enum": [*LOCALES, None]}
    )


class SystemForm(ComplaintForm):
    """What another service of ours sends about an order it watches: it knows the customer by his id only."""

    model_config = ConfigDict(title="Complaint of the system")

    contact: Annotated[_Given, AfterValidator(_contact_if_given)] = Field(  # type: ignore[assignment]
        None, description="A phone number or a mail address; required without a customer_id."
    )
    order_late: StrictInt | None = Field(
        None, alias="order_late", ge=0, description="How far past its promised time the order is, milliseconds."
    )


_ALIASES = {name: to_camel(name) for name in ComplaintForm.model_fields}
_NAMES = {alias: name for name, alias in _ALIASES.items()}
_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "string_type": "must be a text",
    "list_type": "must be a list of texts",
}


def check_http(fields: Mapping[str, object], desk: Desk) -> Submission:
    """The complaint of a JSON object. Raises Invalid naming every wrong field as the client named it."""
    return _check(fields, desk, lambda name: name)


def check_grpc(fields: Mapping[str, object], desk: Desk) -> Submission:
    """The complaint of a request's fields (snake case; those not given left out). Raises Invalid likewise."""
    renamed = {_ALIASES.get(name, name): value for name, value in fields.items()}
    if desk.caller != SYSTEM:
        return _check(renamed, desk, lambda name: _NAMES.get(name, name))
    submission = _check(renamed, desk, lambda name: _NAMES.get(name, name), SystemForm)
    if not submission.contact and not submission.customer_id:
        raise Invalid([FieldProblem("contact", "this or customer_id is required")])
    late = fields.get("order_late")
    return submission if late is None else replace(submission, channel_facts=((ORDER_LATE, str(late)),))


def check_key(key: str | None, field: str) -> FieldProblem | None:
    """What is wrong with an idempotency key, sent as `field`."""
    if key is None or _KEY.fullmatch(key):
        return None
    return FieldProblem(field, "must have 1 to 255 visible ASCII characters")


def _check(
    fields: Mapping[str, object], desk: Desk, named: Any, kind: type[ComplaintForm] = ComplaintForm
) -> Submission:
    try:
        form = kind.model_validate(fields, context=desk)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise Invalid([_as_problem(each, named) for each in found]) from None
    return Submission(
        brand=cast(str, form.brand),
        channel=cast(Channel, form.channel),
        declared=form.type,
        description=form.description,
        contact=form.contact,
        locale=cast(Locale, form.locale),
        order_id=form.order_id or "",
        customer_id=form.customer_id or "",
        region=form.region or "",
        merchant_id=form.merchant_id or "",
        product_id=form.product_id or "",
        images=tuple(form.images or ()),
        occurred_at=form.occurred_at,
    )


def _as_problem(error: ErrorDetails, named: Any) -> FieldProblem:
    first, *rest = error["loc"] or ("",)
    name = _shown(str(first)) if error["type"] == "extra_forbidden" else named(str(first))
    place = "".join(f"[{part}]" for part in rest if isinstance(part, int))
    kind = error["type"]
    message = error["msg"] if kind == _OURS else _MESSAGES.get(kind, "is not valid")
    return FieldProblem(name + place, message)


def _shown(name: str) -> str:
    """An unknown field's name, unless somebody put a number or a text there."""
    return _DIGITS.sub("*", name if len(name) <= MAX_ID else name[:MAX_ID] + "…")
