"""Real sla workers as processes of their own, between a real broker and a real database."""

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count as count_up
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer
from aiokafka.partitioner import DefaultPartitioner

from common.events import Decoder, Incoming, Outgoing
from common.policyfiles import load_all
from common.publisher import Publisher
from common.topics import ensure_topics
from common.words import from_timestamp, to_timestamp
from deploy.local.keys import generate
from deploy.local.ports import free_addresses
from deploy.local.settings import ROOT
from gen.pingxi.v1 import (
    common_pb2,
    compensation_pb2,
    escalation_pb2,
    order_event_pb2,
    sla_event_pb2,
    surge_pb2,
    voucher_pb2,
)
from gen.pingxi.v1.complaint_pb2 import ComplaintSubmitted
from gen.pingxi.v1.promise_pb2 import Target
from gen.pingxi.v1.ticket_pb2 import ClockFacts, TicketEvent, TicketReplied, TicketSnapshot
from rules import courses, number
from rules.model import ComplaintFacts
from rules.promise import promise
from rules.routing import decide
from tests.waiting import CLOCK, eventually
from wire.courses import courses_to_proto
from wire.promise import promise_to_proto, targets_to_proto

POLICIES = load_all(ROOT / "policies")
OUTPUTS = (
    "sla-events.v1",
    "escalations.v1",
    "vouchers.v1",
    "dead-letters.v1",
    "surges.v1",
    "compensation-requests",
    "order-events.v1",
)
PARTITIONER = DefaultPartitioner()
KINDS = (
    sla_event_pb2.SlaArmed,
    sla_event_pb2.SlaAtRisk,
    sla_event_pb2.SlaBreached,
    sla_event_pb2.SlaMet,
    sla_event_pb2.SlaRetargeted,
    sla_event_pb2.SlaPaused,
    sla_event_pb2.SlaResumed,
    sla_event_pb2.SlaCancelled,
    escalation_pb2.TicketEscalated,
    escalation_pb2.EscalationAcknowledged,
    escalation_pb2.EscalationClosed,
    voucher_pb2.VoucherIssued,
    voucher_pb2.VoucherReversed,
    voucher_pb2.PointsGranted,
    surge_pb2.SurgeOpened,
    surge_pb2.SurgeUpdated,
    surge_pb2.SurgeClosed,
    surge_pb2.RouteOptimizationSuggested,
    surge_pb2.QualityFlagged,
    compensation_pb2.CompensationRequested,
    compensation_pb2.CompensationWithdrawn,
    order_event_pb2.DelayExpected,
    order_event_pb2.EtaTold,
    order_event_pb2.OrderFarTooLate,
)


@dataclass
class Worker:
    """A running sla process."""

    process: asyncio.subprocess.Process
    metrics: str
    grpc: str
    log: Path

    async def ready(self) -> None:
        """Waits until it has partitions and recovered tables."""
        async with httpx.AsyncClient() as http:

            async def answers() -> bool:
                assert self.process.returncode is None, self.log.read_text()[-3000:]
                try:
                    return (await http.get(f"http://{self.metrics}/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(answers, 60.0)

    async def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        if self.process.returncode is None:
            self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), 15.0)


@dataclass
class World:
    """The edges of the sla service: what is put into its topics, what comes out of them."""

    kafka: str
    mongo: str
    prefix: str
    folder: Path
    publisher: Publisher
    reader: AIOKafkaConsumer
    seen: list[tuple[Incoming, dict[str, str]]] = field(default_factory=list)
    dead: list[dict[str, str]] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    # Where intake would be: nobody listens there unless a test starts one.
    intake: str = field(default_factory=lambda: free_addresses(1)[0])

    async def start_worker(
        self, name: str = "1", group: str = "pingxi-sla", wait: bool = True, variables: Mapping[str, str] | None = None
    ) -> Worker:
        """Starts `python -m services.sla` with a folder of its own, and with these PINGXI_* `variables`."""
        grpc, metrics = free_addresses(2)
        log = self.folder / f"sla-{name}-{secrets.token_hex(3)}.log"
        environment = {
            **os.environ,
            "PINGXI_KAFKA": self.kafka,
            "PINGXI_MONGO": self.mongo,
            "PINGXI_TOPIC_PREFIX": self.prefix,
            "PINGXI_LOCAL": str(self.folder),
            "PINGXI_KEYS": str(self.folder / "keys.json"),
            "PINGXI_POLICIES": str(ROOT / "policies"),
            "PINGXI_INTAKE_GRPC": self.intake,
            "PINGXI_SLA_GRPC": grpc,
            "PINGXI_SLA_METRICS": metrics,
            "PINGXI_SLA_INSTANCE": f"{group}-{name}",
            "PINGXI_SLA_GROUP": group,
            **(variables or {}),
        }
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.sla", cwd=ROOT, env=environment, stdout=output, stderr=output
        )
        os.close(output)
        worker = Worker(process, metrics, grpc, log)
        self.workers.append(worker)
        if wait:
            await worker.ready()
        return worker

    async def complain(self, brand: str = "demo", text: str = "鸡肉里吃出铁丝", at: datetime | None = None) -> str:
        """Puts an acknowledged complaint into the log; returns its ticket id."""
        message = self.complaint(brand, text, at)
        await self.submit(message)
        return message.ticket_id

    def complaint(
        self, brand: str = "demo", text: str = "鸡肉里吃出铁丝", at: datetime | None = None
    ) -> ComplaintSubmitted:
        """As intake would write it."""
        policies = POLICIES[brand]
        decision = decide(policies, ComplaintFacts(declared="其他", text=text, brand=brand, channel="app"))
        at = at or CLOCK.now()
        return ComplaintSubmitted(
            ticket_id=number.from_random(secrets.randbits(60)),
            brand=brand,
            customer_ref="u1",
            customer_id="u1",
            acknowledged_at=to_timestamp(at),
            promise=promise_to_proto(promise(policies, decision, at)),
            targets=targets_to_proto(decision),
            policy_hash=policies.hash,
            red=decision.red,
        )

    async def submit(self, *messages: ComplaintSubmitted, at: datetime | None = None) -> None:
        """Publishes them to complaints.v1, all at once; `at`: the time they were put there, the present if absent."""
        at = at or CLOCK.now()
        put = [Outgoing("complaints.v1", m.ticket_id, m.ticket_id, m.ticket_id, at, m) for m in messages]
        await self.publisher.publish_all(put, 20.0)

    async def answer(self, complaint: ComplaintSubmitted, at: datetime, version: int = 1) -> courses.Courses:
        """A ticket version that says: answered at `at`. Returns the courses under way then."""
        under_way = courses.answered(routed(complaint), at)
        await self.tell(complaint, under_way, at, version)
        return under_way

    async def tell(
        self,
        complaint: ComplaintSubmitted,
        under_way: courses.Courses,
        at: datetime,
        version: int,
        *,
        targets: Sequence[Target] | None = None,
        put_at: datetime | None = None,
    ) -> None:
        """Publishes that version."""
        message = self.version(complaint, under_way, at, version, targets=targets, put_at=put_at)
        await self.publisher.publish(message, 20.0)

    def version(
        self,
        complaint: ComplaintSubmitted,
        under_way: courses.Courses,
        at: datetime,
        version: int,
        *,
        targets: Sequence[Target] | None = None,
        put_at: datetime | None = None,
    ) -> Outgoing:
        """A ticket version of `at` with these courses; `targets`: other ones than the complaint's, in force from then.

        `put_at`: the time the message was put into the topic, the present if absent.
        """
        facts = ClockFacts(
            acknowledged_at=complaint.acknowledged_at,
            courses=courses_to_proto(under_way),
            targets_since=None if targets is None else to_timestamp(at),
        )
        snapshot = TicketSnapshot(
            brand=complaint.brand,
            status=common_pb2.STATUS_IN_PROGRESS,
            priority=common_pb2.PRIORITY_URGENT,
            customer_ref="u1",
            customer_id="u1",
            red=complaint.red,
            policy_hash=complaint.policy_hash,
            promise=complaint.promise,
            targets=complaint.targets if targets is None else targets,
            clock_facts=facts,
        )
        event = TicketEvent(
            event_id=f"{complaint.ticket_id}/{version}",
            ticket_id=complaint.ticket_id,
            version=version,
            occurred_at=to_timestamp(at),
            snapshot=snapshot,
            replied=TicketReplied(message_id="m1"),
        )
        put_at = put_at or CLOCK.now()
        return Outgoing("tickets.v1", event.ticket_id, event.event_id, event.ticket_id, put_at, event)

    def partition_of(self, ticket: str) -> int:
        """Where what is said of a ticket goes, in every topic."""
        return int(PARTITIONER(ticket.encode(), [0, 1], [0, 1]))

    def complaints_on(self, partition: int, count: int, brand: str = "demo", at: datetime | None = None) -> list[Any]:
        """So many complaints whose tickets are in that partition."""
        endless = (self.complaint(brand, at=at) for _ in count_up())
        return list(islice((c for c in endless if self.partition_of(c.ticket_id) == partition), count))

    def of(self, ticket: str, kind: str, **attributes: str) -> list[Incoming]:
        """What was published about a ticket, repeats (equal ids) left out."""
        found: dict[str, Incoming] = {}
        for message, headers in self.seen:
            wanted = {"ce_subject": ticket, **{f"ce_{name}": value for name, value in attributes.items()}}
            if message.type == kind and wanted.items() <= headers.items():
                found[message.id] = message
        return list(found.values())

    async def until(self, ticket: str, kind: str, count: int = 1, within: float = 30.0, **attributes: str) -> Any:
        """Waits for so many of them and returns the first body."""

        async def there() -> bool:
            return len(self.of(ticket, kind, **attributes)) >= count

        await eventually(there, within)
        return self.of(ticket, kind, **attributes)[0].body

    async def all_read(self) -> None:
        """Waits until everything that was published until now is in `seen`."""
        ends = await self.reader.end_offsets(self.reader.assignment())

        async def reached() -> bool:
            return all([await self.reader.position(place) >= end for place, end in ends.items()])

        await eventually(reached)


def routed(complaint: ComplaintSubmitted) -> courses.Courses:
    """The courses of a complaint that was routed at once."""
    start = from_timestamp(complaint.acknowledged_at)
    assert start is not None
    return courses.routed(courses.opened(start), start)


@asynccontextmanager
async def world(kafka: str, mongo: str, prefix: str, folder: Path) -> AsyncIterator[World]:
    """Topics of two partitions, keys, a reader of all outputs; ends every worker it started."""
    prefix = f"{prefix}."
    await ensure_topics(kafka, prefix=prefix, partitions=2)
    (folder / "keys.json").write_text(json.dumps(generate()))
    publisher = Publisher(kafka, "test", topic_prefix=prefix)
    await publisher.start()
    consumer = AIOKafkaConsumer(
        *(prefix + topic for topic in OUTPUTS), bootstrap_servers=kafka, auto_offset_reset="earliest"
    )
    await consumer.start()
    made = World(kafka, mongo, prefix, folder, publisher, consumer)
    decoder = Decoder(KINDS)

    async def read() -> None:
        async for record in consumer:
            headers = {name: value.decode() for name, value in record.headers}
            if record.topic.endswith("dead-letters.v1"):
                made.dead.append(headers)
                continue
            topic = record.topic.removeprefix(prefix)
            message = decoder.decode(topic, record.partition, record.offset, record.key, record.value, record.headers)
            if message is not None:
                made.seen.append((message, headers))

    reading = asyncio.ensure_future(read())
    try:
        yield made
    finally:
        for worker in made.workers:
            if worker.process.returncode is None:
                await worker.kill()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await consumer.stop()
        await publisher.stop()


def seconds(count: float) -> timedelta:
    """So many."""
    return timedelta(seconds=count)
