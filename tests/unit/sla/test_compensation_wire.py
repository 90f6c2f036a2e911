"""Messages of compensation: what a ticket asks for, what is promised, and rows through the log and back."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from common.errors import Poison
from common.words import to_timestamp
from gen.pingxi.v1 import common_pb2, compensation_pb2, voucher_pb2
from gen.pingxi.v1.ticket_pb2 import (
    TicketClosed,
    TicketEvent,
    TicketRated,
    TicketReplied,
    TicketResolved,
    TicketSnapshot,
)
from rules.model import Fault, TriggerKind
from services.sla.compensation.ledger_rows import ledger_event_of, row_from_proto, row_of_voucher, row_to_proto
from services.sla.compensation.model import Actor, Charges, LedgerRow
from services.sla.compensation.rules import propose
from services.sla.compensation.states import TRANSITIONS, moved
from services.sla.compensation.store import document_of, row_of
from services.sla.compensation.wire import (
    actor_from_proto,
    promise_of,
    request_message,
    request_of,
    requests_of_ticket,
    reversal_of,
)
from tests.fakes_ledger import BREACH, COUPON, LATE, NOW, POLICIES, SATISFIED, TICKET

AGENT = common_pb2.Actor(kind=common_pb2.Actor.KIND_AGENT, id="li")


def event(order: str = "o1", **change: Any) -> TicketEvent:
    return TicketEvent(
        event_id="e7",
        ticket_id=TICKET,
        version=7,
        occurred_at=to_timestamp(NOW),
        actor=AGENT,
        snapshot=TicketSnapshot(brand="default", customer_id="c1", customer_ref="c1", order_id=order),
        **change,
    )


def test_a_coupon_of_a_resolution_is_asked_for_with_its_amount_and_its_agent() -> None:
    message = requests_of_ticket(event(resolved=TicketResolved(resolution="coupon", currency="CNY", amount_minor=1500)))
    assert message is not None
    request = request_of(message)
    assert (request.trigger, request.amount_minor, request.currency) == (TriggerKind.RESOLUTION, 1500, "CNY")
    assert (request.person, request.order_id, request.customer_id) == (Actor("agent", "li"), "o1", "c1")


def test_a_satisfied_rating_and_an_adopted_suggestion_are_asked_for() -> None:
    rated = requests_of_ticket(event(rated=TicketRated(score=5, resolved=True)))
    adopted = requests_of_ticket(event(resolved=TicketResolved(resolution="suggestion_adopted")))
    assert rated is not None
    assert adopted is not None
    assert (rated.trigger, rated.score) == ("rating", 5)
    assert adopted.trigger == "suggestion"


@pytest.mark.parametrize(
    "change",
    [
        {"resolved": TicketResolved(resolution="refund", currency="CNY", amount_minor=1500)},
        {"resolved": TicketResolved(resolution="coupon")},
        {"rated": TicketRated(score=5, resolved=False)},
        {"replied": TicketReplied(message_id="m")},
        {"closed": TicketClosed()},
    ],
)
def test_other_changes_of_a_ticket_ask_for_nothing(change: dict[str, Any]) -> None:
    assert requests_of_ticket(event(**change)) is None


def test_the_same_event_asks_the_same_and_is_keyed_by_order_else_ticket() -> None:
    change: dict[str, Any] = {"resolved": TicketResolved(resolution="suggestion_adopted")}
    with_order, without = requests_of_ticket(event(**change)), requests_of_ticket(event("", **change))
    assert with_order is not None
    assert without is not None
    assert with_order == requests_of_ticket(event(**change))
    assert (request_message(with_order).key, request_message(without).key) == ("o1", TICKET)
    assert request_message(with_order).id == request_message(without).id


def rows() -> list[LedgerRow]:
    made = []
    for request in (BREACH, LATE, COUPON, SATISFIED):
        row = propose(POLICIES, request)
        assert row is not None
        made.append(row)
    full = replace(
        made[2],
        state="reversing",
        before_reversal="redeemable",
        fault=Fault.COURIER,
        issued_at=NOW,
        merchant_id="m1",
        incident_id="i1",
        item="soup",
        evidence=("a", "b"),
        approvals=(Actor("supervisor", "wang"), Actor("supervisor", "zhao")),
        charges=Charges(("brand/default/d", "merchant/default/m1/d"), ("default/customer:c1",), "d", "default/o1"),
    )
    return [*made, full, moved(made[0], "held", NOW, outcome="cap_count", actor=Actor("agent", "x"), why="w", key="k")]


@pytest.mark.parametrize("index", range(6))
def test_a_row_survives_the_log_and_the_database(index: int) -> None:
    row = rows()[index]
    assert row_from_proto(row_to_proto(row)) == row
    assert row_of(document_of(row)) == row


@pytest.mark.parametrize("state", TRANSITIONS)
def test_every_state_has_its_number_in_the_contract(state: Any) -> None:
    row = replace(rows()[0], state=state)
    assert row_from_proto(row_to_proto(row)).state == state


def test_a_row_without_its_id_or_of_an_unknown_state_is_refused() -> None:
    message = row_to_proto(rows()[0])
    message.ledger_id = ""
    with pytest.raises(Poison, match="ledger_id"):
        row_from_proto(message)
    with pytest.raises(Poison, match="unknown_state"):
        row_from_proto(compensation_pb2.LedgerRow(ledger_id="x", brand="b"))


def test_a_promise_is_the_same_however_late_it_is_made() -> None:
    row = replace(moved(rows()[1], "reserved", NOW), issued_at=NOW)
    late = replace(row, updated_at=NOW + timedelta(hours=1), version=9)
    assert promise_of(row) == promise_of(late)
    assert promise_of(row).id == row.id
    assert promise_of(row).key == "c1"


def test_points_are_a_message_of_their_own() -> None:
    row = replace(rows()[3], issued_at=NOW)
    body = promise_of(row).body
    assert isinstance(body, voucher_pb2.PointsGranted)
    assert (body.points, body.grant_id, body.reason) == (50, row.id, "satisfied")


def test_a_reversal_asked_again_after_a_refusal_is_another_message() -> None:
    published = replace(rows()[1], state="published")
    once = moved(published, "reversing", NOW, outcome="reversing", before_reversal="published")
    refused = moved(once, "published", NOW, outcome="reversal_refused")
    twice = moved(refused, "reversing", NOW, outcome="reversing")
    assert reversal_of(once).id == reversal_of(replace(once, version=8)).id
    assert reversal_of(once).id != reversal_of(twice).id


def test_a_voucher_the_ledger_lost_is_a_row_that_is_paid() -> None:
    row = replace(moved(rows()[1], "reserved", NOW), issued_at=NOW)
    body = promise_of(row).body
    assert isinstance(body, voucher_pb2.VoucherIssued)
    found = row_of_voucher(body, lambda brand, at: "2026-03-01")
    assert (found.id, found.state, found.amount_minor) == (row.id, "published", 500)
    assert found.charges.budgets == ("brand/default/2026-03-01",)
    assert found.charges.identities == ("default/customer:c1",)


def test_each_version_of_a_row_is_a_message_of_its_own_under_the_rows_key() -> None:
    row = rows()[0]
    after = moved(row, "held", NOW)
    assert ledger_event_of(row).key == ledger_event_of(after).key == row.id
    assert ledger_event_of(row).id != ledger_event_of(after).id


def test_a_kind_of_actor_nobody_named_has_nobodys_authority() -> None:
    assert actor_from_proto(common_pb2.Actor(id="x")) == Actor("", "x")


def test_an_amount_below_nothing_is_refused_by_name() -> None:
    message = requests_of_ticket(event(resolved=TicketResolved(resolution="coupon", currency="CNY", amount_minor=1)))
    assert message is not None
    message.amount.amount_minor = -1
    with pytest.raises(Poison, match="bad_amount"):
        request_of(message)
