"""The plan: an event in, the messages it owes out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.model import (
    CUSTOMER,
    Amount,
    Answered,
    Compensated,
    Delayed,
    Escalated,
    Event,
    Expected,
    Granted,
    Opened,
    Resolved,
    Surged,
    TicketFacts,
    Way,
)
from services.notifier.policy import (
    expired,
    key_for,
    masked,
    plan,
    retry_delay,
    sms_segments,
    way_to,
)

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TICKET = "7K3M-9QXZ-4TPC-5"


def ticket(red: bool = False, notices: tuple[str, ...] = (), assignee: str = "") -> TicketFacts:
    return TicketFacts(
        id=TICKET,
        brand="default",
        locale="zh-CN",
        category="food_safety" if red else "price",
        priority="urgent" if red else "normal",
        queue="quality_control" if red else "customer_service",
        joint_queues=("legal",) if red else (),
        assignee=assignee,
        red=red,
        first_response_by=AT + timedelta(minutes=10),
        resolve_by=AT + timedelta(hours=24),
        notices=notices,
    )


def escalated(
    notify: tuple[str, ...], ways: tuple[str, ...] = ("console", "robot", "sms"), assignee: str = "", level: int = 1
) -> Escalated:
    return Escalated(
        cause=f"e1-{level}",
        at=AT,
        ticket_id=TICKET,
        brand="default",
        metric="first_response",
        level=level,
        notify=notify,
        ways=ways,
        breached_at=AT,
        priority="urgent",
        queue="quality_control",
        assignee=assignee,
        red=True,
        returned=0,
    )


def test_a_new_ticket_is_confirmed_to_its_customer() -> None:
    [only] = plan(Opened("c1", AT, ticket()))
    assert (only.event, only.recipient, only.locale) == (Event.CONFIRMATION, CUSTOMER, "zh-CN")
    assert only.facts["first_response_by"] == AT + timedelta(minutes=10)


def test_the_red_channel_tells_supervisor_rota_and_joint_lead_at_routing_before_the_customer() -> None:
    owed = plan(Opened("c1", AT, ticket(red=True, notices=("role:supervisor", "oncall:emergency"))))
    assert [(n.event, n.recipient) for n in owed] == [
        (Event.NOTICE, "role:supervisor"),
        (Event.NOTICE, "oncall:emergency"),
        (Event.NOTICE, "queue_lead:legal"),
        (Event.CONFIRMATION, CUSTOMER),
    ]


def test_without_the_red_channel_nobody_gets_a_notice() -> None:
    assert [n.event for n in plan(Opened("c1", AT, ticket(notices=("role:supervisor",))))] == [Event.CONFIRMATION]


def test_an_answer_and_a_resolution_carry_the_desks_text() -> None:
    [reply] = plan(Answered("c2", AT, ticket(), "m7"))
    [resolution] = plan(Resolved("c3", AT, ticket(), "m8", "refund"))
    assert (reply.event, reply.message_id) == (Event.REPLY, "m7")
    assert (resolution.event, resolution.message_id, resolution.facts["resolution"]) == (
        Event.RESOLUTION,
        "m8",
        "refund",
    )


def test_a_voucher_is_told_to_the_tickets_customer_with_its_amount() -> None:
    [voucher] = plan(Compensated("v1", AT, TICKET, "default", Amount("CNY", 1000), "red_first_response"))
    assert (voucher.event, voucher.recipient, voucher.facts["amount"]) == (
        Event.VOUCHER,
        CUSTOMER,
        Amount("CNY", 1000),
    )


def test_an_escalation_reaches_assignee_lead_role_and_rota_each_by_name() -> None:
    owed = plan(escalated(("assignee", "queue_lead", "role:supervisor", "oncall:emergency"), assignee="li"))
    assert [n.recipient for n in owed] == [
        "agent:li",
        "queue_lead:quality_control",
        "role:supervisor",
        "oncall:emergency",
    ]
    assert not any(n.personal for n in owed)


def test_a_level_that_names_nobody_there_is_tells_the_supervisor() -> None:
    event = escalated(("assignee", "queue_lead"))
    assert [n.recipient for n in plan(replace(event, queue=""))] == ["role:supervisor"]


def test_one_message_per_person_and_level() -> None:
    twice = plan(escalated(("assignee", "agent:li", "role:supervisor", "role:supervisor"), assignee="li"))
    assert [n.recipient for n in twice] == ["agent:li", "role:supervisor"]
    second = plan(escalated(("role:supervisor",), level=2))
    assert second[0].id not in {n.id for n in twice}


def test_the_console_is_no_message_and_the_other_ways_are_tried_in_order() -> None:
    [owed] = plan(escalated(("role:supervisor",), ("console", "robot", "sms", "voice")))
    assert owed.ways == (Way.ROBOT, Way.SMS, Way.VOICE)
    assert plan(escalated(("role:supervisor",), ("console",))) == ()


def test_the_same_event_always_owes_the_same_ids() -> None:
    opened = Opened("c1", AT, ticket(red=True, notices=("role:supervisor",)))
    assert [n.id for n in plan(opened)] == [n.id for n in plan(opened)]
    assert len({n.id for n in plan(opened)}) == 3
    assert {n.id for n in plan(opened)}.isdisjoint(n.id for n in plan(Opened("c2", AT, opened.ticket)))


def test_each_way_has_an_idempotency_key_of_its_own_and_the_first_is_the_id() -> None:
    [owed] = plan(escalated(("role:supervisor",)))
    assert key_for(owed, Way.ROBOT) == owed.id
    assert key_for(owed, Way.SMS) not in ("", owed.id)


def test_nothing_is_sent_for_events_older_than_24_hours() -> None:
    [owed] = plan(Opened("c1", AT, ticket()))
    assert not expired(owed, AT + timedelta(hours=24))
    assert expired(owed, AT + timedelta(hours=24, microseconds=1))


@pytest.mark.parametrize(
    ("contact", "way"),
    [
        ("+8613800001111", Way.SMS),
        ("li@example.com", Way.MAIL),
        ("13800001111", Way.SMS),
        ("wx:oia2Tjjewb", Way.WECHAT),
    ],
)
def test_a_phone_gets_an_sms_an_address_mail_and_a_follower_wechat(contact: str, way: Way) -> None:
    assert way_to(contact) is way


@pytest.mark.parametrize(
    ("recipient", "shown"),
    [
        ("+8613800001111", "+86138****1111"),
        ("13800001111", "138****1111"),
        ("57331234", "****34"),
        ("liming@example.com", "l***@example.com"),
        ("role:supervisor", "role:supervisor"),
        ("wx:oia2TjjewbmiOUlr6X-1crbLOvLw", "wx:****"),
        (CUSTOMER, CUSTOMER),
    ],
)
def test_a_recipient_is_masked(recipient: str, shown: str) -> None:
    assert masked(recipient) == shown


@given(attempt=st.integers(0, 10_000), chance=st.floats(0, 1))
def test_retries_wait_longer_and_longer_but_never_beyond_15_seconds(attempt: int, chance: float) -> None:
    assert 0.125 <= retry_delay(attempt, chance) <= 15.0
    assert retry_delay(attempt, chance) <= retry_delay(attempt + 2, chance)


@pytest.mark.parametrize(
    ("text", "segments"),
    [("a" * 160, 1), ("a" * 161, 2), ("好" * 70, 1), ("好" * 71, 2), ("好" * 134, 2), ("😀" * 36, 2)],
)
def test_sms_are_counted_as_they_are_billed(text: str, segments: int) -> None:
    assert sms_segments(text) == segments


def test_a_surge_is_one_message_to_the_supervisor_by_robot_then_sms() -> None:
    surged = Surged("s1", AT, "i1", "default", "product_quality", "merchant", "m-orchard-12", 12, 9)
    [only] = plan(surged)
    assert (only.event, only.recipient, only.ways) == (Event.SURGE, "role:supervisor", (Way.ROBOT, Way.SMS))
    assert only.facts["value"] == "m-orchard-12"
    assert plan(surged) == (only,)


def delayed(customer: str = "c1", reason: str = "traffic") -> Delayed:
    return Delayed("d1", AT, "o1", "default", customer, "eta", reason, AT, AT + timedelta(minutes=20))


def test_a_late_order_is_told_to_its_customer_by_push_under_his_id() -> None:
    [delay] = plan(delayed())
    assert (delay.event, delay.recipient, delay.ways) == (Event.DELAY, "customer:c1", (Way.PUSH,))
    assert (delay.facts["order"], delay.facts["delay_reason"]) == ("o1", "traffic")
    assert not delay.personal
    [eta] = plan(Expected("e1", AT, "o1", "default", "c1", AT + timedelta(minutes=10)))
    assert (eta.event, eta.recipient) == (Event.ETA, "customer:c1")
    assert plan(delayed()) == (delay,)


def test_a_reason_no_message_can_say_is_left_out() -> None:
    [delay] = plan(delayed(reason="solar flare"))
    assert delay.facts["delay_reason"] == ""


def test_an_order_without_a_customer_tells_nobody() -> None:
    assert plan(delayed(customer="")) == ()


def test_a_voucher_without_a_ticket_is_told_by_push_and_with_one_by_its_contact() -> None:
    amount = Amount("CNY", 500)
    [pushed] = plan(Compensated("v1", AT, "", "default", amount, "order_late", "c1"))
    assert (pushed.event, pushed.recipient, pushed.ways) == (Event.VOUCHER, "customer:c1", (Way.PUSH,))
    [told] = plan(Compensated("v1", AT, TICKET, "default", amount, "order_late", "c1"))
    assert told.recipient == CUSTOMER


def test_points_are_told_to_the_tickets_customer_once_whatever_is_repeated() -> None:
    granted = Granted("g1", AT, TICKET, "default", 50, "satisfied", "c1")
    [points] = plan(granted)
    assert (points.event, points.recipient, points.facts) == (
        Event.POINTS,
        CUSTOMER,
        {"points": 50, "reason": "satisfied"},
    )
    assert plan(granted) == (points,)
    [other] = plan(replace(granted, cause="g2"))
    assert other.id != points.id


def test_points_without_a_ticket_are_told_by_push() -> None:
    [pushed] = plan(Granted("g1", AT, "", "default", 50, "satisfied", "c1"))
    assert (pushed.event, pushed.recipient, pushed.ways) == (Event.POINTS, "customer:c1", (Way.PUSH,))
