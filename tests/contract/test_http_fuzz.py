"""Schemathesis sends what the description allows, and what it doesn't: every answer is a described one, and never 5xx.

PINGXI_FUZZ=10000 sends so many cases (some minutes); without it there are five for each call and kind of caller.
"""

import os
from datetime import timedelta
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
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


def numbers_for(operation: Any) -> st.SearchStrategy[str | None]:
    """What stands in for a generated number, which is mistyped nearly always; None leaves it."""
    streams = operation.path.endswith("/events")
    return st.sampled_from([None, CLOSED] if streams else [None, CLOSED, RESOLVED])


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
@pytest.mark.parametrize("who", ["channel", "holder", "nobody"])
def test_whatever_is_sent_is_answered_as_described(operation: Any, who: str) -> None:
    headers = {"Authorization": "Bearer app-key"} if who == "channel" else {}

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
    )
    def send(case: Any, number: str | None, picture: str | None) -> None:
        if number and "ticket_id" in case.path_parameters:
            case.path_parameters["ticket_id"] = number
        if picture and "upload_id" in case.path_parameters:
            case.path_parameters["upload_id"] = picture
        if number and who == "holder":
            token = keyed_token(SECRETS.token, number, Category.OTHER)
            case.query = {**(case.query or {}), "ticket": number, "token": token}
        case.call_and_validate(checks=CHECKS, headers=headers)

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
