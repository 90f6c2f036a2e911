"""The official account of WeChat."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Unauthenticated
from rules.model import Promise
from services.intake import web_wechat
from services.intake.model import Progress
from services.intake.signing import words_signature, words_signed
from services.intake.wechat import Envelope, account_of
from services.intake.xml import Malformed, read_flat, write_flat
from tests.unit.intake.channels import ACCOUNT, APP_ID, OPENID, Channels, wechat_message

# From the sample code that WeChat publishes (WXBizMsgCryptTest).
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
PLAIN, RANDOM = "我是中文abcd123", b"aaaabbbbccccdddd"
SEALED = "jn1L23DB+6ELqJ+6bruv21Y6MD7KeIfP82D6gU39rmkgczbWwt5+3bnyg5K55bgVtVzd832WzZGMhkP72vVOfg=="


@pytest.fixture
async def channels() -> AsyncIterator[Channels]:
    channels = Channels()
    async with channels.client:
        yield channels


def content(response: httpx.Response) -> str:
    """What the follower reads."""
    assert response.status_code == 200
    fields = read_flat(response.content)
    assert (fields["ToUserName"], fields["FromUserName"]) == (OPENID, "gh_7f083739789a")
    assert fields["MsgType"] == "text"
    return fields["Content"]


def test_the_envelope_is_that_of_the_published_sample() -> None:
    envelope = Envelope(AES_KEY, APP_ID)
    assert envelope.seal(PLAIN, RANDOM) == SEALED
    assert envelope.open(SEALED).decode() == PLAIN


@given(message=st.text(max_size=200), random=st.binary(min_size=16, max_size=16))
def test_what_was_sealed_opens_again(message: str, random: bytes) -> None:
    envelope = Envelope(AES_KEY, APP_ID)
    assert envelope.open(envelope.seal(message, random)).decode() == message


@given(st.text(max_size=100) | st.binary(max_size=200).map(lambda raw: raw.hex()))
def test_what_was_not_sealed_for_this_account_does_not_open(text: str) -> None:
    with pytest.raises(Unauthenticated):
        Envelope(AES_KEY, APP_ID).open(text)


def test_another_accounts_message_does_not_open() -> None:
    with pytest.raises(Unauthenticated):
        Envelope(AES_KEY, "wx-another").open(SEALED)


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"token": "t", "aesKey": "short", "appId": "a"}, "aesKey"),
        ({"token": "t", "aesKey": AES_KEY}, "appId"),
        ({"token": "t", "aesKey": AES_KEY, "appId": "a", "brand": "nobody"}, "brand"),
    ],
)
def test_an_account_that_cannot_be_used_is_named_at_the_start(keys: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        account_of(keys, ["default"])
    assert account_of({}, ["default"]) is None


async def test_the_address_is_confirmed_by_its_echo_where_wechat_asks(channels: Channels) -> None:
    asked = {"timestamp": "1409304348", "nonce": "n", "echostr": "5927"}
    asked["signature"] = words_signature(ACCOUNT.token, "1409304348", "n")
    response = await channels.client.get("/channels/wechat", params=asked)
    assert (response.status_code, response.text) == (200, "5927")
    forged = await channels.client.get("/channels/wechat", params={**asked, "nonce": "m"})
    assert forged.status_code == 401
    assert "5927" not in forged.text


@pytest.mark.parametrize("sealed", [False, True])
async def test_a_text_is_a_complaint_answered_with_number_and_promise(channels: Channels, sealed: bool) -> None:
    response = await channels.wechat(sealed=sealed)
    assert response.status_code == 200
    if sealed:
        outer = read_flat(response.content)
        words = (outer["TimeStamp"], outer["Nonce"], outer["Encrypt"])
        assert words_signed(outer["MsgSignature"], ACCOUNT.token, *words)
        inner = read_flat(ACCOUNT.envelope.open(outer["Encrypt"]))
        text = inner["Content"]
    else:
        text = content(response)
    (complaint,) = channels.complaints
    assert complaint.ticket_id in text
    assert "11-22 20:" in text
    assert complaint.submission.description == "送来的牛奶是酸的"
    assert complaint.submission.contact == f"wx:{OPENID}"
    assert complaint.submission.channel == "wechat"


async def test_the_same_message_again_is_the_same_complaint(channels: Channels) -> None:
    assert content(await channels.wechat()) == content(await channels.wechat())
    assert len(channels.complaints) == 1
    await channels.wechat(MsgId="5837397576500011342")
    assert len(channels.complaints) == 2


@pytest.mark.parametrize(
    ("fields", "text", "facts"),
    [
        (
            {"MsgType": "image", "Content": "", "PicUrl": "http://mmbiz.qpic.cn/1", "MediaId": "media-1"},
            "[图片] http://mmbiz.qpic.cn/1",
            {"wechat_media_id": "media-1"},
        ),
        (
            {"MsgType": "voice", "Content": "", "MediaId": "media-2", "Recognition": "牛奶酸了"},
            "牛奶酸了",
            {"wechat_media_id": "media-2"},
        ),
        ({"MsgType": "voice", "Content": "", "MediaId": "media-2"}, "[语音]", {"wechat_media_id": "media-2"}),
    ],
)
async def test_pictures_and_voices_are_complaints_with_their_media(
    channels: Channels, fields: dict[str, Any], text: str, facts: dict[str, str]
) -> None:
    await channels.wechat(**fields)
    (complaint,) = channels.complaints
    assert complaint.submission.description == text
    assert dict(complaint.submission.channel_facts) == {"wechat_msg_id": "5837397576500011341", **facts}


async def test_a_new_follower_is_greeted_and_other_events_end_there(channels: Channels) -> None:
    assert "您好" in content(await channels.wechat(MsgType="event", Event="subscribe", MsgId="", Content=""))
    for event in ("unsubscribe", "CLICK", "LOCATION"):
        response = await channels.wechat(MsgType="event", Event=event, MsgId="", Content="")
        assert (response.status_code, response.text) == (200, "success")
    assert channels.complaints == []


@pytest.mark.parametrize("fields", [{"MsgType": "location"}, {"MsgType": "video"}, {"Content": " "}])
async def test_what_cannot_be_read_is_answered_with_what_can(channels: Channels, fields: dict[str, Any]) -> None:
    assert "文字、图片和语音" in content(await channels.wechat(**fields))
    assert channels.complaints == []


async def test_progress_is_a_command_here_too(channels: Channels) -> None:
    found = Progress("7K3M-9QXZ-4TPC-5", "in_progress", None, Promise(None, None))
    channels.tickets.found = {(f"wx:{OPENID}", ""): found}
    assert "处理中" in content(await channels.wechat(Content="进度"))


@pytest.mark.parametrize("query", [{"signature": "0" * 40}, {"timestamp": "1"}, {"signature": ""}])
async def test_a_forged_message_is_refused(channels: Channels, query: dict[str, Any]) -> None:
    response = await channels.wechat_raw(wechat_message().encode(), **query)
    assert response.status_code == 401
    assert channels.complaints == []


@pytest.mark.parametrize("query", [{"msg_signature": "0" * 40}, {"msg_signature": ""}])
async def test_an_encrypted_message_needs_its_own_signature(channels: Channels, query: dict[str, Any]) -> None:
    assert (await channels.wechat_raw(wechat_message().encode(), sealed=True, **query)).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<xml><a>",
        b"<other/>",
        b"<xml/>",
        b"<xml><FromUserName>no spaces allowed</FromUserName><MsgType>text</MsgType></xml>",
        b'<!DOCTYPE xml [<!ENTITY a "b">]><xml>&a;</xml>',
        b'<!DOCTYPE xml SYSTEM "file:///etc/passwd"><xml/>',
        b"<xml>" + b"<a>" * 50 + b"</a>" * 50 + b"</xml>",
        "<xml><Content>半".encode("gb18030") + b"</Content></xml>",
    ],
)
async def test_what_is_no_message_is_400(channels: Channels, body: bytes) -> None:
    assert (await channels.wechat_raw(body)).status_code == 400


async def test_a_body_beyond_64_kib_is_413(channels: Channels) -> None:
    assert (await channels.wechat_raw(b"<xml>" + b" " * 65536 + b"</xml>")).status_code == 413


async def test_what_the_log_does_not_take_in_time_is_asked_for_again(
    channels: Channels, monkeypatch: pytest.MonkeyPatch
) -> None:
    channels.bench.log.away = True
    assert "再发一次" in content(await channels.wechat())
    channels.bench.log.away = False
    channels.bench.log.gate = asyncio.Event()
    monkeypatch.setattr(web_wechat, "ANSWER_SECONDS", 0.0)
    assert "再发一次" in content(await channels.wechat(MsgId="1"))
    channels.bench.log.gate.set()
    monkeypatch.undo()
    assert "工单号" in content(await channels.wechat(MsgId="1"))
    assert len(channels.complaints) == 1


@given(value=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=100))
def test_any_value_survives_the_xml(value: str) -> None:
    try:
        read = read_flat(write_flat(Content=value).encode())
    except Malformed:
        assert any(ord(letter) in (0xFFFE, 0xFFFF) for letter in value)
    else:
        assert read == {"Content": value}
