"""Protobuf events as the notifier reads them."""

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from common.errors import Poison
from common.words import to_timestamp
from gen.pingxi.v1 import (
    common_pb2,
    escalation_pb2,
    order_event_pb2,
    surge_pb2,
    ticket_pb2,
    ticket_service_pb2,
    voucher_pb2,
)
from services.notifier.model import (
    Amount,
    Answered,
    Compensated,
    Delayed,
    Escalated,
    Granted,
    Opened,
    Resolved,
    State,
    Surged,
    Why,
)
from services.notifier.policy import plan
from services.notifier.wire import delivery_of, happening_of, outcome_of, person_of
from tests.unit.notifier.behaviour import delivery

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def ticket_event() -> ticket_pb2.TicketEvent:
    snapshot = ticket_pb2.TicketSnapshot(
        brand="default",
        locale="en",
        category=common_pb2.CATEGORY_FOOD_SAFETY,
        priority=common_pb2.PRIORITY_URGENT,
        queue="quality_control",
        joint_queues=["legal"],
        red=True,
        notices=["role:supervisor"],
    )
    snapshot.promise.first_response_by.CopyFrom(Timestamp(seconds=1_800_000_000))
    return ticket_pb2.TicketEvent(
        event_id="e1", ticket_id="T1", version=1, occurred_at=to_timestamp(AT), snapshot=snapshot
    )


def test_an_opened_ticket() -> None:
    event = ticket_event()
    event.opened.SetInParent()
    found = happening_of(event)
    assert isinstance(found, Opened)
    assert (found.cause, found.at, found.ticket.category, found.ticket.notices) == (
        "e1",
        AT,
        "food_safety",
        ("role:supervisor",),
    )
    assert found.ticket.first_response_by == datetime.fromtimestamp(1_800_000_000, UTC)
    assert found.ticket.resolve_by is None


def test_answers_questions_and_resolutions() -> None:
    replied, asked, resolved = ticket_event(), ticket_event(), ticket_event()
    replied.replied.message_id = "m1"
    asked.information_requested.message_id = "m2"
    resolved.resolved.message_id = "m3"
    resolved.resolved.resolution = "refund"
    first, second, third = happening_of(replied), happening_of(asked), happening_of(resolved)
    assert isinstance(first, Answered)
    assert isinstance(second, Answered)
    assert isinstance(third, Resolved)
    assert (first.message_id, second.message_id, third.message_id, third.resolution) == ("m1", "m2", "m3", "refund")


def test_other_changes_make_no_message() -> None:
    event = ticket_event()
    event.assigned.assignee = "li"
    assert happening_of(event) is None
    event.repeated_snapshot.SetInParent()
    assert happening_of(event) is None
    assert happening_of(escalation_pb2.EscalationClosed(escalation_id="b1")) is None


def escalated(level: int = 1, returned: int = 0) -> escalation_pb2.TicketEscalated:
    return escalation_pb2.TicketEscalated(
        escalation_id="b1",
        ticket_id="T1",
        brand="default",
        metric=common_pb2.METRIC_FIRST_RESPONSE,
        level=level,
        notify=["role:supervisor"],
        ways=["robot"],
        escalated_at=to_timestamp(AT),
        priority=common_pb2.PRIORITY_URGENT,
        returned=returned,
    )


def test_each_level_and_each_return_is_a_message_of_its_own() -> None:
    ids = set()
    for level, returned in ((1, 0), (2, 0), (2, 1), (2, 1)):
        found = happening_of(escalated(level, returned))
        assert isinstance(found, Escalated)
        assert (found.metric, found.priority, found.at) == ("first_response", "urgent", AT)
        ids |= {owed.id for owed in plan(found)}
    assert len(ids) == 3


def test_a_voucher() -> None:
    event = voucher_pb2.VoucherIssued(
        voucher_id="v1",
        brand="default",
        ticket_id="T1",
        amount=common_pb2.Money(currency="CNY", amount_minor=1000),
        reason="red_first_response",
        issued_at=to_timestamp(AT),
    )
    assert happening_of(event) == Compensated("v1", AT, "T1", "default", Amount("CNY", 1000), "red_first_response")


def test_points() -> None:
    event = voucher_pb2.PointsGranted(
        grant_id="g1",
        brand="default",
        ticket_id="T1",
        customer_id="c1",
        points=50,
        reason="satisfied",
        granted_at=to_timestamp(AT),
    )
    assert happening_of(event) == Granted("g1", AT, "T1", "default", 50, "satisfied", "c1")
    for field in ("grant_id", "points", "granted_at"):
        wrong = voucher_pb2.PointsGranted()
        wrong.CopyFrom(event)
        wrong.ClearField(field)
        with pytest.raises(Poison, match=field):
            happening_of(wrong)


def test_what_has_no_identity_or_no_time_is_poison() -> None:
    nameless, timeless, textless = ticket_event(), ticket_event(), ticket_event()
    nameless.opened.SetInParent()
    nameless.event_id = ""
    timeless.opened.SetInParent()
    timeless.ClearField("occurred_at")
    textless.replied.SetInParent()
    for event in (nameless, timeless, textless, escalation_pb2.TicketEscalated(), voucher_pb2.VoucherIssued()):
        with pytest.raises(Poison):
            happening_of(event)


def test_only_public_messages_reach_a_customer() -> None:
    ticket = ticket_service_pb2.Ticket(contact="+8613800001111", snapshot=ticket_pb2.TicketSnapshot(locale="en"))
    ticket.messages.add(id="m1", text="dear customer", public=True)
    ticket.messages.add(id="m2", text="internal note", public=False)
    person = person_of(ticket)
    assert (person.contact, person.locale, dict(person.texts)) == ("+8613800001111", "en", {"m1": "dear customer"})


@pytest.mark.parametrize("state", [State.DELIVERED, State.FAILED, State.EXPIRED])
def test_an_outcome_comes_back_as_it_was_published(state: State) -> None:
    why = {State.DELIVERED: "", State.FAILED: Why.GAVE_UP, State.EXPIRED: Why.EXPIRED}[state]
    kept = delivery(state=state).__class__(
        **{**vars(delivery(state=state)), "why": why, "provider_id": "p1" if state is State.DELIVERED else ""}
    )
    message = outcome_of(kept)
    assert delivery_of(message.body) == kept
    assert (message.key, message.subject, message.topic) == ("T1", "T1", "notifications.v1")
    assert message.id == outcome_of(kept).id


def test_an_incident_that_was_opened() -> None:
    incident = surge_pb2.Incident(
        incident_id="i1",
        brand="default",
        category=common_pb2.CATEGORY_DELIVERY,
        dimension="region",
        value="sh-minhang",
        opened_at=to_timestamp(AT),
        complaints=14,
        affected_orders=["o1", "o2"],
    )
    found = happening_of(surge_pb2.SurgeOpened(incident=incident))
    assert isinstance(found, Surged)
    assert (found.at, found.category, found.dimension, found.value) == (AT, "delivery", "region", "sh-minhang")
    assert (found.complaints, found.orders) == (14, 2)
    assert happening_of(surge_pb2.SurgeUpdated(incident=incident)) is None
    with pytest.raises(Poison, match="opened_at"):
        happening_of(surge_pb2.SurgeOpened(incident=surge_pb2.Incident(incident_id="i1")))


def test_an_order_that_will_be_late_and_one_that_comes() -> None:
    delay = order_event_pb2.DelayExpected(
        message_id="d1", order_id="o1", brand="default", customer_id="c1", cause="eta", reason="weather",
        promised_at=to_timestamp(AT), eta=to_timestamp(AT + timedelta(minutes=20)), at=to_timestamp(AT),
    )  # fmt: skip
    found = happening_of(delay)
    assert isinstance(found, Delayed)
    assert (found.cause, found.why, found.reason, found.promised_at) == ("d1", "eta", "weather", AT)
    delay.ClearField("eta")
    assert isinstance(unknown := happening_of(delay), Delayed)
    assert unknown.eta is None
    told = order_event_pb2.EtaTold(message_id="e1", order_id="o1", brand="default", customer_id="c1", at=delay.at)
    with pytest.raises(Poison, match="eta"):
        happening_of(told)
    delay.ClearField("message_id")
    with pytest.raises(Poison, match="message_id"):
        happening_of(delay)
