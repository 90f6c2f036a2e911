"""Real clients of the channels: a signed SMS gateway, an operator's console, WeChat's server."""

import json
from typing import Any

import grpc
import httpx

from gen.pingxi.v1 import ticket_service_pb2 as pb
from services.intake.settings import IntakeSettings
from services.intake.signing import body_signature, words_signature
from services.intake.wechat import Envelope
from services.intake.xml import read_flat, write_flat
from tests.integration.router.world import World
from tests.waiting import CLOCK, eventually

PHONE = "13900000001"
OPENID = "oia2TjjewbmiOUlr6X-1crbLOvLw"


class Gateways:
    """What calls intake from outside, and the desk's view of what came of it."""

    def __init__(self, world: World, settings: IntakeSettings) -> None:
        self.world = world
        self.keys = world.keys
        self.client = httpx.AsyncClient(base_url=f"http://{settings.intake_http}", timeout=20, trust_env=False)

    async def __aenter__(self) -> "Gateways":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def sms(self, message_id: str, text: str, **fields: Any) -> httpx.Response:
        """A text as a gateway hands it over."""
        sent = {"from": PHONE, "text": text, "messageId": message_id, "receivedAt": CLOCK.now().isoformat(), **fields}
        body, at = json.dumps(sent).encode(), str(int(CLOCK.now().timestamp()))
        headers = {
            "content-type": "application/json",
            "X-Timestamp": at,
            "X-Signature": body_signature(self.keys.channels["sms"], at, body),
        }
        return await self.client.post("/channels/sms", content=body, headers=headers)

    async def call(self, call_id: str, description: str, **fields: Any) -> httpx.Response:
        """An operator's form."""
        sent = {"type": "其他", "description": description, "contact": PHONE, "callId": call_id, "operator": "op-7"}
        headers = {"authorization": f"Bearer {self.keys.channels['hotline']}"}
        return await self.client.post("/channels/hotline", json={**sent, **fields}, headers=headers)

    async def form(self, description: str, **fields: Any) -> httpx.Response:
        """The app's form."""
        sent = {"type": "其他", "description": description, "contact": PHONE}
        headers = {"authorization": f"Bearer {self.keys.channels['app']}"}
        return await self.client.post("/api/complaint", json={**sent, **fields}, headers=headers)

    async def wechat(self, message_id: str, content: str, *, sealed: bool = False) -> dict[str, str]:
        """A follower's message as WeChat's server sends it; the fields of the answer he gets."""
        token, at, nonce = self.keys.wechat["token"], str(int(CLOCK.now().timestamp())), "n0nce"
        body = write_flat(
            ToUserName="gh_1", FromUserName=OPENID, CreateTime=at, MsgType="text", Content=content, MsgId=message_id
        )
        asked = {"timestamp": at, "nonce": nonce, "signature": words_signature(token, at, nonce), "openid": OPENID}
        envelope = Envelope(self.keys.wechat["aesKey"], self.keys.wechat["appId"])
        if sealed:
            encrypted = envelope.seal(body, b"0123456789abcdef")
            asked |= {"encrypt_type": "aes", "msg_signature": words_signature(token, at, nonce, encrypted)}
            body = write_flat(ToUserName="gh_1", Encrypt=encrypted)
        response = await self.client.post("/channels/wechat", params=asked, content=body.encode())
        assert response.status_code == 200, response.text
        fields = read_flat(response.content)
        return read_flat(envelope.open(fields["Encrypt"])) if sealed else fields

    async def progress(self, ticket_id: str, token: str) -> dict[str, Any]:
        """What a customer reads of his complaint."""
        response = await self.client.get(f"/api/complaint/{ticket_id}", params={"token": token})
        found: dict[str, Any] = response.json()
        return found

    async def ticket(self, ticket_id: str, texts: int = 1) -> pb.Ticket:
        """The desk's view of a ticket, once the customer has said so much."""
        found = pb.Ticket()

        async def there() -> bool:
            async with self.world.api() as api:
                try:
                    answer = await api.call("GetTicket", pb.GetTicketRequest(ticket_id=ticket_id))
                except grpc.aio.AioRpcError:
                    return False
            found.CopyFrom(answer.ticket)
            return 1 + sum(message.public for message in found.messages) >= texts

        await eventually(there, instead=lambda: found)
        return found
