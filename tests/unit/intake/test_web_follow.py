"""Messages and ratings over HTTP."""

from collections.abc import AsyncIterator

import pytest

from rules.model import Promise
from rules.number import from_random
from services.intake.limiting import RateLimits
from services.intake.model import Progress
from services.intake.schemas import MessageReceiptBody, RatingReceiptBody
from tests.unit.intake.fakes import NOW, Bench
from tests.unit.intake.sites import Site, fields_of, names_the_body, problem


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    async with site.client:
        yield site


async def test_a_message_is_answered_once_it_is_in_the_log(site: Site) -> None:
    ticket_id, token = await site.complain()
    response = await site.call("POST", f"/api/complaint/{ticket_id}/messages", {"text": "x"}, key=None, token=token)
    assert response.status_code == 201
    body = MessageReceiptBody.model_validate_json(response.content)
    assert (body.message_id, body.received_at) == (site.bench.log.messages[0].message_id, NOW)
    site.bench.log.away = True
    response = await site.call("POST", f"/api/complaint/{ticket_id}/messages", {"text": "x"}, key=None, token=token)
    problem(response, 503, "unavailable")


async def test_pictures_may_say_it_all(site: Site) -> None:
    ticket_id, _ = await site.complain(**{"Idempotency-Key": "c"})
    path = f"/api/complaint/{ticket_id}/messages"
    assert (await site.call("POST", path, {"images": ["u1", "u2"]})).status_code == 201
    assert site.bench.log.messages[0].images == ("u1", "u2")
    for empty in ({}, {"text": " \u200b"}, {"text": "", "images": []}):
        assert fields_of(problem(await site.call("POST", path, empty), 422, "invalid")) == ["text"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"text": "x" * 2001}, ["text"]),
        ({"text": 1, "images": ["a", "b", "c", "d"], "more": 1}, ["text", "images", "more"]),
        ({"text": "x", "images": ["../etc"]}, ["images"]),
        ({"text": "\ud800"}, ["text"]),
    ],
)
async def test_wrong_fields_of_a_message_are_all_named(site: Site, body: object, fields: list[str]) -> None:
    ticket_id, token = await site.complain()
    path = f"/api/complaint/{ticket_id}/messages"
    assert fields_of(problem(await site.call("POST", path, body, token=token), 422, "invalid")) == fields
    assert not site.bench.log.messages


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["score", "resolved"]),
        ({"score": 0, "resolved": True}, ["score"]),
        ({"score": 6, "resolved": "yes"}, ["score", "resolved"]),
        ({"score": True, "resolved": 1}, ["score", "resolved"]),
        ({"score": 4.5, "resolved": True, "comment": "x" * 501}, ["score", "comment"]),
    ],
)
async def test_wrong_fields_of_a_rating_are_all_named(site: Site, body: object, fields: list[str]) -> None:
    ticket_id, token = await site.complain()
    response = await site.call("POST", f"/api/complaint/{ticket_id}/rating", body, token=token)
    assert fields_of(problem(response, 422, "invalid")) == fields


async def test_a_rating_says_whether_it_opens_the_complaint_again(site: Site) -> None:
    ticket_id, token = await site.complain()
    site.bench.tickets.tickets[ticket_id] = Progress(ticket_id, "resolved", None, Promise(None, None))
    path = f"/api/complaint/{ticket_id}/rating"
    good = await site.call("POST", path, {"score": 5, "resolved": True}, key=None, token=token)
    bad = await site.call("POST", path, {"score": 2, "resolved": True, "comment": "慢"}, key=None, token=token)
    bodies = [RatingReceiptBody.model_validate_json(each.content) for each in (good, bad)]
    assert [body.reopens for body in bodies] == [False, True]


async def test_a_complaint_that_isn_t_resolved_can_t_be_rated(site: Site) -> None:
    ticket_id, token = await site.complain()
    site.bench.tickets.tickets[ticket_id] = Progress(ticket_id, "in_progress", None, Promise(None, None))
    response = await site.call(
        "POST", f"/api/complaint/{ticket_id}/rating", {"score": 5, "resolved": True}, token=token
    )
    problem(response, 409, "cannot_rate")


@pytest.mark.parametrize(
    ("language", "title"), [("en", "Conflict"), ("zh-CN", "这条投诉已有太多留言，请另行提交新的投诉")]
)
async def test_a_complaint_with_too_many_messages_says_so(site: Site, language: str, title: str) -> None:
    ticket_id, token = await site.complain()
    site.bench.tickets.tickets[ticket_id] = Progress(ticket_id, "in_progress", None, Promise(None, None), full=True)
    path, headers = f"/api/complaint/{ticket_id}/messages", {"accept-language": language}
    response = await site.call("POST", path, {"text": "x"}, key=None, token=token, headers=headers)
    assert problem(response, 409, "too_many_messages").title == title
    assert not site.bench.log.messages


@pytest.mark.parametrize("call", ["messages", "rating"])
async def test_credentials_numbers_and_keys_are_checked(site: Site, call: str) -> None:
    ticket_id, token = await site.complain()
    body: dict[str, object] = {"text": "x"} if call == "messages" else {"score": 5, "resolved": True}
    path = f"/api/complaint/{ticket_id}/{call}"
    problem(await site.call("POST", path, body, key=None), 401, "unauthenticated")
    problem(await site.call("POST", path, body, key=None, token="x"), 401, "unauthenticated")
    problem(await site.call("POST", f"/api/complaint/{from_random(9)}/{call}", body), 404, "not_found")
    wrong_key = await site.call("POST", path, body, token=token, headers={"Idempotency-Key": "a b"})
    assert fields_of(problem(wrong_key, 422, "invalid")) == ["Idempotency-Key"]
    json_type = {"content-type": "application/json"}
    names_the_body(await site.call("POST", path, content=b"{", headers=json_type), 400, "invalid_json")
    names_the_body(await site.call("POST", path, content=b'"\xff"', headers=json_type), 400, "invalid_utf8")
    names_the_body(
        await site.call("POST", path, content=b"{}", headers={"content-type": "text/plain"}),
        415,
        "unsupported_media_type",
    )


async def test_the_same_key_with_another_text_is_a_conflict(site: Site) -> None:
    ticket_id, token = await site.complain()
    path, headers = f"/api/complaint/{ticket_id}/messages", {"Idempotency-Key": "k"}
    one = await site.call("POST", path, {"text": "一"}, token=token, headers=headers)
    again = await site.call("POST", path, {"text": "一"}, token=token, headers=headers)
    assert one.content == again.content
    problem(await site.call("POST", path, {"text": "二"}, token=token, headers=headers), 409, "idempotency_conflict")


async def test_too_much_is_429_with_the_time_to_wait() -> None:
    bench = Bench()
    site = Site(Bench(limits=RateLimits(bench.clock, customer_per_minute=1, channel_per_minute=0)))
    async with site.client:
        await site.complain()
        response = await site.call(
            "POST", "/api/complaint", {"type": "配送", "description": "x", "contact": "13800138000"}
        )
        problem(response, 429, "rate_limited")
        assert response.headers["retry-after"] == "60"


@pytest.mark.parametrize(
    ("language", "title"),
    [
        ("", "Conflict"),
        ("en-GB", "Conflict"),
        ("zh", "现在还没有可以评价的结果"),
        ("zh-HK", "現在還沒有可以評價的結果"),
    ],
)
async def test_a_problem_is_called_by_its_name_in_the_customer_s_language(
    site: Site, language: str, title: str
) -> None:
    ticket_id, token = await site.complain()
    site.bench.tickets.tickets[ticket_id] = Progress(ticket_id, "received", None, Promise(None, None))
    headers = {"accept-language": language} if language else {}
    path = f"/api/complaint/{ticket_id}/rating"
    response = await site.call("POST", path, {"score": 5, "resolved": True}, headers=headers, token=token)
    assert problem(response, 409, "cannot_rate").title == title
