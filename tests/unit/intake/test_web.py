"""The HTTP edge without a network: every answer that isn't a success is a problem document with a stable code."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.model import Category
from services.intake.form import ComplaintForm
from services.intake.model import CompensationEntry, Complaint, Progress, TimelineEntry
from services.intake.schemas import ProblemBody, ProgressBody, ReceiptBody
from tests.unit.intake.fakes import BODY, CONTACT, NOW, TEXT, Bench, site_of
from tests.unit.intake.sites import names_the_body

MIB = 1024 * 1024


class Site:
    """The application on fakes, and a client that calls it."""

    def __init__(self) -> None:
        self.bench = Bench()
        keys = {"app-key": "app", "hotline-key": "hotline", "service": "system"}
        self.app = site_of(self.bench, keys.get)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://intake")

    async def post(
        self,
        body: object = BODY,
        *,
        content: bytes | AsyncIterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        sent = {"authorization": "Bearer app-key", "content-type": "application/json", **(headers or {})}
        data = json.dumps(body).encode() if content is None else content
        return await self.client.post("/api/complaint", content=data, headers=sent)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    async with site.client:
        yield site


def problem(response: httpx.Response, status: int, code: str) -> ProblemBody:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body = ProblemBody.model_validate_json(response.content)
    assert (body.status, body.code) == (status, code)
    return body


async def test_a_complaint_is_created_with_number_token_and_promise(site: Site) -> None:
    response = await site.post()
    assert response.status_code == 201
    body = ReceiptBody.model_validate_json(response.content)
    (complaint,) = site.bench.log.complaints
    assert body.id == complaint.ticket_id
    assert body.acknowledged_at == NOW
    assert body.promise.first_response_by == complaint.promise.first_response_by


async def test_a_key_gives_the_same_answer_again_and_409_for_another_body(site: Site) -> None:
    first = await site.post(headers={"Idempotency-Key": "k"})
    again = await site.post(headers={"Idempotency-Key": "k"})
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    problem(
        await site.post({**BODY, "description": "别的"}, headers={"Idempotency-Key": "k"}), 409, "idempotency_conflict"
    )


async def test_wrong_fields_are_all_named(site: Site) -> None:
    body = problem(await site.post({"type": "x", "contact": CONTACT, "more": 1}), 422, "invalid")
    assert body.errors is not None
    assert [error.field for error in body.errors] == ["type", "description", "more"]


async def test_a_name_as_long_as_a_letter_is_cut(site: Site) -> None:
    body = problem(await site.post({**BODY, "x" * 1000: 1}), 422, "invalid")
    assert body.errors is not None
    assert [len(error.field) for error in body.errors] == [65]


async def test_a_wrong_key_is_named_beside_the_fields(site: Site) -> None:
    alone = problem(await site.post(headers={"Idempotency-Key": "a b"}), 422, "invalid")
    both = problem(
        await site.post({"contact": CONTACT, "type": "配送"}, headers={"Idempotency-Key": ""}), 422, "invalid"
    )
    assert alone.errors is not None
    assert both.errors is not None
    assert [error.field for error in alone.errors] == ["Idempotency-Key"]
    assert [error.field for error in both.errors] == ["description", "Idempotency-Key"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"type": NaN}', "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b"[" * 200_000, "invalid_json"),
        (b'{"type": ' + b"1" * 5000 + b"}", "invalid_json"),
        (b'{"description": "\xff\xfe"}', "invalid_utf8"),
        ('{"description": "坏"}'.encode("gb18030"), "invalid_utf8"),
        (b'{"\\ud800": 1}', "invalid_unicode"),
        (b"[]", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"type": "x", "type": "y"}', "duplicate_key"),
        (b'{"images": [{"a": 1, "a": 2}]}', "duplicate_key"),
    ],
)
async def test_what_is_no_json_object_is_refused_with_its_reason_and_names_the_body(
    site: Site, content: bytes, code: str
) -> None:
    names_the_body(await site.post(content=content), 400, code)


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic app-key", "app-key", "Bearer app-key2"]
)
async def test_a_call_without_a_channel_s_key_is_refused(site: Site, authorization: str) -> None:
    response = await site.post(headers={"authorization": authorization})
    problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=gbk"]
)
async def test_another_content_type_is_refused(site: Site, kind: str) -> None:
    names_the_body(await site.post(headers={"content-type": kind}), 415, "unsupported_media_type")


async def test_a_compressed_body_is_refused(site: Site) -> None:
    names_the_body(await site.post(headers={"content-encoding": "gzip"}), 415, "unsupported_content_encoding")


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=UTF-8", "Application/JSON"])
async def test_json_in_utf8_is_taken(site: Site, kind: str) -> None:
    assert (await site.post(headers={"content-type": kind})).status_code == 201


async def test_a_body_of_ten_megabytes_is_read_to_its_end_and_refused(site: Site) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(160):
            sent += 65536
            yield b" " * 65536

    names_the_body(await site.post(content=chunks()), 413, "too_large")
    assert sent == 10 * MIB


async def test_nobody_is_read_beyond_sixteen_megabytes(site: Site) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(64):
            sent += MIB
            yield b" " * MIB

    response = await site.post(content=chunks())
    names_the_body(response, 413, "too_large")
    assert response.headers["connection"] == "close"
    assert sent <= 18 * MIB


async def test_a_body_of_one_megabyte_is_read(site: Site) -> None:
    body = json.dumps(BODY).encode()
    assert (await site.post(content=body + b" " * (MIB - len(body)))).status_code == 201
    problem(await site.post(content=body + b" " * (MIB - len(body) + 1)), 413, "too_large")


async def test_the_log_away_is_503_with_a_time_to_retry_and_the_same_id_then(site: Site) -> None:
    site.bench.log.away = True
    response = await site.post(headers={"Idempotency-Key": "k"})
    problem(response, 503, "unavailable")
    assert int(response.headers["retry-after"]) >= 1
    site.bench.log.away = False
    assert (await site.post(headers={"Idempotency-Key": "k"})).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("POST", "/api/nothing", 404, "not_found"),
        ("POST", "/api/complaint/", 404, "not_found"),
        ("GET", "/api/complaint", 405, "method_not_allowed"),
        ("DELETE", "/api/complaint/7K3M-9QXZ-4TPC-5", 405, "method_not_allowed"),
    ],
)
async def test_what_isn_t_there_is_a_problem_too(site: Site, method: str, path: str, status: int, code: str) -> None:
    response = await site.client.request(method, path, headers={"authorization": "Bearer app-key"})
    problem(response, status, code)


async def test_an_unexpected_failure_is_a_500_that_says_nothing_of_the_complaint(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(complaint: Complaint) -> None:
        raise KeyError(complaint.submission.contact + complaint.submission.description)

    monkeypatch.setattr(site.bench.log, "append", fail)
    response = await site.post()
    problem(response, 500, "internal")
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    told = response.text + logging.Formatter().format(record) + str(record.__dict__)
    assert "KeyError" in told
    assert TEXT not in told
    assert "13800138000" not in told


async def test_nothing_personal_is_logged_or_answered(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await site.post()
    refused = await site.post({"type": TEXT, "description": CONTACT * 100, "contact": TEXT, "brand": CONTACT})
    told = caplog.text + refused.text
    assert TEXT not in told
    assert CONTACT not in told


async def test_progress_with_the_token(site: Site) -> None:
    receipt = (await site.post()).json()
    response = await site.client.get(f"/api/complaint/{receipt['id']}", params={"token": receipt["token"]})
    assert response.status_code == 200
    body = ProgressBody.model_validate_json(response.content)
    assert (body.status, body.status_text, body.type) == ("received", "已接收", "product_quality")
    assert response.json()["promise"] == receipt["promise"]
    assert [(entry.kind, entry.text) for entry in body.timeline] == [("received", "我们已收到您的投诉")]


async def test_progress_of_a_known_ticket_in_the_reader_s_language(site: Site) -> None:
    receipt = (await site.post()).json()
    promise = site.bench.log.complaints[0].promise
    site.bench.tickets.tickets[receipt["id"]] = Progress(
        receipt["id"],
        "resolved",
        Category.FOOD_SAFETY,
        promise,
        (TimelineEntry(NOW, "received"), TimelineEntry(NOW, "replied", "对不起")),
        (CompensationEntry("l1", "CNY", 1000, "sla_breach", "published", NOW),),
    )
    response = await site.client.get(
        f"/api/complaint/{receipt['id']}",
        headers={"authorization": "Bearer hotline-key", "accept-language": "fr, en;q=0.8, zh;q=0.5"},
    )
    body = ProgressBody.model_validate_json(response.content)
    assert (body.status_text, body.can_rate) == ("Resolved", True)
    assert [entry.text for entry in body.timeline] == ["We have received your complaint", "对不起"]
    assert response.json()["compensation"] == [
        {
            "id": "l1",
            "amount": {"currency": "CNY", "amountMinor": 1000},
            "reason": "sla_breach",
            "state": "published",
            "at": "2026-11-22T12:00:00.000000Z",
        }
    ]


async def test_progress_without_a_credential_and_of_a_mistyped_number(site: Site) -> None:
    receipt = (await site.post()).json()
    problem(await site.client.get(f"/api/complaint/{receipt['id']}"), 401, "unauthenticated")
    problem(await site.client.get(f"/api/complaint/{receipt['id']}", params={"token": "x"}), 401, "unauthenticated")
    wrong = receipt["id"][:-1] + ("A" if receipt["id"][-1] != "A" else "B")
    key = {"authorization": "Bearer app-key"}
    problem(await site.client.get(f"/api/complaint/{wrong}", headers=key), 404, "not_found")


async def test_the_api_describes_itself(site: Site) -> None:
    document = (await site.client.get("/docs")).json()
    assert document["openapi"].startswith("3.1")
    post = document["paths"]["/api/complaint"]["post"]
    described = post["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert set(described) == {field.alias for field in ComplaintForm.model_fields.values()}
    assert set(post["responses"]) == {"201", "400", "401", "408", "409", "413", "415", "422", "429", "503"}
    schemas = document["components"]["schemas"]
    listed = next(each for each in schemas["ProblemBody"]["properties"]["errors"]["anyOf"] if each["type"] == "array")
    assert listed["items"] == {"$ref": "#/components/schemas/FieldProblemBody"}
    assert "`body`" in schemas["FieldProblemBody"]["description"]
    page = await site.client.get("/docs", headers={"accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=8,
)
known_fields = st.sampled_from([str(field.alias) for field in ComplaintForm.model_fields.values()])
mostly_right = st.sampled_from(["商品质量", "delivery", TEXT, CONTACT, "a@b.cn", "default", "app", "en", ""])


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(known_fields | st.text(st.characters(), max_size=9), mostly_right | json_values, max_size=8))
def test_no_json_object_is_too_much(fields: dict[str, object]) -> None:
    async def post() -> httpx.Response:
        site = Site()
        async with site.client:
            return await site.post(fields)

    response = asyncio.run(post())
    assert response.status_code in (201, 400, 422)
    if response.status_code != 201:
        ProblemBody.model_validate_json(response.content)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_are_too_much(content: bytes) -> None:
    async def post() -> httpx.Response:
        site = Site()
        async with site.client:
            return await site.post(content=content)

    assert asyncio.run(post()).status_code in (400, 422)
