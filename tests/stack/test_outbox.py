"""The local outbox behaves as a provider: once per idempotency key, and as badly as it is told to."""

import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from common.clock import ManualClock
from deploy.local.journal import Journal
from deploy.local.outbox import NEVER_SECONDS, application
from deploy.local.system import System

MESSAGE = {
    "idempotencyKey": "k1",
    "ticket": "7K3M-9QXZ-4TPC-5",
    "recipient": "13800000000",
    "channel": "sms",
    "event": "confirmation",
    "locale": "zh-CN",
    "text": "【小象买菜】您的投诉已收到。",
}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 1, 8, 0, tzinfo=UTC))


@pytest.fixture
async def http(tmp_path: Path, clock: ManualClock) -> AsyncIterator[httpx.AsyncClient]:
    journal = Journal(tmp_path / "outbox.jsonl")
    app = application(journal, clock, random.Random(1))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://outbox") as client:
        yield client
    journal.close()


def rows(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "outbox.jsonl").read_text().splitlines()]


async def test_a_message_is_written_once_and_answered_with_the_same_id(http: httpx.AsyncClient, tmp_path: Path) -> None:
    first = await http.post("/messages", json=MESSAGE)
    again = await http.post("/messages", json=MESSAGE)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == {"id": first.json()["id"], "duplicate": False}
    assert again.json() == {"id": first.json()["id"], "duplicate": True}
    assert rows(tmp_path) == [{"id": first.json()["id"], "at": "2026-01-01T08:00:00.000Z", **MESSAGE}]


async def test_messages_are_read_back_by_ticket(http: httpx.AsyncClient) -> None:
    await http.post("/messages", json=MESSAGE)
    await http.post("/messages", json={**MESSAGE, "idempotencyKey": "k2", "ticket": "other"})
    found = (await http.get("/messages", params={"ticket": "other"})).json()["messages"]
    assert [row["idempotencyKey"] for row in found] == ["k2"]
    assert len((await http.get("/messages")).json()["messages"]) == 2


async def test_told_to_fail_twice_it_fails_twice_and_takes_nothing(http: httpx.AsyncClient, tmp_path: Path) -> None:
    assert (await http.put("/behaviour", json={"fail": 1, "count": 2})).status_code == 200
    codes = [(await http.post("/messages", json=MESSAGE)).status_code for _ in range(3)]
    assert codes == [503, 503, 201]
    assert len(rows(tmp_path)) == 1


async def test_told_to_be_late_it_answers_after_the_delay(http: httpx.AsyncClient, clock: ManualClock) -> None:
    await http.put("/behaviour", json={"delaySeconds": 2.5})
    await http.post("/messages", json=MESSAGE)
    assert clock.monotonic() == 2.5


async def test_told_to_time_out_it_takes_the_message_and_stays_silent(
    http: httpx.AsyncClient, clock: ManualClock, tmp_path: Path
) -> None:
    await http.put("/behaviour", json={"timeout": 1, "count": 1})
    await http.post("/messages", json=MESSAGE)
    assert clock.monotonic() == NEVER_SECONDS
    assert len(rows(tmp_path)) == 1
    assert (await http.post("/messages", json=MESSAGE)).json()["duplicate"] is True


@pytest.mark.parametrize(
    ("change", "field"),
    [({"text": ""}, "text"), ({"recipient": 5}, "recipient"), ({"extra": "x"}, "extra")],
)
async def test_a_wrong_message_is_refused_by_field_and_without_its_contents(
    http: httpx.AsyncClient, tmp_path: Path, change: dict[str, object], field: str
) -> None:
    answer = await http.post("/messages", json={**MESSAGE, **change})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert "13800000000" not in answer.text
    assert rows(tmp_path) == []


async def test_a_wrong_behaviour_is_refused(http: httpx.AsyncClient) -> None:
    assert (await http.put("/behaviour", json={"fail": 2})).status_code == 422
    assert (await http.put("/behaviour", json={"fial": 1})).status_code == 422


async def test_a_killed_outbox_comes_back_and_still_knows_its_keys(tmp_path: Path) -> None:
    with System(tmp_path, only=["outbox"]) as system:
        system.ready()
        async with httpx.AsyncClient(base_url=f"http://{system.env['PINGXI_OUTBOX']}", timeout=5) as client:
            first = (await client.post("/messages", json=MESSAGE)).json()["id"]
            system.restarted("outbox", system.kill("outbox"))
        transport = httpx.AsyncHTTPTransport(retries=8)
        base_url = f"http://{system.env['PINGXI_OUTBOX']}"
        async with httpx.AsyncClient(base_url=base_url, timeout=5, transport=transport) as client:
            assert (await client.get("/readyz")).status_code == 200
            assert (await client.post("/messages", json=MESSAGE)).json() == {"id": first, "duplicate": True}
        assert [row["id"] for row in system.outbox()] == [first]
