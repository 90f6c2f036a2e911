"""The demo's people: customers who complain, agents who answer, a supervisor who acknowledges."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import grpc
import httpx

from common.clock import Clock
from deploy.demo.day import Complaint
from deploy.demo.sighting import GRPC, HTTP, Sighting
from deploy.demo.watching import Queue
from gen.pingxi.v1 import common_pb2, intake_pb2, ticket_service_pb2
from gen.pingxi.v1.sla_service_pb2 import AcknowledgeEscalationRequest

T = TypeVar("T")
AGAIN_AFTER = 0.3
TRIES = 100
_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
SUPERVISOR = common_pb2.Actor(kind=common_pb2.Actor.KIND_SUPERVISOR, id="supervisor-lin")
REPLY = {
    "zh-CN": "您好，非常抱歉给您带来不便。我们正在核实情况，稍后给您准确答复，请保持电话畅通。",
    "zh-TW": "您好，非常抱歉造成您的不便。我們正在確認情況，稍後給您準確答覆，請保持電話暢通。",
    "en": "We are sorry about this. We are looking into it and will be back with a clear answer shortly.",
}
RESOLUTION = {
    "zh-CN": "您反映的问题已核实处理，相关款项已原路退回，预计一到三个工作日到账。感谢您的反馈。",
    "zh-TW": "您反映的問題已確認處理，相關款項已原路退回，預計一到三個工作日入帳。感謝您的回饋。",
    "en": "We have dealt with it and refunded you; it takes one to three working days. Thank you for telling us.",
}
APOLOGY = "非常抱歉没有及时答复您。我们已封存该批次商品并联系您就医检查，费用由我们承担，订单已全额退款。"
SETTLED = "已电话回访：问题已解决，客户认可处理结果。"


def bearer(key: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a call with that key."""
    return (("authorization", f"Bearer {key}"),)


class Customers:
    """Send complaints with their channel's key, the hotline's by gRPC, and again when the answer is "not now".

    `hotline` is a stub of IntakeService.
    """

    def __init__(
        self, client: httpx.AsyncClient, hotline: Any, keys: Mapping[str, str], clock: Clock, queue: Queue
    ) -> None:
        self._client = client
        self._hotline = hotline
        self._keys = keys
        self._clock = clock
        self._queue = queue

    async def complain(self, complaint: Complaint, kind: str = "accepted") -> dict[str, Any]:
        """Puts a sighting of `kind` with the receipt into the queue, and returns the receipt."""
        started = self._clock.monotonic()
        if complaint.channel == "hotline":
            receipt = await self._by_grpc(complaint)
        else:
            receipt = await self._by_http(complaint)
        receipt["key"] = complaint.idempotency_key
        receipt["milliseconds"] = (self._clock.monotonic() - started) * 1000
        place = GRPC if complaint.channel == "hotline" else HTTP
        self._queue.put_nowait(Sighting(self._clock.now(), place, kind, receipt["id"], kind, receipt))
        return receipt

    async def progress(self, ticket: str, token: str, until: Callable[[dict[str, Any]], bool]) -> None:
        """Reloads the progress page until it shows what the customer waits for; that is the sighting."""
        while True:
            try:
                answer = await self._client.get(f"/api/complaint/{ticket}", params={"token": token})
                page = answer.json() if answer.status_code == 200 else {}
            except httpx.TransportError:
                page = {}
            if page and until(page):
                self._queue.put_nowait(Sighting(self._clock.now(), HTTP, "progress", ticket, "progress", page))
                return
            await self._clock.sleep(AGAIN_AFTER)

    async def _by_http(self, complaint: Complaint) -> dict[str, Any]:
        headers = {
            "authorization": f"Bearer {self._keys[complaint.channel]}",
            "idempotency-key": complaint.idempotency_key,
            "content-type": "application/json",
        }
        for _ in range(TRIES):
            try:
                body = json.dumps(complaint.fields, ensure_ascii=False).encode()
                answer = await self._client.post("/api/complaint", content=body, headers=headers)
                if answer.status_code == 201:
                    return dict(answer.json())
                if answer.status_code != 503:
                    raise RuntimeError(f"complaint {complaint.number} got {answer.status_code}: {answer.text}")
            except httpx.TransportError:
                pass
            await self._clock.sleep(AGAIN_AFTER)
        raise RuntimeError(f"complaint {complaint.number} was never accepted")

    async def _by_grpc(self, complaint: Complaint) -> dict[str, Any]:
        f = complaint.fields
        request = intake_pb2.SubmitComplaintRequest(
            type=f["type"],
            description=f["description"],
            contact=f["contact"],
            order_id=f.get("orderId", ""),
            customer_id=f["customerId"],
            brand=f["brand"],
            region=f["region"],
            merchant_id=f.get("merchantId", ""),
            product_id=f.get("productId", ""),
            locale=f["locale"],
            idempotency_key=complaint.idempotency_key,
        )
        key = self._keys["hotline"]
        answer = await patiently(
            lambda: self._hotline.SubmitComplaint(request, metadata=bearer(key), timeout=5), self._clock
        )
        return {"id": answer.id, "token": answer.token}


class Desk:
    """Agents and a supervisor, over the same gRPC calls a desk uses. A repeated call has the same idempotency key.

    `tickets` and `sla` are stubs of TicketService and SlaService.
    """

    def __init__(self, tickets: Any, sla: Any, service_key: str, clock: Clock) -> None:
        self._tickets = tickets
        self._sla = sla
        self._metadata = bearer(service_key)
        self._clock = clock

    async def answer(self, ticket: str, complaint: Complaint) -> None:
        """An agent takes the ticket, replies, resolves it and calls back when the complaint's plan says so."""
        plan = complaint.answer
        if plan is None:
            return
        agent = common_pb2.Actor(kind=common_pb2.Actor.KIND_AGENT, id=f"agent-{complaint.number % 7 + 1}")
        locale = complaint.fields["locale"]
        await self._clock.sleep(plan.reply_after)
        await self._call(
            self._tickets.Assign,
            ticket_service_pb2.AssignRequest(change=self._change(ticket, "assign", agent), assignee=agent.id),
        )
        await self._call(
            self._tickets.Reply,
            ticket_service_pb2.ReplyRequest(change=self._change(ticket, "reply", agent), text=REPLY[locale]),
        )
        await self._clock.sleep(plan.resolve_after - plan.reply_after)
        await self.resolve(ticket, agent, RESOLUTION[locale])
        await self._clock.sleep(plan.call_back_after - plan.resolve_after)
        await self.call_back(ticket, agent)

    async def resolve(self, ticket: str, actor: common_pb2.Actor, text: str) -> None:
        """Ends the work with an answer to the customer."""
        change = self._change(ticket, "resolve", actor)
        await self._call(
            self._tickets.Resolve, ticket_service_pb2.ResolveRequest(change=change, text=text, resolution="refund")
        )

    async def call_back(self, ticket: str, actor: common_pb2.Actor) -> None:
        """The customer was asked whether the matter is settled."""
        change = self._change(ticket, "call-back", actor)
        await self._call(
            self._tickets.AddNote, ticket_service_pb2.AddNoteRequest(change=change, text=SETTLED, call_back=True)
        )

    async def acknowledge(self, ticket: str, escalation: str) -> None:
        """The supervisor has seen the escalation."""
        await self._call(
            self._sla.AcknowledgeEscalation,
            AcknowledgeEscalationRequest(
                escalation_id=escalation, ticket_id=ticket, idempotency_key=f"demo-ack-{ticket}", actor=SUPERVISOR
            ),
        )

    def _change(self, ticket: str, what: str, actor: common_pb2.Actor) -> ticket_service_pb2.Change:
        return ticket_service_pb2.Change(ticket_id=ticket, idempotency_key=f"demo-{what}-{ticket}", actor=actor)

    async def _call(self, method: Any, request: Any) -> None:
        await patiently(lambda: method(request, metadata=self._metadata, timeout=5), self._clock)


async def patiently(call: Callable[[], Awaitable[T]], clock: Clock) -> T:
    """Repeats a call that a restart of its service got in the way of. Raises grpc.aio.AioRpcError for all else."""
    for _ in range(TRIES):
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if error.code() not in _PASSING:
                raise
        await clock.sleep(AGAIN_AFTER)
    raise RuntimeError("a service didn't come back")
