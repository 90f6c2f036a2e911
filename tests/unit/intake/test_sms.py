"""Texts from a gateway."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.words import rfc3339
from rules.model import Promise
from rules.number import from_random
from services.intake.model import Progress
from services.intake.signing import body_signature
from services.intake.sms import Asks, asks
from tests.unit.intake.channels import SMS, SMS_KEY, Channels
from tests.unit.intake.fakes import NOW, policies

NUMBER = from_random(987654321987)


@pytest.fixture
async def channels() -> AsyncIterator[Channels]:
    channels = Channels()
    async with channels.client:
        yield channels


def field_of(response: httpx.Response) -> str:
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    return str(error["field"])


async def test_a_text_is_in_the_log_with_its_number_and_whole(channels: Channels) -> None:
    text = "送来的牛奶是酸的。" * 50
    response = await channels.sms(text=text)
    assert response.status_code == 200
    (complaint,) = channels.complaints
    assert complaint.submission.description == text
    assert complaint.submission.channel == "sms"
    assert complaint.submission.contact == "+8613800138000"
    assert response.json() == {
        "success": True,
        "id": complaint.ticket_id,
        "acknowledgedAt": rfc3339(NOW),
        "reply": None,
    }


async def test_the_same_message_twice_is_one_also_when_the_gateway_dates_it_anew(channels: Channels) -> None:
    first = await channels.sms()
    again = await channels.sms(receivedAt="2026-11-22T12:00:09Z")
    assert first.json() == again.json()
    assert len(channels.complaints) == 1


async def test_the_same_message_with_another_text_is_409(channels: Channels) -> None:
    await channels.sms()
    assert (await channels.sms(text="别的")).status_code == 409


async def test_two_messages_are_two_complaints_that_the_router_joins(channels: Channels) -> None:
    await channels.sms()
    await channels.sms(messageId="gw-2")
    assert len({complaint.ticket_id for complaint in channels.complaints}) == 2
    assert len({complaint.customer_ref for complaint in channels.complaints}) == 1


@pytest.mark.parametrize(
    ("timestamp", "signature"),
    [
        (None, "sha256=" + "0" * 64),
        (None, ""),
        (None, "sha256=ü"),
        (None, body_signature("another key", str(int(NOW.timestamp())), b"{}")),
        (str(int((NOW - timedelta(minutes=5, seconds=1)).timestamp())), None),
        (str(int((NOW + timedelta(minutes=5, seconds=1)).timestamp())), None),
        ("", None),
        ("yesterday", None),
        ("9" * 14, None),
    ],
)
async def test_a_bad_signature_and_an_old_one_are_the_same_401(
    channels: Channels, timestamp: str | None, signature: str | None
) -> None:
    content = b"{}"
    at = str(int(NOW.timestamp())) if timestamp is None else timestamp
    sent = body_signature(SMS_KEY, at, content) if signature is None else signature
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", b"application/json"),
        (b"x-timestamp", at.encode()),
        (b"x-signature", sent.encode()),
    ]
    response = await channels.client.post("/channels/sms", content=content, headers=headers)
    assert response.status_code == 401
    assert response.json()["detail"] == "the signature isn't valid, or too old"
    assert channels.complaints == []


@pytest.mark.parametrize("timestamp", [rfc3339(NOW), str(int(NOW.timestamp() * 1000)), str(int(NOW.timestamp()) + 299)])
async def test_the_time_may_be_in_seconds_milliseconds_or_rfc_3339(channels: Channels, timestamp: str) -> None:
    assert (await channels.sms(timestamp=timestamp)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"text": ""}, "text"),
        ({"text": " \u200b\n"}, "text"),
        ({"text": "\ud800"}, "text"),
        ({"text": None}, "text"),
        ({"text": "长" * 10_001}, "text"),
        ({"from": "guest@example.com"}, "from"),
        ({"from": "12"}, "from"),
        ({"from": "unknown"}, "from"),
        ({"from": None}, "from"),
        ({"messageId": ""}, "messageId"),
        ({"messageId": "x" * 65}, "messageId"),
        ({"receivedAt": "today"}, "receivedAt"),
        ({"brand": "nobody"}, "brand"),
        ({"part": 1}, "part"),
        ({"part": 3, "parts": 2, "reference": "r"}, "part"),
        ({"part": 0, "parts": 2, "reference": "r"}, "part"),
        ({"part": 1, "parts": 2}, "part"),
    ],
)
async def test_a_wrong_field_is_named_and_never_quoted(channels: Channels, changes: dict[str, Any], field: str) -> None:
    response = await channels.sms(**changes)
    assert field_of(response) == field
    assert channels.complaints == []


@pytest.mark.parametrize("text", ["😡😡", "👎", "𠮷野家的饭", "a"])
async def test_emoji_and_rare_characters_are_texts(channels: Channels, text: str) -> None:
    assert (await channels.sms(text=text)).status_code == 200
    assert channels.complaints[0].submission.description == text


@pytest.mark.parametrize(
    ("sender", "contact"),
    [
        ("+86 138-0013-8000", "+8613800138000"),
        ("008613800138000", "+8613800138000"),
        ("+44 7911 123456", "+447911123456"),
    ],
)
async def test_numbers_are_read_as_gateways_write_them(channels: Channels, sender: str, contact: str) -> None:
    changes: dict[str, Any] = {"from": sender}
    await channels.sms(**changes)
    assert channels.complaints[0].submission.contact == contact


async def test_parts_of_a_text_have_one_number_whatever_their_order(channels: Channels) -> None:
    parts: list[dict[str, Any]] = [
        {"part": n, "parts": 3, "reference": "r1", "messageId": f"m{n}", "text": f"第{n}段"} for n in (2, 3, 1)
    ]
    answers = [await channels.sms(**part) for part in parts]
    again = await channels.sms(**parts[0])
    assert {answer.json()["id"] for answer in (*answers, again)} == {channels.complaints[0].ticket_id}
    assert [c.submission.description for c in channels.complaints] == ["第2段", "第3段", "第1段"]


async def test_who_cannot_be_put_into_the_log_is_told_to_come_back(channels: Channels) -> None:
    channels.bench.log.away = True
    response = await channels.sms()
    assert response.status_code == 503
    assert response.headers["retry-after"]
    channels.bench.log.away = False
    assert (await channels.sms()).status_code == 200


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("进度", ""),
        ("進度", ""),
        (" 查询进度。", ""),
        ("状态?", ""),
        ("PROGRESS", ""),
        ("status", ""),
        (f"进度 {NUMBER}", NUMBER.lower()),
        (f"进度：{NUMBER.replace('-', '')}", NUMBER.replace("-", "").lower()),
        ("进度 7K3M-9QXZ-4TPC-6", "7k3m-9qxz-4tpc-6"),
    ],
)
def test_a_command_is_the_word_alone_or_with_a_number(text: str, asked: str) -> None:
    assert asks(text) == Asks(asked)


@pytest.mark.parametrize(
    "text", ["进度太慢了", "progress please", "催进度", "status of my order", "3", "谢谢", "进度进度"]
)
def test_anything_more_is_no_command(text: str) -> None:
    assert asks(text) is None


@pytest.mark.parametrize(
    ("text", "status", "reply"),
    [
        ("进度", "in_progress", f"您的投诉（工单 {NUMBER}）：处理中，我们将于 11-24 20:00 前处理完毕。"),
        ("progress", "resolved", f"您的投诉（工单 {NUMBER}）：已解决。"),
        (f"状态{NUMBER}", "closed", f"您的投诉（工单 {NUMBER}）：已关闭。"),
    ],
)
async def test_a_command_answers_and_is_no_complaint(channels: Channels, text: str, status: str, reply: str) -> None:
    promise = Promise(NOW, NOW + timedelta(hours=48))
    found = Progress(NUMBER, status, None, promise)  # type: ignore[arg-type]  # a word of the closed set
    channels.tickets.found = {("+8613800138000", ""): found, ("+8613800138000", NUMBER): found}
    response = await channels.sms(text=text)
    signature = policies()["default"].brand.signature["zh-CN"]
    assert response.json() == {"success": True, "id": None, "acknowledgedAt": None, "reply": signature + reply}
    assert channels.complaints == []


async def test_a_command_says_where_nothing_is_found_and_tells_nobody_elses_progress(channels: Channels) -> None:
    channels.tickets.found = {("+8613900000000", NUMBER): Progress(NUMBER, "received", None, Promise(None, None))}
    assert "没有查到" in (await channels.sms(text=f"进度 {NUMBER}")).json()["reply"]
    assert "工单号有误" in (await channels.sms(text="进度 7K3M-9QXZ-4TPC-6")).json()["reply"]
    channels.tickets.away = True
    assert "稍后再试" in (await channels.sms(text="进度")).json()["reply"]


@given(body=st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode(errors="surrogatepass")))
async def test_no_body_whatsoever_is_a_failure_of_ours(body: bytes) -> None:
    channels = Channels()
    async with channels.client:
        assert (await channels.sms(body=body)).status_code in (400, 422)


_VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=50)
)
_FIELDS = st.fixed_dictionaries(
    {},
    optional={name: _VALUES | st.lists(_VALUES, max_size=2) for name in [*SMS, "brand", "part", "parts", "reference"]},
)


@given(fields=_FIELDS)
async def test_whatever_the_fields_hold_a_text_is_taken_answered_or_refused(fields: dict[str, Any]) -> None:
    channels = Channels()
    async with channels.client:
        response = await channels.sms(**fields)
    assert response.status_code in (200, 422)
    taken = response.status_code == 200 and response.json()["id"] is not None
    assert len(channels.complaints) == int(taken)
