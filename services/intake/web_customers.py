"""HTTP: a customer's own complaints."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from common.errors import FieldProblem, Invalid
from common.tracing import continue_trace
from services.intake import examples
from services.intake.answers import page_body
from services.intake.endpoints import (
    Authenticate,
    DeskFor,
    answering,
    caller_of,
    header,
    json_answer,
    problem_answers,
    query,
    success,
)
from services.intake.fields import MAX_ID
from services.intake.ports import Tickets
from services.intake.schemas import CustomerPageBody
from services.intake.texts import locale_of

_PAGE, _MOST = 20, 100
_MAX_TOKEN = 500


def customer_routes(app: FastAPI, tickets: Tickets, desk_for: DeskFor, authenticate: Authenticate) -> None:
    """Adds the call."""

    async def list_complaints(request: Request) -> Response:
        """A customer's complaints of one brand, the newest first (我的投诉记录)."""
        desk = desk_for(caller_of(request, authenticate))
        asked = request.query_params
        customer_id, brand = asked.get("customerId", "").strip(), asked.get("brand") or desk.default_brand
        size, token = asked.get("pageSize") or str(_PAGE), asked.get("pageToken", "")
        problems = []
        if not customer_id or len(customer_id) > MAX_ID or not customer_id.isprintable():
            problems.append(FieldProblem("customerId", f"must have 1 to {MAX_ID} visible characters"))
        if brand not in desk.policies:
            problems.append(FieldProblem("brand", "no such brand"))
        # Python reads digits of any script.
        if not (size.isascii() and size.isdecimal() and len(size) < 5 and 1 <= int(size) <= _MOST):
            problems.append(FieldProblem("pageSize", f"must be a whole number from 1 to {_MOST}"))
        if len(token) > _MAX_TOKEN:
            problems.append(FieldProblem("pageToken", "isn't one of this list"))
        if problems:
            raise Invalid(problems)
        with continue_trace(request.headers.get("traceparent")):
            page = await tickets.of_customer(brand, customer_id, int(size), token)
        locale = locale_of(request.headers.get("accept-language"))
        headers = {"cache-control": "no-store", "vary": "accept-language"}
        return json_answer(page_body(page, locale), 200, headers)

    app.add_api_route(
        "/api/complaints",
        answering(list_complaints),
        methods=["GET"],
        response_model=None,
        responses={
            200: success(CustomerPageBody, "A page.", examples.PAGE),
            **problem_answers(401, 422, 429, 503),
        },
        openapi_extra={
            "security": [{"channelKey": []}],
            "parameters": [
                {
                    **query("customerId", "The brand's own id of its customer.", maxLength=MAX_ID, example="c-42"),
                    "required": True,
                },
                query("brand", "Whose customer it is; the installation's default brand if absent."),
                {**query("pageSize", f"How many, at most {_MOST}."), "schema": _SIZE},
                query("pageToken", "`nextPageToken` of the page before."),
                header("Accept-Language", "zh-CN (default), zh-TW or en."),
            ],
        },
    )


_SIZE = {"type": "integer", "minimum": 1, "maximum": _MOST, "default": _PAGE}
