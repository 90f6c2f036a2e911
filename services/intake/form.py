"""What a client may send as a complaint: one model for HTTP and gRPC, every problem named at once.

A problem's message never quotes what was sent: it may be a phone number, an address or the complaint itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
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
    ValidationInfo,
)
from pydantic.alias_generators import to_camel

from common.contact import MAX_LENGTH, normalise_contact
from common.errors import FieldProblem, Invalid
from rules.lateness import ORDER_LATE
from rules.model import Category, PolicySet
from rules.routing import category_of
from services.intake.fields import MAX_IMAGES, Given, Identifier, Images, instant, one_of, text_of, validated, wrong
from services.intake.model import CHANNELS, LOCALES, Channel, Locale, Submission
from services.intake.policy import SYSTEM, may_name

MAX_DESCRIPTION = 200


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


def _brand(value: str | None, info: ValidationInfo) -> str:
    desk = _desk(info)
    if value is None:
        return desk.default_brand
    if value not in desk.policies:
        raise wrong("no such brand")
    return value


def _type(value: str, info: ValidationInfo) -> str:
    routing = _desk(info).brand(info).routing
    word = value.strip()
    if category_of(routing, word) is None:
        raise one_of([*routing.declared_types, *Category])
    return word


def _description(value: str) -> str:
    text = text_of(value, MAX_DESCRIPTION)
    if not text:
        raise wrong("must not be blank")
    return text


def _contact(value: str) -> str:
    if not value.strip():
        raise wrong("must not be blank")
    if len(value) > MAX_LENGTH:
        raise wrong(f"must have at most {MAX_LENGTH} characters")
    contact = normalise_contact(value)
    if contact is None:
        raise wrong("must be a phone number or a mail address")
    return contact


def _type_if_given(value: str | None, info: ValidationInfo) -> str:
    return Category.OTHER.value if value is None else _type(value, info)


def _description_if_given(value: str | None) -> str:
    return text_of(value or "", MAX_DESCRIPTION)


def _contact_if_given(value: str | None) -> str:
    return "" if value is None else _contact(value)


def _channel(value: str | None, info: ValidationInfo) -> str:
    caller = _desk(info).caller
    if value is None:
        return caller
    if value not in CHANNELS:
        raise one_of(list(CHANNELS))
    if not may_name(caller, value):
        raise wrong("must be the channel of the key, or absent")
    return value


def _locale(value: str | None, info: ValidationInfo) -> str:
    if value is None:
        return _desk(info).brand(info).brand.default_locale
    if value not in LOCALES:
        raise one_of(list(LOCALES))
    return value


class ComplaintForm(BaseModel):
    """A complaint. The order of the fields is the order of the checks: `brand` first, for others depend on it."""

    model_config = ConfigDict(
        alias_generator=AliasGenerator(alias=to_camel), extra="forbid", validate_default=True, title="Complaint"
    )

    brand: Annotated[Given, AfterValidator(_brand)] = Field(
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
    order_id: Identifier = Field(None, description="At most 64 characters.")
    images: Images = Field(
        None, description="Ids that POST /api/uploads gave.", json_schema_extra={"maxItems": MAX_IMAGES}
    )
    customer_id: Identifier = Field(None, description="The brand's own id of its customer.")
    region: Identifier = Field(None, description="Where it happened, as the brand names its regions.")
    merchant_id: Identifier = None
    product_id: Identifier = None
    channel: Annotated[Given, AfterValidator(_channel)] = Field(
        None,
        description="The channel of the key, or absent; the hotline's key may name another.",
        json_schema_extra={"enum": [*CHANNELS, None]},
    )
    occurred_at: Annotated[datetime | None, BeforeValidator(instant)] = Field(
        None, description="When it happened (RFC 3339); believed within five minutes of the present."
    )
    locale: Annotated[Given, AfterValidator(_locale)] = Field(
        None, description="The brand's own if absent.", json_schema_extra={"enum": [*LOCALES, None]}
    )


class FeedbackForm(ComplaintForm):
    """What one tap sends: everything is optional but a way to the customer, his id or a contact.

    The checks give a text in any case, so it is a complaint for who reads it.
    """

    model_config = ConfigDict(title="Feedback")

    type: Annotated[Given, AfterValidator(_type_if_given)] = Field(  # type: ignore[assignment]
        None, description="As for a complaint; 其他 (other) if absent."
    )
    description: Annotated[StrictStr | None, AfterValidator(_description_if_given)] = Field(  # type: ignore[assignment]
        None, description="What happened.", json_schema_extra={"maxLength": MAX_DESCRIPTION}
    )
    contact: Annotated[Given, AfterValidator(_contact_if_given)] = Field(  # type: ignore[assignment]
        None, description="A phone number or a mail address; required without a customerId."
    )


class SystemForm(ComplaintForm):
    """What another service of ours sends about an order it watches: it knows the customer by his id only."""

    model_config = ConfigDict(title="Complaint of the system")

    contact: Annotated[Given, AfterValidator(_contact_if_given)] = Field(  # type: ignore[assignment]
        None, description="A phone number or a mail address; required without a customer_id."
    )
    order_late: StrictInt | None = Field(
        None, alias="order_late", ge=0, description="How far past its promised time the order is, milliseconds."
    )


_ALIASES = {name: to_camel(name) for name in ComplaintForm.model_fields}
_NAMES = {alias: name for name, alias in _ALIASES.items()}


def check_http(fields: Mapping[str, object], desk: Desk) -> Submission:
    """The complaint of a JSON object. Raises Invalid naming every wrong field as the client named it."""
    return _check(fields, desk, lambda name: name)


def check_feedback(fields: Mapping[str, object], order_id: str, desk: Desk) -> Submission:
    """The complaint of one tap about an order. Raises Invalid likewise."""
    further = [] if "orderId" not in fields else [FieldProblem("orderId", "is in the path")]
    if not order_id.strip():
        further.append(FieldProblem("orderId", "must not be blank"))
    try:
        submission = _check({**fields, "orderId": order_id}, desk, lambda name: name, FeedbackForm)
    except Invalid as error:
        raise Invalid([*error.problems, *further]) from None
    if not submission.contact and not submission.customer_id:
        further.append(FieldProblem("contact", "this or customerId is required"))
    if further:
        raise Invalid(further)
    return submission


def check_grpc(fields: Mapping[str, object], desk: Desk) -> Submission:
    """The complaint of a request's fields (snake case; those not given left out). Raises Invalid likewise."""
    renamed = {_ALIASES.get(name, name): value for name, value in fields.items()}
    if desk.caller != SYSTEM:
        return _check(renamed, desk, lambda name: _NAMES.get(name, name))
    nobody = not (fields.get("contact") or fields.get("customer_id"))
    further = [FieldProblem("contact", "this or customer_id is required")] if nobody else []
    try:
        submission = _check(renamed, desk, lambda name: _NAMES.get(name, name), SystemForm)
    except Invalid as error:
        raise Invalid([*error.problems, *further]) from None
    if further:
        raise Invalid(further)
    late = fields.get("order_late")
    return submission if late is None else replace(submission, channel_facts=((ORDER_LATE, str(late)),))


def _check(
    fields: Mapping[str, object], desk: Desk, named: Any, kind: type[ComplaintForm] = ComplaintForm
) -> Submission:
    form = validated(kind, fields, desk, named)
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
