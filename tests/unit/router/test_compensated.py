"""A voucher's life in its ticket's history, from the rows that the ledger itself would write."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from common.errors import Poison
from common.events import Incoming, Outgoing
from common.words import to_timestamp
from gen.pingxi.v1 import compensation_pb2, voucher_pb2
from services.router.arrivals import HISTORY_KINDS, arrival, compensated
from services.router.commands import Arrival, Told
from services.router.model import HistoryEntry, Ticket
from services.router.policy import fold
from services.sla.compensation.decisions import Call, reverse
from services.sla.compensation.ledger_rows import ledger_event_of
from services.sla.compensation.model import Actor, LedgerRow
from services.sla.compensation.rules import propose
from services.sla.compensation.states import Receipt, moved, told
from services.sla.compensation.wire import promise_of, reversal_of
from tests.fakes_ledger import COUPON, POLICIES
from tests.fakes_router import START, complaint, number
from tests.unit.router.behaviour import opened

WANG = Actor("supervisor", "wang")


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def published() -> LedgerRow:
    row = propose(POLICIES, replace(COUPON, ticket_id=number(1)))
    assert row is not None
    return moved(moved(row, "reserved", at(1), issued_at=at(1)), "published", at(2), outcome="issued")


def answered(row: LedgerRow, receipt: Receipt, minute: int, why: str = "") -> LedgerRow:
    after = told(row, receipt, at(minute), why).row
    assert after is not None
    return after


def taken_back(row: LedgerRow, minute: int, why: str = "by mistake") -> LedgerRow:
    after = reverse(row, Call(WANG, 0, "", why, at(minute)))
    assert after is not None
    return after


def read(outgoing: Outgoing) -> list[Arrival]:
    """As the router's consumer reads it."""
    body = outgoing.body
    message = Incoming(outgoing.topic, 0, 0, outgoing.key, body.DESCRIPTOR.name, outgoing.id, None, body)
    if outgoing.topic == "ledger.v1":
        return compensated(message)
    found = arrival(message) if type(body) in HISTORY_KINDS else None
    return [found] if found else []


def history(*messages: Outgoing) -> list[HistoryEntry]:
    """What is in the history after these, one after the other."""
    ticket: Ticket = opened(complaint(1)).events[-1].ticket
    before = len(ticket.history)
    for message in messages:
        update = fold(ticket, read(message))
        ticket = update.ticket if update else ticket
    return list(ticket.history[before:])


def shown(entries: list[HistoryEntry]) -> list[tuple[str, str, datetime, str]]:
    assert {entry.kind for entry in entries} <= {"compensation_noted"}
    assert {entry.facts["ledger_id"] for entry in entries} == {published().id}
    return [(entry.facts["state"], entry.actor.id, entry.at, entry.reason) for entry in entries]


PROMISED = ("published", "sla", at(1), "resolution")


def test_who_took_a_voucher_when_and_why_is_in_the_history_once_each() -> None:
    first = published()
    second = answered(first, "redeemable", 3)
    third = answered(second, "redeemed", 4)
    rows = [ledger_event_of(row) for row in (first, second, third)]
    entries = history(promise_of(first), *rows, *rows, promise_of(first))
    assert shown(entries) == [PROMISED, ("redeemable", "loyalty", at(3), ""), ("redeemed", "loyalty", at(4), "")]
    assert entries[0].facts["amount_minor"] == str(first.amount_minor)


def test_a_rejected_voucher_says_why_without_what_looks_like_a_contact() -> None:
    row = answered(published(), "rejected", 3, "account 13800138000 is closed")
    entries = history(promise_of(row), ledger_event_of(row))
    assert [entry[0] for entry in shown(entries)] == ["published", "rejected"]
    assert "account" in entries[-1].reason
    assert "13800138000" not in entries[-1].reason


def test_a_reversal_names_the_supervisor_and_his_reason_and_the_answer_to_it() -> None:
    asked = taken_back(answered(published(), "redeemable", 3), 4)
    done = answered(asked, "reversal_done", 5)
    entries = history(promise_of(asked), ledger_event_of(asked), reversal_of(asked), ledger_event_of(done))
    assert shown(entries) == [
        PROMISED,
        ("redeemable", "loyalty", at(3), ""),
        ("reversing", "wang", at(4), "by mistake"),
        ("reversed", "loyalty", at(5), ""),
    ]


def test_a_refused_reversal_leaves_the_voucher_and_another_try_is_another_entry() -> None:
    redeemable = answered(published(), "redeemable", 3)
    refused = answered(taken_back(redeemable, 4), "reversal_refused", 5, "used in part")
    again = answered(taken_back(refused, 6, "still wrong"), "reversal_done", 7)
    entries = history(*(ledger_event_of(row) for row in (redeemable, refused, again, again)))
    assert shown(entries)[2:] == [
        ("reversing", "wang", at(4), "by mistake"),
        ("redeemable", "loyalty", at(5), "used in part"),
        ("reversing", "wang", at(6), "still wrong"),
        ("reversed", "loyalty", at(7), ""),
    ]
    assert entries[3].facts["outcome"] == "reversal_refused"


@pytest.mark.parametrize("late", ["promise", "rows"])
def test_whichever_topic_is_read_first_the_history_is_in_order(late: str) -> None:
    first = published()
    rows = [ledger_event_of(first), ledger_event_of(answered(first, "redeemable", 3))]
    order = [*rows, promise_of(first)] if late == "promise" else [promise_of(first), *rows]
    assert shown(history(*order)) == [PROMISED, ("redeemable", "loyalty", at(3), "")]


def test_of_a_compacted_topic_the_newest_row_alone_tells_all() -> None:
    row = answered(answered(published(), "redeemable", 3), "redeemed", 4)
    assert [entry[0] for entry in shown(history(ledger_event_of(row)))] == ["published", "redeemable", "redeemed"]


def test_what_is_decided_before_the_promise_is_not_told() -> None:
    """The customer's progress shows what the history names: nothing is promised yet."""
    row = propose(POLICIES, replace(COUPON, ticket_id=number(1)))
    assert row is not None
    for each in (row, moved(row, "held", at(1), outcome="needs_approval"), moved(row, "skipped", at(1)), published()):
        assert read(ledger_event_of(each)) == []


def test_a_row_of_an_order_without_a_ticket_is_nobodys_history() -> None:
    assert read(ledger_event_of(replace(answered(published(), "redeemable", 3), ticket_id=""))) == []


def test_a_ledger_rebuilt_from_vouchers_repeats_nothing_and_goes_on() -> None:
    first = answered(published(), "redeemable", 3)
    rebuilt = replace(first, history=first.history[:1])
    entries = history(ledger_event_of(first), ledger_event_of(answered(rebuilt, "redeemed", 4)))
    assert [entry[0] for entry in shown(entries)] == ["published", "redeemable", "redeemed"]


@pytest.mark.parametrize(
    ("wrong", "what"),
    [({"ticket_id": "nonsense"}, "ticket_id"), ({"issued_at": None}, "issued_at"), ({"ledger_id": ""}, "id")],
)
def test_a_row_that_lacks_something_needed_is_poison(wrong: dict[str, Any], what: str) -> None:
    body = ledger_event_of(answered(published(), "redeemable", 3)).body
    assert isinstance(body, compensation_pb2.LedgerRow)
    for name, value in wrong.items():
        body.ClearField(name)  # type: ignore[arg-type]
        if value is not None:
            setattr(body, name, value)
    with pytest.raises(Poison, match=what):
        compensated(Incoming("ledger.v1", 0, 0, "k", "LedgerRow", "m", None, body))


def test_a_promise_is_named_by_its_voucher_not_by_its_message() -> None:
    body = voucher_pb2.VoucherIssued(voucher_id="v", ticket_id=number(1), reason="late", issued_at=to_timestamp(START))
    for message_id in ("m1", "m2"):
        found = arrival(Incoming("vouchers.v1", 0, 0, "c1", "VoucherIssued", message_id, None, body))
        assert isinstance(found, Told)
        assert found.cause.id == "voucher:v"
