"""The channels' calls on fakes, and clients that speak as the gateways do."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from common.errors import Unavailable
from services.intake.conversations import Conversations
from services.intake.model import Complaint, Progress
from services.intake.signing import body_signature, words_signature
from services.intake.web import web_app
from services.intake.web_hotline import hotline_routes
from services.intake.web_sms import sms_routes
from services.intake.web_wechat import wechat_routes
from services.intake.wechat import Account, Envelope, sealed_xml
from services.intake.xml import read_flat, write_flat
from tests.unit.intake.fakes import NOW, Bench, desk, policies

SMS_KEY = "the gateway's key"
APP_ID = "wxb11529c136998cb6"
ACCOUNT = Account("pamtest", Envelope("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", APP_ID))
OPENID = "oia2TjjewbmiOUlr6X-1crbLOvLw"
SMS: dict[str, Any] = {
    "from": "13800138000",
    "text": "送来的牛奶是酸的",
    "messageId": "gw-1",
    "receivedAt": "2026-11-22T12:00:00Z",
}
CALL: dict[str, Any] = {
    "type": "配送",
    "description": "客户来电：等了两小时还没送到",
    "contact": "13800138000",
    "callId": "call-1",
    "operator": "op-7",
}


@dataclass
class FakeCustomerTickets:
    """The router's tickets by contact and number; `away`: can't be asked."""

    found: dict[tuple[str, str], Progress] = field(default_factory=dict)
    away: bool = False

    async def of(self, contact: str, ticket_id: str = "") -> Progress | None:
        if self.away:
            raise Unavailable("the router doesn't answer")
        return self.found.get((contact, ticket_id))


class Channels:
    """The application on fakes."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.tickets = FakeCustomerTickets()
        clock = self.bench.clock
        keys = {"app-key": "app", "hotline-key": "hotline", "service": "system"}
        app = web_app(self.bench.intake, desk, keys.get, clock)
        conversations = Conversations(self.bench.intake, self.tickets, policies())
        sms_routes(app, conversations, desk, SMS_KEY, clock)
        hotline_routes(app, self.bench.intake, desk, keys.get, clock)
        wechat_routes(app, conversations, desk, ACCOUNT, clock)
        self.app = app
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://intake")

    @property
    def complaints(self) -> list[Complaint]:
        return self.bench.log.complaints

    async def sms(
        self, *, timestamp: str | None = None, signature: str | None = None, body: bytes | None = None, **fields: Any
    ) -> httpx.Response:
        sent = {name: value for name, value in {**SMS, **fields}.items() if value is not None}
        content = json.dumps(sent).encode() if body is None else body
        at = str(int(NOW.timestamp())) if timestamp is None else timestamp
        headers = {
            "content-type": "application/json",
            "X-Timestamp": at,
            "X-Signature": body_signature(SMS_KEY, at, content) if signature is None else signature,
        }
        return await self.client.post("/channels/sms", content=content, headers=headers)

    async def call(self, key: str = "hotline-key", **fields: Any) -> httpx.Response:
        sent = {name: value for name, value in {**CALL, **fields}.items() if value is not None}
        return await self.client.post("/channels/hotline", json=sent, headers={"authorization": f"Bearer {key}"})

    async def wechat(self, *, sealed: bool = False, **fields: str) -> httpx.Response:
        """A message as WeChat sends it."""
        return await self.wechat_raw(wechat_message(**fields).encode(), sealed=sealed)

    async def wechat_raw(self, body: bytes, *, sealed: bool = False, **query: str) -> httpx.Response:
        asked = {"timestamp": "1409304348", "nonce": "xxxxxx"}
        asked["signature"] = words_signature(ACCOUNT.token, *asked.values())
        if sealed:
            envelope = sealed_xml(ACCOUNT.envelope, ACCOUNT.token, body.decode(), b"r" * 16, *list(asked.values())[:2])
            asked |= {"encrypt_type": "aes", "msg_signature": read_flat(envelope.encode())["MsgSignature"]}
            body = envelope.encode()
        return await self.client.post("/channels/wechat", content=body, params={**asked, **query})


def wechat_message(**fields: str) -> str:
    """Of a follower, by default his text."""
    values = {
        "ToUserName": "gh_7f083739789a",
        "FromUserName": OPENID,
        "CreateTime": "1407743423",
        "MsgType": "text",
        "MsgId": "5837397576500011341",
        "Content": "送来的牛奶是酸的",
        **fields,
    }
    return write_flat(**{name: value for name, value in values.items() if value})


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
