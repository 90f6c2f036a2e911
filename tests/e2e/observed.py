"""What came out of a whole system: topics, outbox and database, as an outsider sees them."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from motor.motor_asyncio import AsyncIOMotorClient

from common.errors import Poison
from common.events import Decoder, Incoming
from common.words import from_timestamp
from deploy.local.system import System
from gen.pingxi.v1 import complaint_pb2, escalation_pb2, sla_event_pb2, ticket_pb2, voucher_pb2
from rules.model import Metric
from tests.waiting import CLOCK, eventually
from wire.words import metric_from_proto

TOPICS = ("complaints.v1", "tickets.v1", "sla-events.v1", "escalations.v1", "vouchers.v1", "dead-letters.v1")
KINDS = (
    complaint_pb2.ComplaintSubmitted,
    ticket_pb2.TicketEvent,
    sla_event_pb2.SlaBreached,
    sla_event_pb2.SlaMet,
    escalation_pb2.TicketEscalated,
    voucher_pb2.VoucherIssued,
)
FOOD_SAFETY = "鸡肉沙拉里吃出了铁丝，孩子差点咽下去"
# The steps of the story of a red complaint that nobody answers, in their order.
STEPS = ("acknowledged", "routed", "escalated 1", "paid", "escalated 2")


@dataclass
class Observed:
    """Everything published so far; `accepted` are the answers customers got, by idempotency key."""

    system: System
    http: httpx.AsyncClient
    database: Any
    messages: list[Incoming] = field(default_factory=list)
    records: list[ConsumerRecord] = field(default_factory=list)
    dead: list[dict[str, str]] = field(default_factory=list)
    accepted: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def post(self, key: str | None = None, **changes: Any) -> httpx.Response:
        """One try of a red complaint of the demo brand."""
        body = {"type": "其他", "description": FOOD_SAFETY, "contact": "13800001111", "brand": "demo", **changes}
        return await self.http.post("/api/complaint", json=body, headers={"Idempotency-Key": key} if key else {})

    async def complain(self, key: str | None = None) -> dict[str, Any]:
        """As an app does: tries with one idempotency key until the complaint is acknowledged."""
        key = key or secrets.token_hex(8)
        contact = f"138{secrets.randbelow(10**8):08}"
        give_up = CLOCK.monotonic() + 60
        while True:
            try:
                answer = await self.post(key, contact=contact)
                if answer.status_code == 201:
                    self.accepted[key] = answer.json()
                    return self.accepted[key]
                assert answer.status_code == 503, answer.text
            except httpx.TransportError:
                # Sent or not: nobody knows, so the same key again.
                pass
            assert CLOCK.monotonic() < give_up, "never acknowledged"
            await asyncio.sleep(0.2)

    def of(self, ticket: str, kind: str, **facts: Any) -> list[Any]:
        """Bodies of one kind about a ticket; repeats of an id are left out."""
        found = {
            message.id: message.body
            for message in self.messages
            if message.type == kind and _ticket_of(message.body) == ticket
        }
        return [body for body in found.values() if all(_fact(body, name) == value for name, value in facts.items())]

    def record_of(self, ticket: str) -> ConsumerRecord:
        """The record of the complaint itself: other topics have the same key, and may have been read before it."""
        pairs = zip(self.records, self.messages, strict=True)
        return next(r for r, m in pairs if m.key == ticket and m.type == "ComplaintSubmitted")

    def step_of(self, ticket: str) -> str:
        """The last step of the story that was observed."""
        seen = {
            "acknowledged": True,
            "routed": bool(self.of(ticket, "TicketEvent")),
            "escalated 1": bool(self.escalations(ticket, 1)),
            "paid": bool(self.of(ticket, "VoucherIssued")),
            "escalated 2": bool(self.escalations(ticket, 2)),
        }
        return [step for step in STEPS if seen[step]][-1]

    def escalations(self, ticket: str, level: int) -> list[Any]:
        """Escalations of the first response at a level."""
        return self.of(ticket, "TicketEscalated", metric=Metric.FIRST_RESPONSE, level=level)

    async def story_told(self, tickets: list[str], within: float = 90.0) -> None:
        """Waits until each ticket has been through the whole story, its last message included."""

        async def told() -> bool:
            messages = Counter((row["ticket"], row["event"]) for row in self.system.outbox())
            return all(
                self.step_of(t) == "escalated 2"
                and self.of(t, "VoucherIssued")
                and messages[t, "confirmation"]
                and messages[t, "voucher"]
                and messages[t, "escalation"] >= 3
                for t in tickets
            )

        await eventually(told, within)

    async def assert_once(self, answer: dict[str, Any]) -> None:
        """One ticket, one breach at the promised instant, one escalation a level, one voucher, one message each."""
        ticket = answer["id"]
        breaches = self.of(ticket, "SlaBreached", metric=Metric.FIRST_RESPONSE)
        assert len(breaches) == 1
        # A retry may have been told a little more; what is enforced is the promise of the first record in the log.
        records: list[Any] = [m.body for m in self.messages if m.type == "ComplaintSubmitted" and m.key == ticket]
        assert breaches[0].breached_at == records[0].promise.first_response_by
        promised = datetime.fromisoformat(answer["promise"]["firstResponseBy"])
        assert min(_promises(records)) <= promised
        if len(records) == 1:
            assert _promises(records) == [promised]
        assert len(self.escalations(ticket, 1)) == 1
        assert len(self.escalations(ticket, 2)) == 1
        assert len(self.of(ticket, "VoucherIssued")) == 1
        assert await self.database["tickets"].count_documents({"_id": ticket}) == 1
        rows = Counter(
            (row["event"], row["recipient"], row["text"]) for row in self.system.outbox() if row["ticket"] == ticket
        )
        assert max(rows.values()) == 1, rows
        events = Counter(event for event, _, _ in rows.elements())
        assert events["confirmation"] == 1
        assert events["voucher"] == 1
        versions = [body.version for body in self.of(ticket, "TicketEvent")]
        assert sorted(versions) == list(range(1, len(versions) + 1)), "versions grow by one, none is missing"


def _promises(records: list[Any]) -> list[datetime]:
    found = [from_timestamp(record.promise.first_response_by) for record in records]
    return [instant for instant in found if instant is not None]


def _ticket_of(body: Any) -> str:
    return str(body.clock.ticket_id if "clock" in body.DESCRIPTOR.fields_by_name else body.ticket_id)


def _fact(body: Any, name: str) -> Any:
    if name == "metric":
        return metric_from_proto(body.clock.metric if "clock" in body.DESCRIPTOR.fields_by_name else body.metric)
    return getattr(body, name)


@asynccontextmanager
async def observing(system: System) -> AsyncIterator[Observed]:
    """Reads every topic from its beginning until the block ends."""
    client: Any = AsyncIOMotorClient(system.env["PINGXI_MONGO"], serverSelectionTimeoutMS=2000)
    consumer = AIOKafkaConsumer(*TOPICS, bootstrap_servers=system.env["PINGXI_KAFKA"], auto_offset_reset="earliest")
    await consumer.start()
    decoder = Decoder(KINDS)
    key = system.keys()["channels"]["app"]
    http = httpx.AsyncClient(
        base_url=f"http://{system.env['PINGXI_INTAKE_HTTP']}",
        headers={"authorization": f"Bearer {key}"},
        timeout=10.0,
    )
    observed = Observed(system, http, client.get_default_database())

    async def read() -> None:
        async for record in consumer:
            if record.topic == "dead-letters.v1":
                headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
                observed.dead.append({**headers, "key": (record.key or b"").decode("utf-8", "replace")})
                continue
            try:
                message = decoder.decode(
                    record.topic, record.partition, record.offset, record.key, record.value, record.headers
                )
            except Poison:
                # Wrong on purpose: what becomes of it is seen in the dead letters.
                continue
            if message is not None:
                observed.messages.append(message)
                observed.records.append(record)

    reading = asyncio.ensure_future(read())
    try:
        yield observed
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await consumer.stop()
        await http.aclose()
        client.close()
