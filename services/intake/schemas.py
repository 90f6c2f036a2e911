"""The answers as OpenAPI knows them. Documentation only: `web.py` writes the JSON, a test holds the two together."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class _Body(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class PromiseBody(_Body):
    """When the customer hears from us; null where the policy promises nothing, or it isn't known yet."""

    first_response_by: datetime | None
    resolve_by: datetime | None


class ReceiptBody(_Body):
    """The complaint is in the log."""

    success: Literal[True]
    id: str
    token: str
    acknowledged_at: datetime
    promise: PromiseBody


class SmsAnswerBody(_Body):
    """The text is in the log under `id`, or was a command: then `reply` is what the customer is to be sent."""

    success: Literal[True]
    id: str | None
    acknowledged_at: datetime | None
    reply: str | None


class TimelineBody(_Body):
    """One thing that happened."""

    at: datetime
    kind: str
    text: str
    images: list[str]


class MoneyBody(_Body):
    """Minor units: 500 CNY is five yuan."""

    currency: str
    amount_minor: int


class CompensationBody(_Body):
    """One compensation; `points`, where there are any, instead of an amount."""

    id: str
    amount: MoneyBody
    reason: str
    state: str
    at: datetime
    points: int | None = None


class ProgressBody(_Body):
    """How far the complaint is. `type` is the code of its category."""

    id: str
    status: Literal["received", "in_progress", "resolved", "closed"]
    status_text: str
    type: str | None
    promise: PromiseBody
    timeline: list[TimelineBody]
    compensation: list[CompensationBody]
    can_rate: bool


class MessageReceiptBody(_Body):
    """The message is in the log."""

    success: Literal[True]
    message_id: str
    received_at: datetime


class RatingReceiptBody(_Body):
    """The rating is in the log. `reopens`: it opens the complaint again."""

    success: Literal[True]
    rating_id: str
    received_at: datetime
    reopens: bool


class UploadBody(_Body):
    """A picture is stored."""

    id: str


class ListedBody(_Body):
    """One of a customer's complaints. `continuedAs`: the complaint it was merged into."""

    id: str
    status: Literal["received", "in_progress", "resolved", "closed"]
    status_text: str
    type: str | None
    order_id: str | None
    acknowledged_at: datetime | None
    promise: PromiseBody
    continued_as: str | None
    can_rate: bool


class CustomerPageBody(_Body):
    """A page of a customer's complaints, the newest first; no token at the end."""

    complaints: list[ListedBody]
    next_page_token: str | None


class FieldProblemBody(_Body):
    """One wrong field, named as it was sent; `body` where the body as a whole can't be taken."""

    field: str
    message: str


class ProblemBody(_Body):
    """RFC 9457; `code` is stable. `errors` with 400, 408, 413, 415 and 422: what is wrong with which field."""

    type: str
    title: str
    status: int
    code: str
    detail: str | None = None
    errors: list[FieldProblemBody] | None = None
