"""What a customer may add to a complaint: a message, a rating. The same checks for HTTP and gRPC."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
)
from pydantic.alias_generators import to_camel

from common.errors import FieldProblem, Invalid
from services.intake.fields import MAX_IMAGES, Images, check_key, text_of, validated, wrong

MAX_TEXT = 2000
MAX_COMMENT = 500


def _text(value: str | None) -> str:
    return text_of(value or "", MAX_TEXT)


def _comment(value: str | None) -> str:
    return text_of(value or "", MAX_COMMENT)


def _score(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 5:
        raise wrong("must be a whole number from 1 to 5")
    return value


class _Form(BaseModel):
    model_config = ConfigDict(alias_generator=AliasGenerator(alias=to_camel), extra="forbid", validate_default=True)


class MessageForm(_Form):
    """Something the customer adds: a text, pictures, or both."""

    model_config = ConfigDict(title="Message")

    text: Annotated[StrictStr | None, AfterValidator(_text)] = Field(
        None,
        description="Required, unless pictures say it all.",
        json_schema_extra={"maxLength": MAX_TEXT},
    )
    images: Images = Field(
        None, description="Ids that POST /api/uploads gave.", json_schema_extra={"maxItems": MAX_IMAGES}
    )


class RatingForm(_Form):
    """What the customer thinks of the result."""

    model_config = ConfigDict(title="Rating")

    score: Annotated[int, BeforeValidator(_score)] = Field(
        description="From 1 (bad) to 5 (good).", json_schema_extra={"minimum": 1, "maximum": 5}
    )
    resolved: StrictBool = Field(description="Whether the problem is solved; false opens the complaint again.")
    comment: Annotated[StrictStr | None, AfterValidator(_comment)] = Field(
        None, json_schema_extra={"maxLength": MAX_COMMENT}
    )


def check_message(fields: Mapping[str, object], key: str | None, key_field: str) -> tuple[str, tuple[str, ...]]:
    """(text, uploads). Raises Invalid naming every wrong field, the key's beside them."""
    form = _with_key(MessageForm, fields, key, key_field)
    if not form.text and not form.images:
        raise Invalid([FieldProblem("text", "is required")])
    return form.text or "", tuple(form.images or ())


def check_rating(fields: Mapping[str, object], key: str | None, key_field: str) -> tuple[int, bool, str]:
    """(score, resolved, comment). Raises Invalid likewise."""
    form = _with_key(RatingForm, fields, key, key_field)
    return form.score, form.resolved, form.comment or ""


def _with_key(model: Any, fields: Mapping[str, object], key: str | None, key_field: str) -> Any:
    wrong_key = check_key(key, key_field)
    further = [wrong_key] if wrong_key else []
    try:
        form = validated(model, fields, None, lambda name: name)
    except Invalid as error:
        raise Invalid([*error.problems, *further]) from None
    if further:
        raise Invalid(further)
    return form
