"""One tap from an order, and a customer's own list."""

from collections.abc import AsyncIterator

import pytest

from rules.model import Category, Promise
from services.intake.model import CustomerPage, Listed
from services.intake.schemas import CustomerPageBody, ReceiptBody
from tests.unit.intake.fakes import NOW
from tests.unit.intake.sites import Site, fields_of, problem


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    async with site.client:
        yield site


async def test_one_tap_is_a_complaint_about_the_order(site: Site) -> None:
    response = await site.call("POST", "/api/orders/A%2F1001/feedback", {"customerId": "c-42"})
    assert response.status_code == 404  # a slash is another path
    response = await site.call("POST", "/api/orders/A-1001/feedback", {"customerId": "c-42"})
    assert response.status_code == 201
    ReceiptBody.model_validate_json(response.content)
    (complaint,) = site.bench.log.complaints
    sent = complaint.submission
    assert (sent.order_id, sent.customer_id, sent.contact, sent.description) == ("A-1001", "c-42", "", "")
    assert (complaint.declared_category, complaint.customer_ref) == (Category.OTHER, "c-42")
    assert complaint.promise.first_response_by is not None


async def test_a_tap_may_say_more(site: Site) -> None:
    body = {"type": "配送", "description": "洒了", "images": ["u1"], "contact": "138 0013 8000"}
    assert (await site.call("POST", "/api/orders/A-1/feedback", body)).status_code == 201
    sent = site.bench.log.complaints[0].submission
    assert (sent.declared, sent.description, sent.images, sent.contact) == ("配送", "洒了", ("u1",), "+8613800138000")


async def test_a_double_tap_with_one_key_is_one_complaint(site: Site) -> None:
    headers = {"Idempotency-Key": "tap"}
    taps = [await site.call("POST", "/api/orders/A-1/feedback", {"customerId": "c"}, headers=headers) for _ in range(2)]
    assert taps[0].content == taps[1].content
    assert len(site.bench.log.complaints) == 1


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        ("A-1", {}, ["contact"]),
        ("A-1", {"contact": "", "customerId": ""}, ["contact"]),
        ("A-1", {"contact": "x", "type": "x"}, ["type", "contact"]),
        ("A-1", {"customerId": "c", "orderId": "B-2"}, ["orderId"]),
        ("%20", {"customerId": "c"}, ["orderId"]),
        ("x" * 65, {"customerId": "c"}, ["orderId"]),
        ("a%00b", {"customerId": "c"}, ["orderId"]),
        ("A-1", {"customerId": "c", "description": "x" * 201}, ["description"]),
    ],
)
async def test_wrong_taps_name_their_fields(site: Site, path: str, body: object, fields: list[str]) -> None:
    response = await site.call("POST", f"/api/orders/{path}/feedback", body)
    assert fields_of(problem(response, 422, "invalid")) == fields
    assert not site.bench.log.complaints


def listed(number: int) -> Listed:
    return Listed(f"T{number}", "resolved", Category.DELIVERY, "A-1", NOW, Promise(NOW, None))


async def test_a_customer_s_complaints_come_in_pages_in_his_language(site: Site) -> None:
    site.bench.tickets.pages = {
        ("default", "c-42", ""): CustomerPage((listed(3), listed(2)), "more"),
        ("default", "c-42", "more"): CustomerPage((listed(1),)),
    }
    first = await site.call("GET", "/api/complaints", customerId="c-42", pageSize="2")
    page = CustomerPageBody.model_validate_json(first.content)
    assert ([each.id for each in page.complaints], page.next_page_token) == (["T3", "T2"], "more")
    assert site.bench.tickets.asked == 2
    english = {"accept-language": "en"}
    second = await site.call("GET", "/api/complaints", customerId="c-42", pageToken="more", headers=english)
    page = CustomerPageBody.model_validate_json(second.content)
    assert ([each.status_text for each in page.complaints], page.next_page_token) == (["Resolved"], None)
    assert page.complaints[0].can_rate
    other = await site.call("GET", "/api/complaints", customerId="c-42", brand="demo")
    assert other.json() == {"complaints": [], "nextPageToken": None}


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        ({}, ["customerId"]),
        ({"customerId": "x" * 65, "brand": "nobody"}, ["customerId", "brand"]),
        ({"customerId": "c", "pageSize": "0"}, ["pageSize"]),
        ({"customerId": "c", "pageSize": "101"}, ["pageSize"]),
        ({"customerId": "c", "pageSize": "٣"}, ["pageSize"]),
        ({"customerId": "c", "pageToken": "another list's"}, ["pageToken"]),
        ({"customerId": "c", "pageToken": "x" * 501}, ["pageToken"]),
    ],
)
async def test_wrong_parameters_are_named(site: Site, parameters: dict[str, str], fields: list[str]) -> None:
    response = await site.call("GET", "/api/complaints", **parameters)  # type: ignore[arg-type]
    assert fields_of(problem(response, 422, "invalid")) == fields


async def test_a_list_needs_a_channel_s_key_and_the_router(site: Site) -> None:
    problem(await site.call("GET", "/api/complaints", key=None, customerId="c"), 401, "unauthenticated")
    site.bench.tickets.away = True
    problem(await site.call("GET", "/api/complaints", customerId="c"), 503, "unavailable")
