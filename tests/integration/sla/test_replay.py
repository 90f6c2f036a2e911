"""Everything read again from the start, by a service that knows nothing: the same clocks, and no id that is new."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import grpc
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from common.keys import load_keys
from gen.pingxi.v1 import common_pb2, sla_service_pb2, sla_service_pb2_grpc
from rules import courses
from services.sla.explain import views
from services.sla.model import Row
from services.sla.outgoing import clock_to_proto
from services.sla.policies import CalendarBook
from services.sla.rows import row_from_bytes
from services.sla.watchdog import next_due
from tests.integration.sla.world import POLICIES, Worker, World, seconds, world
from tests.waiting import CLOCK, eventually

INPUTS = ("complaints.v1", "tickets.v1", "sla-commands", "sla-due")


async def rows_of(w: World, group: str) -> dict[str, Row]:
    """The table of a group of workers, by ticket: the newest record of each key of its changelog."""
    places = [TopicPartition(f"{w.prefix}{group}-clocks-changelog", number) for number in (0, 1)]
    values: dict[str, bytes] = {}
    async with AIOKafkaConsumer(bootstrap_servers=w.kafka, enable_auto_commit=False) as consumer:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                values |= {record.key.decode(): record.value for record in records}
    calendars = CalendarBook(w.kafka, w.prefix, POLICIES)
    return {ticket: row_from_bytes(ticket, value, calendars) for ticket, value in values.items()}


def told(rows: Mapping[str, Row], at: datetime) -> dict[str, list[sla_service_pb2.Clock]]:
    """What GetClocks answers of each ticket at an instant, but for how much later a breach was found."""
    found: dict[str, list[sla_service_pb2.Clock]] = {}
    for ticket, row in rows.items():
        clocks = [clock_to_proto(row, view) for view in views(row, at, "Asia/Shanghai")]
        for clock in clocks:
            clock.explanation[:] = [sentence.partition("; found ")[0] for sentence in clock.explanation]
        found[ticket] = clocks
    return found


async def lag(w: World, group: str) -> int:
    """Messages of its inputs the group hasn't done yet."""
    places = [TopicPartition(w.prefix + topic, number) for topic in INPUTS for number in (0, 1)]
    admin = AIOKafkaAdminClient(bootstrap_servers=w.kafka)
    await admin.start()
    try:
        done = await admin.list_consumer_group_offsets(w.prefix + group, partitions=places)
    finally:
        await admin.close()
    async with AIOKafkaConsumer(bootstrap_servers=w.kafka, enable_auto_commit=False) as consumer:
        ends = await consumer.end_offsets(places)
    return sum(end - max(0, done[place].offset if place in done else 0) for place, end in ends.items())


async def acknowledge(w: World, worker: Worker, ticket: str, escalation_id: str) -> None:
    """Li takes it on."""
    metadata = (("authorization", f"Bearer {load_keys(w.folder / 'keys.json').service}"),)
    async with grpc.aio.insecure_channel(worker.grpc) as channel:
        request = sla_service_pb2.AcknowledgeEscalationRequest(
            escalation_id=escalation_id,
            ticket_id=ticket,
            idempotency_key="k1",
            actor=common_pb2.Actor(kind=common_pb2.Actor.KIND_SUPERVISOR, id="li"),
        )
        stub = sla_service_pb2_grpc.SlaServiceStub(channel)
        await stub.AcknowledgeEscalation(request, metadata=metadata, timeout=10)


async def test_a_replay_into_an_empty_service_leads_to_the_same_clocks_and_publishes_no_new_id(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        worker = await w.start_worker()
        unanswered, taken_on = await w.complain(), await w.complain()
        complaint = w.complaint()
        ticket = complaint.ticket_id
        await w.submit(complaint)
        await w.until(ticket, "SlaArmed", count=2)
        under_way = await w.answer(complaint, CLOCK.now())
        await w.until(ticket, "SlaMet")
        # The desk waits for the customer, he writes, and then less time is left to solve it.
        under_way = courses.waiting(under_way, CLOCK.now())
        await w.tell(complaint, under_way, CLOCK.now(), 2)
        await w.until(ticket, "SlaPaused")
        escalation = await w.until(taken_on, "TicketEscalated", metric="first_response", level="1")
        await acknowledge(w, worker, taken_on, escalation.escalation_id)
        await w.until(taken_on, "EscalationAcknowledged")
        under_way = courses.customer_wrote(under_way, CLOCK.now())
        await w.tell(complaint, under_way, CLOCK.now(), 3)
        await w.until(ticket, "SlaResumed")
        shorter = [type(target).FromString(target.SerializeToString()) for target in complaint.targets]
        for target in shorter:
            if target.metric == common_pb2.METRIC_RESOLUTION:
                target.duration.FromTimedelta(seconds(8))
        await w.tell(complaint, under_way, CLOCK.now(), 4, targets=shorter)
        await w.until(ticket, "SlaRetargeted")

        async def nothing_is_ahead() -> bool:
            rows = await rows_of(w, "pingxi-sla")
            return len(rows) == 3 and all(next_due(row) is None for row in rows.values())

        await eventually(nothing_is_ahead, 90.0)
        for each in (unanswered, taken_on):
            await w.until(each, "VoucherIssued")
        assert await worker.stop() == 0
        await w.all_read()
        live, now = await rows_of(w, "pingxi-sla"), CLOCK.now()
        known, length = {m.id for m, _ in w.seen}, len(w.seen)

        await w.start_worker(group="replay")
        again: dict[str, Row] = {}

        async def has_read_everything_and_has_nothing_ahead() -> bool:
            nonlocal again
            if await lag(w, "replay"):
                return False
            again = await rows_of(w, "replay")
            return len(again) == 3 and all(next_due(row) is None for row in again.values())

        await eventually(has_read_everything_and_has_nothing_ahead, 90.0, lambda: told(again, now))
        assert told(again, now) == told(live, now)
        await w.all_read()
        new = [(m.type, headers["ce_subject"]) for m, headers in w.seen[length:] if m.id not in known]
        assert new == []
        breaches = {m.id for m, _ in w.seen if m.type == "SlaBreached"}
        assert {m.id for m, _ in w.seen[length:] if m.type == "SlaBreached"} == breaches
