"""What comes late or out of order: taken back where it proves wrong, seen first where it was there in time."""

from pathlib import Path

from common.words import from_timestamp, to_timestamp
from rules import courses
from services.sla.compensation.store import LedgerStore
from services.sla.store import Database
from tests.integration.sla.world import routed, seconds, world
from tests.waiting import CLOCK, eventually


async def test_a_late_answer_from_before_the_deadline_takes_back_the_breach_its_escalation_and_its_voucher(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        worker = await w.start_worker()
        # Of the default brand, whose vouchers wait for ten seconds; its ten minutes are nearly over.
        complaint = w.complaint("default", at=CLOCK.now() - seconds(597))
        ticket, due = complaint.ticket_id, from_timestamp(complaint.promise.first_response_by)
        assert due is not None
        await w.submit(complaint)
        breach = await w.until(ticket, "SlaBreached", metric="first_response")
        await w.until(ticket, "TicketEscalated", metric="first_response", level="1")
        await w.answer(complaint, due - seconds(2), version=2)
        met = await w.until(ticket, "SlaMet", metric="first_response")
        assert (met.in_time, met.retracts) == (True, breach.breach_id)
        closed = await w.until(ticket, "EscalationClosed")
        assert closed.why == "retracted"
        withdrawn = await w.until(ticket, "CompensationWithdrawn")
        asked = await w.until(ticket, "CompensationRequested")
        assert withdrawn.request_id == asked.request_id
        database = Database(mongo)
        ledger = LedgerStore(database)

        async def nothing_stays() -> bool:
            return [(row.state, row.outcome) for row in await ledger.find_all()] == [("skipped", "withdrawn")]

        try:
            await eventually(nothing_stays)
        finally:
            await database.close()
        # The version before it comes after it: it says nothing that isn't known.
        await w.tell(complaint, routed(complaint), due - seconds(3), version=1)
        resolved = courses.resolved(courses.answered(routed(complaint), due - seconds(2)), CLOCK.now())
        await w.tell(complaint, resolved, CLOCK.now(), version=3)
        await w.until(ticket, "SlaMet", metric="resolution")
        await w.all_read()
        assert len(w.of(ticket, "SlaMet", metric="first_response")) == 1
        assert len(w.of(ticket, "SlaArmed", metric="first_response")) == 1
        assert len(w.of(ticket, "SlaBreached", metric="first_response")) == 1
        assert w.of(ticket, "VoucherIssued") == []
        assert w.dead == []
        assert await worker.stop() == 0


async def test_a_consumer_that_lags_by_a_minute_makes_no_false_breach(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        now = CLOCK.now()
        # The ten minutes of both were over a minute ago; one was answered ten seconds before.
        complained = now - seconds(660)
        due, answered_at = now - seconds(60), now - seconds(70)
        complaint, unanswered, *others = w.complaints_on(0, 3002, "default", at=complained)
        assert complaint.promise.first_response_by == to_timestamp(due)
        await w.submit(complaint, unanswered, at=complained)
        # The reply has a queue before it, so that whoever doesn't look for it has judged before he comes to it.
        queue = [w.version(other, routed(other), complained, 1, put_at=answered_at) for other in others]
        await w.publisher.publish_all(queue, 30.0)
        reply = courses.answered(routed(complaint), answered_at)
        await w.tell(complaint, reply, answered_at, 1, put_at=answered_at)
        await w.start_worker()
        breach = await w.until(unanswered.ticket_id, "SlaBreached", within=60.0, metric="first_response")
        assert breach.breached_at == unanswered.promise.first_response_by
        met = await w.until(complaint.ticket_id, "SlaMet", within=60.0, metric="first_response")
        assert (met.in_time, met.retracts) == (True, "")
        # What a false breach would lead to comes with the true one's.
        await w.until(unanswered.ticket_id, "TicketEscalated", metric="first_response", level="1")
        await w.until(unanswered.ticket_id, "CompensationRequested")
        await w.all_read()
        for kind in ("SlaBreached", "TicketEscalated", "CompensationRequested", "VoucherIssued"):
            assert w.of(complaint.ticket_id, kind) == []
