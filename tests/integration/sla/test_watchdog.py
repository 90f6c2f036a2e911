"""The watchdog as it runs: real broker, real tables, real processes that die."""

from pathlib import Path

import grpc
import pytest

from common.events import Outgoing
from common.keys import load_keys
from common.words import from_timestamp
from gen.pingxi.v1 import common_pb2, sla_service_pb2, sla_service_pb2_grpc
from rules import number
from tests.integration.sla.world import seconds, world
from tests.waiting import CLOCK, eventually


async def test_a_red_promise_that_lapses_in_silence_is_breached_escalated_twice_and_paid_once(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        worker = await w.start_worker()
        complaint = w.complaint()
        await w.submit(complaint)
        await w.submit(complaint)
        ticket = complaint.ticket_id
        breach = await w.until(ticket, "SlaBreached", metric="first_response")
        assert breach.breached_at == complaint.promise.first_response_by
        first = await w.until(ticket, "TicketEscalated", metric="first_response", level="1")
        second = await w.until(ticket, "TicketEscalated", metric="first_response", level="2")
        after = from_timestamp(second.escalated_at) - from_timestamp(first.escalated_at)  # type: ignore[operator]
        assert after >= seconds(3)
        voucher = await w.until(ticket, "VoucherIssued")
        assert voucher.amount == common_pb2.Money(currency="CNY", amount_minor=1000)
        assert voucher.ticket_id == ticket
        everything = [m.id for m, h in w.seen if h["ce_subject"] == ticket]
        assert len(everything) == len(set(everything)), "published once each, without a crash"
        assert await worker.stop() == 0


async def test_a_worker_killed_before_the_deadline_and_started_again_breaches_once_stamped_with_the_deadline(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        worker = await w.start_worker()
        complaint = w.complaint()
        await w.submit(complaint)
        await w.until(complaint.ticket_id, "SlaArmed", count=2)
        await worker.kill()
        await w.start_worker()
        breach = await w.until(complaint.ticket_id, "SlaBreached", metric="first_response")
        assert breach.breached_at == complaint.promise.first_response_by
        await w.until(complaint.ticket_id, "VoucherIssued")
        assert len(w.of(complaint.ticket_id, "SlaBreached", metric="first_response")) == 1


async def test_a_reply_that_waits_in_the_topic_is_seen_before_the_deadline_is_judged(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        worker = await w.start_worker()
        complaint = w.complaint()
        await w.submit(complaint)
        await w.until(complaint.ticket_id, "SlaArmed", count=2)
        await worker.kill()
        answered_at = CLOCK.now()
        await w.answer(complaint, answered_at)
        due = from_timestamp(complaint.promise.first_response_by)
        assert due is not None
        assert answered_at < due

        async def past_the_deadline() -> bool:
            return CLOCK.now() > due + seconds(0.5)

        await eventually(past_the_deadline)
        await w.start_worker()
        met = await w.until(complaint.ticket_id, "SlaMet")
        assert met.in_time
        await w.until(complaint.ticket_id, "SlaBreached", metric="resolution")
        assert w.of(complaint.ticket_id, "SlaBreached", metric="first_response") == []
        assert w.of(complaint.ticket_id, "TicketEscalated", metric="first_response") == []
        assert w.of(complaint.ticket_id, "VoucherIssued") == []


async def test_an_acknowledged_escalation_stops_at_its_level(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        worker = await w.start_worker()
        ticket = await w.complain()
        escalation = await w.until(ticket, "TicketEscalated", metric="first_response", level="1")
        keys = load_keys(tmp_path / "keys.json")
        async with grpc.aio.insecure_channel(worker.grpc) as channel:
            stub = sla_service_pb2_grpc.SlaServiceStub(channel)
            request = sla_service_pb2.AcknowledgeEscalationRequest(
                escalation_id=escalation.escalation_id,
                ticket_id=ticket.lower(),
                idempotency_key="k1",
                actor=common_pb2.Actor(kind=common_pb2.Actor.KIND_SUPERVISOR, id="li"),
            )
            metadata = (("authorization", f"Bearer {keys.service}"),)
            await stub.AcknowledgeEscalation(request, metadata=metadata, timeout=10)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.AcknowledgeEscalation(request, timeout=10)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
            with pytest.raises(grpc.aio.AioRpcError) as invalid:
                await stub.AcknowledgeEscalation(
                    sla_service_pb2.AcknowledgeEscalationRequest(ticket_id="nonsense"), metadata=metadata, timeout=10
                )
            assert invalid.value.code() is grpc.StatusCode.INVALID_ARGUMENT

            async def first_response() -> sla_service_pb2.Clock | None:
                asked = sla_service_pb2.GetClocksRequest(ticket_id=ticket)
                try:
                    answer = await stub.GetClocks(asked, metadata=metadata, timeout=10)
                except grpc.aio.AioRpcError as error:
                    # The copy in MongoDB lags by a moment.
                    if error.code() is not grpc.StatusCode.NOT_FOUND:
                        raise
                    return None
                return next((c for c in answer.clocks if c.id.metric == common_pb2.METRIC_FIRST_RESPONSE), None)

            async def explained() -> bool:
                clock = await first_response()
                return clock is not None and clock.acknowledged

            await eventually(explained)
            clock = await first_response()
            assert clock is not None
            assert (clock.state, clock.escalation_level, clock.sla_policy) == ("breached", 1, "red")
            assert clock.due_at == escalation.breached_at == clock.breached_at
            assert clock.explanation[0].startswith("First response within 3 s, counted round the clock, by policy red")
            assert clock.explanation[-1].startswith("Acknowledged by li at ")
            asked = sla_service_pb2.GetClocksRequest(ticket_id=number.from_random(1))
            with pytest.raises(grpc.aio.AioRpcError) as unknown:
                await stub.GetClocks(asked, metadata=metadata, timeout=10)
            assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
        taken = await w.until(ticket, "EscalationAcknowledged")
        assert taken.actor.id == "li"
        # Nobody answers, so it comes back to the level that took it on; before that no further level was told.
        await w.until(ticket, "TicketEscalated", count=2, metric="first_response", level="1")
        assert w.of(ticket, "TicketEscalated", metric="first_response", level="2") == []


async def test_no_wrong_message_stops_the_watchdog(kafka: str, mongo: str, unique: str, tmp_path: Path) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        await w.start_worker()
        kind = ("ce_type", b"pingxi.v1.ComplaintSubmitted")
        complaint = w.complaint()
        good = complaint.SerializeToString()
        unstamped = w.complaint()
        unstamped.ClearField("acknowledged_at")
        wrong: list[tuple[str, bytes | None, bytes | None, list[tuple[str, bytes]]]] = [
            ("no_type", b"k", good, []),
            ("unknown_type", b"k", good, [("ce_type", b"something.Else")]),
            ("undecodable", b"k", b"\xff\xff\xff", [kind]),
            ("no_value", b"k", None, [kind]),
            ("key_mismatch", b"another", good, [kind]),
            ("bad_key", b"\xff\xfe", good, [kind]),
            ("missing_field", unstamped.ticket_id.encode(), unstamped.SerializeToString(), [kind]),
        ]
        for _, key, value, headers in wrong:
            await w.publisher.publish_raw("complaints.v1", key, value, headers)
        ticket = await w.complain()
        await w.until(ticket, "SlaBreached", metric="first_response")

        async def buried() -> bool:
            return len(w.dead) >= len(wrong)

        await eventually(buried)
        assert sorted(d["reason"] for d in w.dead) == sorted(reason for reason, *_ in wrong)
        assert {d["topic"] for d in w.dead} == {f"{unique}.complaints.v1"}
        assert {d["service"] for d in w.dead} == {"sla"}


async def test_a_burst_of_complaints_leaves_no_breach_unfound(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        await w.start_worker()
        complaints = [w.complaint() for _ in range(300)]
        now = CLOCK.now()
        await w.publisher.publish_all(
            [Outgoing("complaints.v1", c.ticket_id, c.ticket_id, c.ticket_id, now, c) for c in complaints], 30.0
        )

        async def all_found() -> bool:
            found = {m.body.clock.ticket_id for m, _ in w.seen if m.type == "SlaBreached"}  # type: ignore[attr-defined]
            return len(found) == len(complaints)

        await eventually(all_found, 60.0)
