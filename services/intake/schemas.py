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


class TimelineBody(_Body):
    """One thing that happened."""

    at: datetime
    kind: str
    text: str


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


class FieldProblemBody(_Body):
    """One wrong field, named as it was sent."""

    field: str
    message: str


class ProblemBody(_Body):
    """RFC 9457; `code` is stable."""

    type: str
    title: str
    status: int
    code: str
    detail: str | None = None
    errors: list[FieldProblemBody] | None = None
