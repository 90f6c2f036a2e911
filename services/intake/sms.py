"""A text as a gateway hands it over, and what it asks for. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationInfo,
    model_validator,
)

from common.contact import MAX_LENGTH, normalise_contact
from rules.model import Category
from rules.number import parse
from rules.text import normalise
from services.intake.fields import Given, Identifier, identifier, instant, text_of, validated, wrong
from services.intake.form import Desk
from services.intake.model import Locale, Submission

# A text is billed by the segment: nobody sends more than this.
MAX_TEXT = 10_000
MAX_PARTS = 64
BRAND_ASSUMED = ("brand_assumed", "true")

_PROGRESS = re.compile(r"(?:查询)?(?:进度|状态)(?:查询)?|progress|status", re.IGNORECASE)
_MISTYPED = re.compile(r"[0-9a-z]{2,}(?:-[0-9a-z]+)+|(?=[a-z]*[0-9])[0-9a-z]{8,}")
_NUMBER = re.compile(r"[\s:：#＃号]*([0-9a-z][0-9a-z\s-]{0,30})?[\s.。!！?？]*", re.IGNORECASE)


def _brand(value: str | None, info: ValidationInfo) -> str | None:
    if value is not None and value not in cast(Desk, info.context).policies:
        raise wrong("no such brand")
    return value


def _sender(value: str) -> str:
    contact = normalise_contact(value) if len(value) <= MAX_LENGTH else None
    if contact is None or "@" in contact:
        raise wrong("must be a phone number, with its country code unless it is of China")
    return contact


def _text(value: str) -> str:
    text = text_of(value, MAX_TEXT)
    if not text:
        raise wrong("must not be blank")
    return text


def _needed(value: str) -> str:
    text = identifier(value)
    if not text:
        raise wrong("must not be blank")
    return text


class SmsForm(BaseModel):
    """A text. Gateways send more fields than these; they are passed over."""

    model_config = ConfigDict(extra="ignore", validate_default=True, populate_by_name=False, title="Sms")

    sender: Annotated[StrictStr, AfterValidator(_sender)] = Field(alias="from", description="The customer's number.")
    text: Annotated[StrictStr, AfterValidator(_text)] = Field(description="As it was written, whole.")
    message_id: Annotated[StrictStr, AfterValidator(_needed)] = Field(
        alias="messageId", description="The gateway's own id, at most 64 characters: the same twice is one text."
    )
    received_at: Annotated[datetime | None, BeforeValidator(instant)] = Field(
        None, alias="receivedAt", description="RFC 3339."
    )
    brand: Annotated[Given, AfterValidator(_brand)] = Field(
        None, description="Whose number it was sent to; if absent, the customer's ticket says."
    )
    part: StrictInt | None = Field(None, ge=1, le=MAX_PARTS, description="Which part of a long text, from 1.")
    parts: StrictInt | None = Field(None, ge=1, le=MAX_PARTS, description="How many parts the text has.")
    reference: Identifier = Field(None, description="What the parts of a text have in common.")

    @model_validator(mode="after")
    def _whole(self) -> "SmsForm":
        if (self.part is None) != (self.parts is None) or (self.part and not self.reference):
            raise wrong("part, parts and reference belong together")
        if self.part and self.parts and self.part > self.parts:
            raise wrong("part must not be above parts")
        return self


@dataclass(frozen=True)
class Sms:
    """A text, checked. `key` makes it one however often it comes; `part` is "2/3" of what `key` names, or ""."""

    submission: Submission
    key: str
    part: str = ""


@dataclass(frozen=True)
class Asks:
    """The customer asks how far his complaint is: that of a number as he wrote it, or "" for whichever is his."""

    number: str


def check_sms(fields: Mapping[str, object], desk: Desk) -> Sms:
    """The text of a gateway's JSON object. Raises Invalid naming every wrong field as the gateway named it."""
    form = validated(SmsForm, fields, desk, lambda name: name or "part")
    brand = form.brand or desk.default_brand
    facts = [("sms_message_id", form.message_id)]
    key, part = f"sms/{form.message_id}", ""
    if form.part and form.parts and form.parts > 1:
        # All parts have one number, so one partition, and whoever reads it joins them.
        key, part = f"parts/{form.sender}/{form.reference}/{form.parts}", f"{form.part}/{form.parts}"
        facts += [("part", str(form.part)), ("parts", str(form.parts))]
    if form.brand is None:
        facts.append(BRAND_ASSUMED)
    submission = Submission(
        brand=brand,
        channel="sms",
        declared=Category.OTHER,
        description=form.text,
        contact=form.sender,
        locale=cast(Locale, desk.policies[brand].brand.default_locale),
        channel_facts=tuple(facts),
    )
    return Sms(submission, key, part)


def asks(text: str) -> Asks | None:
    """The command a text is, None for what is none: 进度, 状态, progress or status, alone or with a ticket's number.

    Further commands (the reply to a survey) have their place here.
    """
    plain = normalise(text)
    word = _PROGRESS.match(plain)
    rest = _NUMBER.fullmatch(plain, word.end()) if word else None
    if rest is None:
        return None
    number = (rest[1] or "").strip()
    # "progress please" is no number; one that is mistyped is meant as one.
    return Asks(number) if not number or parse(number) or _MISTYPED.fullmatch(number) else None
