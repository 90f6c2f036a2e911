"""Pictures over HTTP: what their content says counts, not what they are called."""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from common.errors import PingxiError, Unavailable
from rules.model import Promise
from services.intake.limiting import RateLimits
from services.intake.model import Progress, TimelineEntry
from services.intake.multipart import file_of
from tests.unit.intake.fakes import NOW, Bench
from tests.unit.intake.sites import Site, fields_of, names_the_body, problem

MIB = 1024 * 1024


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    async with site.client:
        yield site


def picture(kind: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (60, 40), (200, 20, 20)).save(out, kind)
    return out.getvalue()


async def upload(site: Site, content: bytes, kind: str = "image/jpeg", **more: Any) -> httpx.Response:
    return await site.call("POST", "/api/uploads", content=content, headers={"content-type": kind}, **more)


async def test_a_picture_is_stored_and_comes_back_to_who_may_see_it(site: Site) -> None:
    response = await upload(site, picture())
    assert response.status_code == 201
    upload_id = response.json()["id"]
    got = await site.call("GET", f"/api/uploads/{upload_id}")
    assert (got.status_code, got.headers["content-type"]) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(got.content)).size == (60, 40)
    assert site.bench.store.pictures[upload_id][1] == "app"


@pytest.mark.parametrize("kind", ["", "text/plain", "image/gif", "application/x-www-form-urlencoded"])
async def test_a_picture_is_one_whatever_it_is_called(site: Site, kind: str) -> None:
    assert (await upload(site, picture("PNG"), kind)).status_code == 201


async def test_a_form_s_only_file_is_taken(site: Site) -> None:
    files = {"anything": ("..\\照片.exe", picture("WEBP"), "application/x-msdownload")}
    key = {"authorization": "Bearer app-key"}
    assert (await site.client.post("/api/uploads", files=files, headers=key)).status_code == 201
    none = await site.client.post("/api/uploads", files={"a": (None, b"x")}, headers=key)
    assert fields_of(problem(none, 422, "invalid")) == ["file"]
    two = {"a": ("a.jpg", picture()), "b": ("b.jpg", picture())}
    assert fields_of(problem(await site.client.post("/api/uploads", files=two, headers=key), 422, "invalid")) == [
        "file"
    ]
    for kind in ("multipart/form-data", "multipart/form-data; boundary=x"):
        problem(await upload(site, b"no form", kind), 400, "invalid_multipart")


@given(st.binary(max_size=400), st.sampled_from([b"x", b"boundary-1", b"----WebKitFormBoundary7MA4YWxkTrZu0gW"]))
def test_a_file_leaves_its_form_as_it_went_in(content: bytes, boundary: bytes) -> None:
    start = b"--" + boundary + b"\r\n" + b'Content-Disposition: form-data; name="f"; filename="a.jpg"\r\n'
    body = start + b"Content-Type: image/jpeg\r\n\r\n" + content + b"\r\n--" + boundary + b"--\r\n"
    if b"--" + boundary in content:
        return
    assert file_of(f"multipart/form-data; boundary={boundary.decode()}", body) == content


@given(st.binary(max_size=300), st.text(max_size=30))
def test_no_form_is_too_much(body: bytes, kind: str) -> None:
    try:
        file_of("multipart/form-data; " + kind, body)
    except PingxiError:
        return


@pytest.mark.parametrize("content", [b"", b"GIF89a", picture("GIF"), b"%PDF-1.7", b"<svg/>"])
async def test_what_is_no_picture_is_refused(site: Site, content: bytes) -> None:
    assert fields_of(problem(await upload(site, content), 422, "invalid")) == ["file"]
    assert not site.bench.store.pictures


async def test_eight_megabytes_are_taken_and_more_is_read_to_its_end_and_refused(site: Site) -> None:
    noise = picture() + b"\0" * (8 * MIB - len(picture()))
    assert (await upload(site, noise)).status_code == 201
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(15):
            sent += MIB
            yield b"\0" * MIB

    headers = {"content-type": "image/png"}
    names_the_body(await site.call("POST", "/api/uploads", content=chunks(), headers=headers), 413, "too_large")
    assert sent == 15 * MIB


async def test_a_form_s_file_may_be_as_large_but_no_larger(site: Site) -> None:
    key = {"authorization": "Bearer app-key"}
    for more, status in ((0, 201), (1, 413)):
        files = {"f": ("a.jpg", picture() + b"\0" * (8 * MIB - len(picture()) + more))}
        assert (await site.client.post("/api/uploads", files=files, headers=key)).status_code == status


async def test_nobody_without_a_key_or_a_token_uploads_or_sees_anything(site: Site) -> None:
    ticket_id, token = await site.complain()
    problem(await upload(site, picture(), key=None), 401, "unauthenticated")
    problem(await upload(site, picture(), key=None, ticket=ticket_id, token="x"), 401, "unauthenticated")
    allowed = await upload(site, picture(), key=None, ticket=ticket_id, token=token)
    assert allowed.status_code == 201
    path = f"/api/uploads/{allowed.json()['id']}"
    problem(await site.call("GET", path, key=None), 401, "unauthenticated")
    problem(await site.call("GET", path, key=None, ticket=ticket_id), 401, "unauthenticated")
    problem(await site.call("GET", path, key=None, ticket=ticket_id, token=token), 404, "not_found")


async def test_a_holder_s_pictures_are_limited_like_his_messages() -> None:
    clock = Bench().clock
    site = Site(Bench(limits=RateLimits(clock, customer_per_minute=2, channel_per_minute=0)))
    async with site.client:
        ticket_id, token = await site.complain()
        for _ in range(2):
            assert (await upload(site, picture(), key=None, ticket=ticket_id, token=token)).status_code == 201
        limited = await upload(site, picture(), key=None, ticket=ticket_id, token=token)
        problem(limited, 429, "rate_limited")
        assert (await upload(site, picture())).status_code == 201


async def test_the_holder_of_a_token_sees_the_pictures_of_his_complaint_only(site: Site) -> None:
    ticket_id, token = await site.complain()
    mine, other = [(await upload(site, picture())).json()["id"] for _ in range(2)]
    entry = TimelineEntry(NOW, "received", images=(mine,))
    site.bench.tickets.tickets[ticket_id] = Progress(
        ticket_id, "in_progress", None, Promise(None, None), timeline=(entry,)
    )
    seen = await site.call("GET", f"/api/uploads/{mine}", key=None, ticket=ticket_id, token=token)
    assert seen.status_code == 200
    problem(await site.call("GET", f"/api/uploads/{other}", key=None, ticket=ticket_id, token=token), 404, "not_found")
    site.bench.tickets.away = True
    problem(await site.call("GET", f"/api/uploads/{mine}", key=None, ticket=ticket_id, token=token), 503, "unavailable")


async def test_without_a_database_pictures_wait_and_complaints_don_t(site: Site) -> None:
    site.bench.store.away = True
    problem(await upload(site, picture()), 503, "unavailable")
    problem(await site.call("GET", "/api/uploads/x"), 503, "unavailable")
    body = {"type": "配送", "description": "x", "contact": "13800138000", "images": ["upload-that-nobody-knows"]}
    assert (await site.call("POST", "/api/complaint", body)).status_code == 201
    assert site.bench.log.complaints[0].submission.images == ("upload-that-nobody-knows",)


async def test_an_unknown_picture_is_not_found(site: Site) -> None:
    problem(await site.call("GET", "/api/uploads/nothing"), 404, "not_found")


async def test_uploads_at_once_are_bounded_and_the_next_one_is_told_to_wait(site: Site) -> None:
    places = [site.bench.uploads.place() for _ in range(24)]
    for place in places:
        await place.__aenter__()
    with pytest.raises(Unavailable):
        await site.bench.uploads.place().__aenter__()
    response = await upload(site, picture())
    problem(response, 503, "unavailable")
    assert response.headers["retry-after"] == "2"
    await places[0].__aexit__(None, None, None)
    assert (await upload(site, picture())).status_code == 201


async def test_many_pictures_at_once_are_all_taken(site: Site) -> None:
    responses = await asyncio.gather(*(upload(site, picture()) for _ in range(20)))
    assert {response.status_code for response in responses} == {201}
    assert len({response.json()["id"] for response in responses}) == 20
