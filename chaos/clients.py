"""Customers and agents as the outside world has them, and the ledger of what each was told."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import grpc
import httpx

from chaos.installation import Installation
from chaos.observation import Command, Outcome, Request
from common.clock import Clock
from gen.pingxi.v1 import common_pb2, intake_pb2, ticket_service_pb2
from gen.pingxi.v1.intake_pb2_grpc import IntakeServiceStub
from gen.pingxi.v1.ticket_service_pb2_grpc import TicketServiceStub

# Declared type and text: two by the red channel, two ordinary, one complex.
TEXTS = (
    ("商品质量", "鸡肉沙拉里吃出了一截铁丝,孩子差点咽下去"),
    ("其他", "牛奶喝完拉肚子发烧,请马上联系我"),
    ("配送", "骑手把餐送到隔壁楼去了,我等了很久"),
    ("价格", "结算的价格比页面上贵了三块"),
    ("客服态度", "客服一直不给退款,说系统故障"),
)
CHANNELS = ("app", "web", "miniprogram", "hotline")
AGENT = common_pb2.Actor(kind=common_pb2.Actor.KIND_AGENT, id="agent-chaos")
# Codes after which a call may be made again.
_PASSING = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.CANCELLED,
)
PATIENCE = 60.0


@dataclass
class Told:
    """What clients were told so far, by idempotency key: kept outside of the system, as Jepsen does."""

    requests: dict[str, Request] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    contacts: list[str] = field(default_factory=list)


class Clients:
    """Makes the load. `rate` complaints a second, of which a share is answered by the desk, in time or late."""

    def __init__(self, installation: Installation, chance: random.Random, told: Told, clock: Clock) -> None:
        self._installation = installation
        self._chance = chance
        self.told = told
        self._clock = clock
        self._keys = installation.services.keys()
        self._http = httpx.AsyncClient(
            base_url=f"http://{installation.address('PINGXI_INTAKE_HTTP')}",
            timeout=6.0,
            limits=httpx.Limits(max_connections=200),
        )
        self._hotline = grpc.aio.insecure_channel(installation.address("PINGXI_INTAKE_GRPC"))
        self._router = grpc.aio.insecure_channel(installation.address("PINGXI_ROUTER_GRPC"))
        self._at_work: set[asyncio.Task[None]] = set()
        self._number = 0

    async def close(self) -> None:
        """Disconnects."""
        await self._http.aclose()
        await self._hotline.close()
        await self._router.close()

    async def keep_busy(self, seconds: float, rate: float, resolve_until: float) -> None:
        """Complaints for so long; tickets are resolved only in the first `resolve_until` seconds, so that what
        follows from it by itself (the closing) is over when the run is looked at. Returns when every client is done.
        """
        began = self._clock.monotonic()
        while (now := self._clock.monotonic() - began) < seconds:
            task = asyncio.ensure_future(self._one(resolve=now < resolve_until))
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)
            await self._clock.sleep(self._chance.expovariate(rate))
        await asyncio.gather(*self._at_work)

    async def _one(self, *, resolve: bool) -> None:
        self._number += 1
        number = self._number
        kind, text = TEXTS[number % len(TEXTS)]
        channel = CHANNELS[number % len(CHANNELS)]
        contact = f"139{self._chance.randrange(10**8):08}"
        self.told.contacts.append(contact)
        key = f"chaos-key-{number}"
        body = {
            "type": kind,
            "description": text,
            "contact": contact,
            "brand": "demo",
            "orderId": f"chaos-order-{number}",
            "customerId": f"chaos-customer-{number}",
        }
        # One in eight gives up after its first try, so that its outcome may stay unknown.
        patience = 0.0 if self._chance.random() < 0.125 else PATIENCE
        twice = self._chance.random() < 0.25
        plan = self._chance.random(), self._chance.uniform(0.3, 7.0)
        tries = [self._complain(channel, key, body, patience) for _ in range(2 if twice else 1)]
        answers = [found for found in await asyncio.gather(*tries) if found]
        if twice and answers and self._chance.random() < 0.5:
            answers += [found for found in [await self._complain(channel, key, body, patience)] if found]
        if not answers or plan[0] > 0.45:
            return
        ticket = answers[0][0]
        await self._clock.sleep(plan[1])
        await self._command(ticket, "replied", self._reply)
        if resolve and plan[0] < 0.2:
            await self._clock.sleep(self._chance.uniform(0.2, 4.0))
            await self._command(ticket, "resolved", self._resolve)

    async def _complain(
        self, channel: str, key: str, body: dict[str, str], patience: float
    ) -> tuple[str, datetime | None] | None:
        give_up = self._clock.monotonic() + patience
        tries = 0
        self._note(key, body["orderId"], "unknown", None, 0)
        while True:
            tries += 1
            outcome, answer = await (self._by_grpc if channel == "hotline" else self._by_http)(channel, key, body)
            self._note(key, body["orderId"], outcome, answer, tries)
            if outcome != "unknown" or self._clock.monotonic() >= give_up:
                return answer
            await self._clock.sleep(self._chance.uniform(0.1, 0.6))

    def _note(
        self, key: str, order: str, outcome: Outcome, answer: tuple[str, datetime | None] | None, tries: int
    ) -> None:
        """An acknowledgement stays one, whatever another try of the same key was told."""
        before = self.told.requests.get(key)
        known = before.tickets if before else ()
        first = before.first_response_by if before else None
        if answer:
            known, first = (*known, answer[0]), first or answer[1]
        settled = "ok" if known else outcome
        self.told.requests[key] = Request(key, order, settled, known, first, tries + (before.tries if before else 0))

    async def _by_http(
        self, channel: str, key: str, body: dict[str, str]
    ) -> tuple[Outcome, tuple[str, datetime | None] | None]:
        headers = {"authorization": f"Bearer {self._keys['channels'][channel]}", "Idempotency-Key": key}
        try:
            answer = await self._http.post("/api/complaint", json=body, headers=headers)
        except httpx.HTTPError:
            return "unknown", None
        if answer.status_code == 201:
            told = answer.json()
            return "ok", (told["id"], datetime.fromisoformat(told["promise"]["firstResponseBy"]))
        return ("unknown" if answer.status_code >= 500 else "failed"), None

    async def _by_grpc(
        self, channel: str, key: str, body: dict[str, str]
    ) -> tuple[Outcome, tuple[str, datetime | None] | None]:
        stub: Any = IntakeServiceStub(self._hotline)
        request = intake_pb2.SubmitComplaintRequest(
            type=body["type"],
            description=body["description"],
            contact=body["contact"],
            brand=body["brand"],
            order_id=body["orderId"],
            customer_id=body["customerId"],
            idempotency_key=key,
        )
        metadata = (("authorization", f"Bearer {self._keys['channels'][channel]}"),)
        try:
            answer = await stub.SubmitComplaint(request, metadata=metadata, timeout=6.0)
        except grpc.aio.AioRpcError as error:
            return ("unknown" if error.code() in _PASSING else "failed"), None
        return "ok", (answer.id, None)

    async def _command(self, ticket: str, change: str, call: Callable[[str, str], Awaitable[Any]]) -> None:
        key = f"chaos-{change}-{ticket}"
        outcome: Outcome = "unknown"
        self.told.commands[key] = Command(key, ticket, change, outcome)
        give_up = self._clock.monotonic() + PATIENCE
        while True:
            try:
                await call(ticket, key)
                outcome = "ok"
            except grpc.aio.AioRpcError as error:
                outcome = "unknown" if error.code() in _PASSING else "failed"
            self.told.commands[key] = Command(key, ticket, change, outcome)
            if outcome != "unknown" or self._clock.monotonic() > give_up:
                return
            await self._clock.sleep(self._chance.uniform(0.2, 0.8))

    async def _reply(self, ticket: str, key: str) -> None:
        change = ticket_service_pb2.Change(ticket_id=ticket, idempotency_key=key, actor=AGENT)
        request = ticket_service_pb2.ReplyRequest(change=change, text="已经安排专人跟进,请放心。")
        await self._tickets().Reply(request, metadata=self._bearer(), timeout=6.0)

    async def _resolve(self, ticket: str, key: str) -> None:
        change = ticket_service_pb2.Change(ticket_id=ticket, idempotency_key=key, actor=AGENT)
        request = ticket_service_pb2.ResolveRequest(change=change, text="已为您退款。", resolution="refund")
        await self._tickets().Resolve(request, metadata=self._bearer(), timeout=6.0)

    def _tickets(self) -> Any:
        return TicketServiceStub(self._router)

    def _bearer(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._keys['service']}"),)
