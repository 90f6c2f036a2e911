"""The demo's eyes: Kafka topics, the outbox's file and MongoDB. Each puts what it sees into one queue."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import PyMongoError

from common.clock import Clock
from common.errors import Poison
from common.events import Decoder
from deploy.demo.sighting import INCIDENT, MONGODB, OUTBOX, Sighting
from gen.pingxi.v1 import (
    compensation_pb2,
    complaint_pb2,
    escalation_pb2,
    notification_pb2,
    order_event_pb2,
    order_pb2,
    sla_event_pb2,
    surge_pb2,
    ticket_pb2,
    voucher_pb2,
)

Queue = asyncio.Queue[Sighting]
DEAD_LETTERS = "dead-letters.v1"
TOPICS = (
    "complaints.v1",
    "tickets.v1",
    "sla-events.v1",
    "escalations.v1",
    "vouchers.v1",
    "notifications.v1",
    "surges.v1",
    "compensation-requests",
    "orders.v1",
    "order-events.v1",
    "ledger.v1",
    "voucher-receipts.v1",
    DEAD_LETTERS,
)
_DECODER = Decoder(
    [
        complaint_pb2.ComplaintSubmitted,
        ticket_pb2.TicketEvent,
        sla_event_pb2.SlaArmed,
        sla_event_pb2.SlaAtRisk,
        sla_event_pb2.SlaBreached,
        sla_event_pb2.SlaMet,
        escalation_pb2.TicketEscalated,
        escalation_pb2.EscalationAcknowledged,
        escalation_pb2.EscalationClosed,
        voucher_pb2.VoucherIssued,
        notification_pb2.NotificationDelivered,
        notification_pb2.NotificationFailed,
        surge_pb2.SurgeOpened,
        surge_pb2.SurgeUpdated,
        surge_pb2.SurgeClosed,
        compensation_pb2.CompensationRequested,
        order_pb2.OrderPlaced,
        order_event_pb2.DelayExpected,
        order_event_pb2.OrderFarTooLate,
        compensation_pb2.LedgerRow,
        voucher_pb2.VoucherRedeemable,
    ]
)


class TopicWatch:
    """Reads the topics from their present end on, without a consumer group: nobody else notices."""

    def __init__(self, bootstrap: str, prefix: str, clock: Clock, queue: Queue) -> None:
        self._prefix = prefix
        self._clock = clock
        self._queue = queue
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False, auto_offset_reset="latest"
        )

    async def __aenter__(self) -> "TopicWatch":
        await self._consumer.start()
        partitions = [
            TopicPartition(self._prefix + topic, partition)
            for topic in TOPICS
            for partition in await self._partitions(self._prefix + topic)
        ]
        self._consumer.assign(partitions)
        for partition, offset in (await self._consumer.end_offsets(partitions)).items():
            self._consumer.seek(partition, offset)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def _partitions(self, topic: str) -> Sequence[int]:
        while True:
            await self._consumer._client.force_metadata_update()
            if found := self._consumer.partitions_for_topic(topic):
                return sorted(found)
            await self._clock.sleep(0.2)

    async def run(self) -> None:
        """Until cancelled."""
        async for record in self._consumer:
            topic = record.topic.removeprefix(self._prefix)
            if topic == DEAD_LETTERS:
                reason = dict(record.headers).get("reason", b"").decode("utf-8", "replace")
                self._see(topic, "dead letter", "", f"{record.partition}/{record.offset}", reason)
                continue
            try:
                message = _DECODER.decode(
                    topic, record.partition, record.offset, record.key, record.value, record.headers
                )
            except Poison:
                # What the services make of it is seen in their dead letters.
                continue
            if message:
                self._see(topic, message.type, ticket_of(message.body), message.id, message.body)

    def _see(self, place: str, kind: str, ticket: str, id: str, body: Any) -> None:
        self._queue.put_nowait(Sighting(self._clock.now(), place, kind, ticket, id, body))


def ticket_of(body: Any) -> str:
    """Whose sighting a message is: INCIDENT, else its order's or ticket's number."""
    names = body.DESCRIPTOR.fields_by_name
    # What an incident asks for says so by its trigger, and what it pays by the name of the policy's rule.
    if "incident" in names or "incident" in (getattr(body, "trigger", ""), getattr(body, "rule", "")):
        return INCIDENT
    if "order" in names:
        return str(body.order.order_id)
    # SLA events have it in their clock's identity.
    if "clock" in names:
        return str(body.clock.ticket_id)
    return str(getattr(body, "ticket_id", "") or getattr(body, "order_id", ""))


class OutboxWatch:
    """Reads what the outbox appends to its file, from the present end on."""

    def __init__(self, path: Path, clock: Clock, queue: Queue) -> None:
        self._path = path
        self._clock = clock
        self._queue = queue
        self._read = path.stat().st_size if path.exists() else 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            for row in self._new_rows():
                about = INCIDENT if row["event"] == "surge" else row["ticket"]
                self._queue.put_nowait(Sighting(self._clock.now(), OUTBOX, row["event"], about, row["id"], row))
            await self._clock.sleep(0.1)

    def _new_rows(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        with open(self._path, "rb") as file:
            file.seek(self._read)
            whole, _, _ = file.read().rpartition(b"\n")
        if whole:
            self._read += len(whole) + 1
        return [json.loads(line) for line in whole.splitlines()]


class TicketLook:
    """Looks into the router's database, as an operator with a shell would."""

    def __init__(self, uri: str, clock: Clock, queue: Queue) -> None:
        self._client: Any = AsyncIOMotorClient(uri, serverSelectionTimeoutMS=2000)
        self._tickets = self._client.get_default_database()["tickets"]
        self._clock = clock
        self._queue = queue

    async def ticket(self, ticket: str, customer_id: str) -> None:
        """Looks until the ticket is there, then says how many this customer has: by that a double would show."""
        while True:
            try:
                found = await self._tickets.find_one({"_id": ticket}, {"version": 1})
                documents = await self._tickets.count_documents({"customer_id": customer_id})
            except PyMongoError:
                found = None
            if found:
                body = {"documents": documents, "version": found["version"]}
                self._queue.put_nowait(Sighting(self._clock.now(), MONGODB, "document", ticket, ticket, body))
                return
            await self._clock.sleep(0.2)

    async def stored(self, customer_ids: Sequence[str]) -> tuple[int, int]:
        """(tickets, different customers) among these customers of one complaint each. Raises PyMongoError."""
        cursor = self._tickets.find({"customer_id": {"$in": list(customer_ids)}}, {"customer_id": 1})
        found = [document["customer_id"] async for document in cursor]
        return len(found), len(set(found))

    def close(self) -> None:
        """Disconnects."""
        self._client.close()
