from dataclasses import replace
from datetime import timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from common.sealing import Sealer
from common.words import to_timestamp
from gen.pingxi.v1 import common_pb2 as pb
from gen.pingxi.v1.complaint_pb2 import ComplaintSubmitted
from gen.pingxi.v1.ticket_pb2 import ClockFacts, TicketSnapshot
from gen.pingxi.v1.ticket_service_pb2 import HistoryEntry, Message, Ticket
from rules.bounds import MOST_BYTES, MOST_MESSAGES
from rules.model import Category
from services.intake.model import CompensationEntry, Complaint, TimelineEntry
from services.intake.wire import complaint_to_message, ticket_to_progress
from tests.unit.intake.fakes import NOW, TEXT, Bench, submission
from wire.personal import open_personal
from wire.promise import promise_from_proto, promise_to_proto, targets_from_proto

SEALER = Sealer("k1", {"k1": b"k" * 32})
AGENT, CUSTOMER = pb.Actor(kind=pb.Actor.KIND_AGENT, id="wang"), pb.Actor(kind=pb.Actor.KIND_CUSTOMER)


async def acknowledged(**fields: object) -> Complaint:
    bench = Bench()
    await bench.intake.submit(submission(**fields), "app", None)
    return bench.log.complaints[0]


async def test_the_record_carries_everything_and_nothing_personal_in_clear() -> None:
    complaint = await acknowledged(orderId="O-1", images=["a"], region="hz", locale="en", brand="demo")
    message = complaint_to_message(complaint, SEALER)
    assert (message.topic, message.key, message.subject) == ("complaints.v1", complaint.ticket_id, complaint.ticket_id)
    raw = message.body.SerializeToString()
    assert TEXT.encode() not in raw
    assert b"13800138000" not in raw
    body = ComplaintSubmitted.FromString(raw)
    personal = open_personal(SEALER, complaint.ticket_id, body.personal)
    assert (personal.contact, personal.text) == ("+8613800138000", TEXT)
    assert (body.brand, body.order_id, body.region, body.locale, list(body.images)) == (
        "demo",
        "O-1",
        "hz",
        "en",
        ["a"],
    )
    assert body.channel == pb.CHANNEL_APP
    assert body.declared_category == pb.CATEGORY_PRODUCT_QUALITY
    assert promise_from_proto(body.promise) == complaint.promise
    assert targets_from_proto(body.targets) == complaint.decision.targets
    assert {target.policy_hash for target in body.targets} == {body.policy_hash} == {complaint.decision.policy_hash}
    assert body.fingerprint == complaint.fingerprint
    assert body.acknowledged_at.ToDatetime(NOW.tzinfo) == body.occurred_at.ToDatetime(NOW.tzinfo) == NOW


async def test_what_may_lead_to_an_open_ticket_and_what_the_channel_knows_travel_with_the_record() -> None:
    bench = Bench()
    sent = replace(
        submission(),
        thread_ticket="7K3M9QXZ4TPC5",
        mail_references=("<a@x>", "<b@x>"),
        channel_facts=(("call_id", "c1"),),
    )
    await bench.intake.submit(sent, "app", None)
    body = complaint_to_message(bench.log.complaints[0], SEALER).body
    assert isinstance(body, ComplaintSubmitted)
    assert body.thread_hint.ticket_id == "7K3M9QXZ4TPC5"
    assert list(body.thread_hint.mail_references) == ["<a@x>", "<b@x>"]
    assert dict(body.channel_facts) == {"call_id": "c1"}


async def test_the_record_s_id_depends_on_the_ticket_only() -> None:
    complaint = await acknowledged()
    assert complaint_to_message(complaint, SEALER).id == complaint_to_message(complaint, SEALER).id


async def test_targets_follow_the_decision() -> None:
    for fields in ({}, {"brand": "demo"}, {"type": "配送", "description": "晚了十分钟"}, {"description": "系统错误"}):
        complaint = await acknowledged(**fields)
        body = ComplaintSubmitted.FromString(complaint_to_message(complaint, SEALER).body.SerializeToString())
        assert targets_from_proto(body.targets) == complaint.decision.targets


async def test_the_customer_sees_what_is_public_and_no_names() -> None:
    promise = (await acknowledged()).promise

    def minute(n: int) -> Timestamp | None:
        return to_timestamp(NOW + timedelta(minutes=n))

    ticket = Ticket(
        id="7K3M-9QXZ-4TPC-5",
        version=10,
        images=["u1"],
        snapshot=TicketSnapshot(
            status=pb.STATUS_RESOLVED,
            category=pb.CATEGORY_FOOD_SAFETY,
            assignee="wang",
            promise=promise_to_proto(promise),
            clock_facts=ClockFacts(acknowledged_at=minute(0), routed_at=minute(1)),
        ),
        history=[
            HistoryEntry(at=minute(1), kind="opened", version=1),
            HistoryEntry(at=minute(2), kind="assigned", version=2, actor=AGENT, facts={"assignee": "wang"}),
            HistoryEntry(at=minute(3), kind="replied", version=3, actor=AGENT, facts={"message_id": "m1"}),
            HistoryEntry(at=minute(4), kind="note_added", version=4, actor=AGENT, facts={"message_id": "m2"}),
            HistoryEntry(at=minute(5), kind="escalation_noted", version=5, facts={"level": "1"}),
            HistoryEntry(
                at=minute(6),
                kind="compensation_noted",
                version=6,
                facts={"ledger_id": "l1", "state": "sent", "amount_minor": "500", "currency": "CNY", "why": "late"},
            ),
            HistoryEntry(
                at=minute(6),
                kind="compensation_noted",
                version=6,
                facts={"ledger_id": "l2", "state": "published", "points": "50", "why": "satisfied"},
            ),
            HistoryEntry(at=minute(7), kind="customer_replied", version=7, facts={"message_id": "m3"}),
            HistoryEntry(at=minute(8), kind="resolved", version=8, actor=AGENT, facts={"message_id": "m4"}),
            HistoryEntry(at=minute(9), kind="rated", version=9, facts={"rating_id": "r1"}),
            HistoryEntry(
                at=minute(9),
                kind="compensation_noted",
                version=10,
                facts={"ledger_id": "l1", "state": "redeemable"},
            ),
        ],
        messages=[
            Message(id="m1", at=minute(3), actor=AGENT, text="对不起", public=True),
            Message(id="m2", at=minute(4), actor=AGENT, text="难缠的客户", public=False),
            Message(id="m3", at=minute(7), actor=CUSTOMER, text="谢谢", public=True, images=["u2"]),
            Message(id="m4", at=minute(8), actor=AGENT, text="已退款", public=True),
        ],
    )  # fmt: skip
    progress = ticket_to_progress(ticket)
    at = [NOW + timedelta(minutes=n) for n in range(10)]
    assert (progress.status, progress.category, progress.promise) == ("resolved", Category.FOOD_SAFETY, promise)
    assert progress.timeline == (
        TimelineEntry(at[0], "received", images=("u1",)),
        TimelineEntry(at[1], "routed", version=1),
        TimelineEntry(at[2], "assigned", version=2),
        TimelineEntry(at[3], "replied", "对不起", version=3),
        TimelineEntry(at[6], "compensation", version=6),
        TimelineEntry(at[6], "compensation", version=6),
        TimelineEntry(at[7], "message", "谢谢", ("u2",), version=7),
        TimelineEntry(at[8], "resolved", "已退款", version=8),
    )
    assert (progress.version, progress.images, progress.ratings) == (10, frozenset({"u1", "u2"}), frozenset({"r1"}))
    assert progress.compensation == (
        CompensationEntry("l1", "CNY", 500, "late", "redeemable", at[6]),
        CompensationEntry("l2", "", 0, "satisfied", "published", at[6], 50),
    )
    assert "wang" not in str(progress)


@pytest.mark.parametrize(
    ("messages", "size", "full"),
    [(MOST_MESSAGES - 1, 1, False), (MOST_MESSAGES, 1, True), (2, MOST_BYTES // 2, True), (2, 1000, False)],
)
def test_a_ticket_with_too_much_said_is_full_to_the_customer(messages: int, size: int, full: bool) -> None:
    said = [Message(id=f"m{place}", text="x" * size, public=place % 2 == 0) for place in range(messages)]
    progress = ticket_to_progress(Ticket(messages=said))
    assert (progress.full, len(progress.messages)) == (full, messages)


def test_pending_is_in_progress_to_the_customer() -> None:
    statuses = {
        number: ticket_to_progress(Ticket(snapshot=TicketSnapshot(status=number))).status  # type: ignore[arg-type]
        for number in range(6)
    }
    assert statuses == {
        0: "received", 1: "received", 2: "in_progress", 3: "in_progress", 4: "resolved", 5: "closed",
    }  # fmt: skip
