"""Schemathesis sends what the description allows, and what it doesn't: every answer is a described one, and never 5xx.

Each call is reached by each kind of caller, also beyond its checks: a sound case of each goes first, and what the
description can't say (the types of a brand, what a contact looks like), and what has to exist, is put into some of the
generated ones.

PINGXI_FUZZ=10000 sends so many cases (some minutes); without it there are five for each call and kind of caller.
"""

import io
import os
from datetime import timedelta
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rules.model import Category, Promise
from rules.number import from_random
from services.intake.model import CustomerPage, Listed, Picture, Progress, PublicStatus, TimelineEntry
from services.intake.tokens import keyed_token
from tests.unit.intake.fakes import NOW, SECRETS, Bench, site_of
from tests.unit.intake.sites import KEYS

CASES = int(os.environ.get("PINGXI_FUZZ", "135"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


# One whose stream of events ends at once, and one that can be rated.
CLOSED, RESOLVED = from_random(11), from_random(12)
PICTURE = "a-picture"


def ticket(ticket_id: str, status: PublicStatus) -> Progress:
    entries = (TimelineEntry(NOW, "received", images=(PICTURE,)), TimelineEntry(NOW, "routed", version=1))
    return Progress(ticket_id, status, None, Promise(NOW, None), entries, version=1, served_by=ticket_id)


def made() -> Any:
    bench = Bench()
    bench.tickets.tickets = {CLOSED: ticket(CLOSED, "closed"), RESOLVED: ticket(RESOLVED, "resolved")}
    listed = Listed("T1", "closed", None, "", NOW, Promise(None, NOW + timedelta(hours=1)))
    bench.tickets.pages = {("default", "c", ""): CustomerPage((listed,), "more")}
    bench.store.pictures[PICTURE] = (Picture(b"\xff\xd8", 1, 1), "app")
    return site_of(bench, KEYS.get)


APP = made()
SCHEMA = schemathesis.openapi.from_dict(APP.openapi())
SCHEMA.app = APP
OPERATIONS: list[Any] = [cast(Any, result).ok() for result in SCHEMA.get_all_operations()]
BOTH = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
WHO = ["channel", "holder", "nobody"]
# The calls that a complaint's token opens; a channel's key opens all.
HOLDERS = {
    ("GET", "/api/complaint/{ticket_id}"),
    ("GET", "/api/complaint/{ticket_id}/events"),
    ("POST", "/api/complaint/{ticket_id}/messages"),
    ("POST", "/api/complaint/{ticket_id}/rating"),
    ("POST", "/api/uploads"),
    ("GET", "/api/uploads/{upload_id}"),
}
# Whose values no schema can say.
NAMES = ("type", "contact", "customerId")


def headers_of(who: str) -> dict[str, str]:
    return {"Authorization": "Bearer app-key"} if who == "channel" else {}


def proof(number: str) -> dict[str, str]:
    """What the holder of a token shows."""
    return {"ticket": number, "token": keyed_token(SECRETS.token, number, Category.OTHER)}


def example_of(operation: Any) -> dict[str, Any]:
    """The body that the description shows, none where the call takes no JSON."""
    content = operation.definition.raw.get("requestBody", {}).get("content", {})
    return dict(content.get("application/json", {}).get("example", {}))


def sound_case(operation: Any, who: str) -> Any:
    """A case that whoever may is answered well."""
    number = CLOSED if operation.path.endswith("/events") else RESOLVED
    places = {"ticket_id": number, "order_id": "A-1001", "upload_id": PICTURE}
    made = operation.Case(
        path_parameters={name: value for name, value in places.items() if f"{{{name}}}" in operation.path},
        query={"customerId": "c"} if operation.path == "/api/complaints" else {},
    )
    if who == "holder":
        made.query = {**made.query, **proof(number)}
    if operation.path == "/api/uploads":
        made.body, made.media_type = photo(), "image/jpeg"
    elif example := example_of(operation):
        made.body, made.media_type = example, "application/json"
    return made


def photo() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (3, 2)).save(out, "JPEG")
    return out.getvalue()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
@pytest.mark.parametrize("who", WHO)
def test_every_call_is_reached_by_whom_it_is_for_and_by_nobody_else(operation: Any, who: str) -> None:
    response = sound_case(operation, who).call_and_validate(checks=CHECKS, headers=headers_of(who))
    let_in = who == "channel" or (who == "holder" and (operation.method.upper(), operation.path) in HOLDERS)
    assert response.status_code in ((200, 201) if let_in else (401,))


def numbers_for(operation: Any) -> st.SearchStrategy[str | None]:
    """What stands in for a generated number, which is mistyped nearly always; None leaves it."""
    streams = operation.path.endswith("/events")
    return st.sampled_from([None, CLOSED] if streams else [None, CLOSED, RESOLVED])


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
@pytest.mark.parametrize("who", WHO)
def test_whatever_is_sent_is_answered_as_described(operation: Any, who: str) -> None:
    known = {name: value for name, value in example_of(operation).items() if name in NAMES}

    @settings(
        max_examples=max(5, CASES // (3 * len(OPERATIONS))),
        deadline=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in BOTH)),
        number=numbers_for(operation),
        picture=st.sampled_from([None, PICTURE]),
        named=st.booleans(),
    )
    def send(case: Any, number: str | None, picture: str | None, named: bool) -> None:
        if number and "ticket_id" in case.path_parameters:
            case.path_parameters["ticket_id"] = number
        if picture and "upload_id" in case.path_parameters:
            case.path_parameters["upload_id"] = picture
        if number and who == "holder":
            case.query = {**(case.query or {}), **proof(number)}
        if named and isinstance(case.body, dict):
            case.body = {**case.body, **known}
        case.call_and_validate(checks=CHECKS, headers=headers_of(who))

    send()


def test_every_call_is_described() -> None:
    assert {(operation.method.upper(), operation.path) for operation in OPERATIONS} == {
        ("POST", "/api/complaint"),
        ("GET", "/api/complaint/{ticket_id}"),
        ("GET", "/api/complaint/{ticket_id}/events"),
        ("POST", "/api/complaint/{ticket_id}/messages"),
        ("POST", "/api/complaint/{ticket_id}/rating"),
        ("GET", "/api/complaints"),
        ("POST", "/api/orders/{order_id}/feedback"),
        ("POST", "/api/uploads"),
        ("GET", "/api/uploads/{upload_id}"),
    }
