"""The demo tells what it saw, in whatever order it saw it, and nothing else."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.words import to_timestamp
from deploy.demo.app import sum_up
from deploy.demo.day import load_rows, plan_day
from deploy.demo.settings import load_demo_settings
from deploy.demo.sighting import HTTP, OUTBOX, TALLY, Sighting
from deploy.demo.steps import ANSWERED, UNANSWERED
from deploy.demo.story import Stories, Story
from deploy.demo.telling import Row, Teller
from deploy.local.settings import SettingsError
from gen.pingxi.v1 import common_pb2, sla_event_pb2, ticket_pb2

NOW = datetime(2026, 11, 22, 4, 5, tzinfo=UTC)
PROMISE = NOW + timedelta(seconds=3)
TICKET = "7K3M-9QXZ-4TPC-5"


def seen_at(seconds: float, place: str, kind: str, body: Any, id: str = "1", ticket: str = TICKET) -> Sighting:
    return Sighting(NOW + timedelta(seconds=seconds), place, kind, ticket, id, body)


@pytest.fixture
def story() -> Story:
    story = Story("A", "nobody answers", UNANSWERED)
    story.accept(TICKET, "token", NOW, PROMISE)
    return story


def accepted() -> Sighting:
    return seen_at(0, HTTP, "accepted", {"milliseconds": 12.0})


def breached(at: datetime, metric: common_pb2.Metric.ValueType = common_pb2.METRIC_FIRST_RESPONSE) -> Sighting:
    body = sla_event_pb2.SlaBreached(
        clock=sla_event_pb2.ClockId(ticket_id=TICKET, metric=metric),
        breached_at=to_timestamp(at),
        detected_at=to_timestamp(at + timedelta(milliseconds=40)),
    )
    return seen_at(3.1, "sla-events.v1", "SlaBreached", body)


def test_a_step_is_told_once_with_its_seconds(story: Story) -> None:
    (seen,) = story.observe(breached(PROMISE))
    assert (seen.step.name, seen.after) == ("promise missed", 3.1)
    assert "found 40 ms later" in seen.sentence
    assert story.observe(breached(PROMISE)) == []
    assert story.has("promise missed")


def test_a_breach_that_is_not_stamped_with_the_promise_is_not_the_step(story: Story) -> None:
    assert story.observe(breached(PROMISE + timedelta(microseconds=1))) == []
    assert story.observe(breached(PROMISE, common_pb2.METRIC_RESOLUTION)) == []


def test_another_tickets_events_are_not_this_story(story: Story) -> None:
    assert story.observe(seen_at(0, HTTP, "accepted", {"milliseconds": 1.0}, ticket="other")) == []
    assert "received" in story.missing


def test_what_a_topic_shows_before_the_answer_is_told_after_it() -> None:
    story = Story("A", "nobody answers", UNANSWERED)
    stories = Stories([story])
    opened = ticket_pb2.TicketEvent(opened=ticket_pb2.TicketOpened())
    assert stories.observe(seen_at(0.1, "tickets.v1", "TicketEvent", opened)) == []
    story.accept(TICKET, "token", NOW, PROMISE)
    told = stories.observe(accepted())
    assert [seen.step.name for _, seen in told] == ["received", "routed"]


def test_an_answer_after_the_promise_is_not_in_time(story: Story) -> None:
    answered = Story("B", "answered in time", ANSWERED)
    answered.accept(TICKET, "token", NOW, PROMISE)

    def replied(at: datetime) -> Sighting:
        facts = ticket_pb2.ClockFacts(first_answer_at=to_timestamp(at))
        snapshot = ticket_pb2.TicketSnapshot(clock_facts=facts)
        event = ticket_pb2.TicketEvent(replied=ticket_pb2.TicketReplied(), snapshot=snapshot)
        return seen_at(3, "tickets.v1", "TicketEvent", event)

    assert answered.observe(replied(PROMISE + timedelta(microseconds=1))) == []
    assert [seen.step.name for seen in answered.observe(replied(PROMISE))] == ["answered in time"]


def test_a_message_for_one_level_is_not_that_of_the_other(story: Story) -> None:
    row = {"channel": "robot", "recipient": "queue_lead:quality_control", "text": "【升级 第 1 级】…"}
    assert [s.step.name for s in story.observe(seen_at(4, OUTBOX, "escalation", row))] == ["level 1 told"]
    # Before it is routed a ticket has no queue: then the supervisors are told at level 1, too.
    row = {**row, "recipient": "role:supervisor"}
    assert story.observe(seen_at(5, OUTBOX, "escalation", row, id="1")) == []
    row = {**row, "text": "【升级 第 2 级】…"}
    assert [s.step.name for s in story.observe(seen_at(7, OUTBOX, "escalation", row, id="2"))] == ["level 2 told"]


def test_two_vouchers_are_not_each_once(story: Story) -> None:
    once = {"confirmation": 1, "voucher": 1, "resolution": 1, "reply": 0, "vouchers": 1}
    assert story.observe(seen_at(9, TALLY, "tally", {**once, "vouchers": 2})) == []
    assert [seen.step.name for seen in story.observe(seen_at(9, TALLY, "tally", once))] == ["each once"]


def test_repeats_of_a_message_count_once(story: Story) -> None:
    for _ in range(2):
        story.observe(breached(PROMISE))
    assert story.counts["sla-events.v1", "SlaBreached"] == 1


def test_the_day_is_sent_in_order_over_its_seconds_with_keys_of_this_run() -> None:
    rows = load_rows()
    day = plan_day(rows, "run1", 60)
    assert len(day) == len(rows) >= 200
    assert day[0].send_at == 0
    assert day[-1].send_at == pytest.approx(60)
    assert [each.send_at for each in day] == sorted(each.send_at for each in day)
    assert len({each.idempotency_key for each in day}) == len({each.customer_id for each in day}) == len(day)
    assert not {each.customer_id for each in day} & {each.customer_id for each in plan_day(rows, "run2", 60)}


def test_nobody_answers_the_first_story_and_the_second_is_answered_in_time() -> None:
    by_story = {each.story: each for each in plan_day(load_rows(), "run1", 60)}
    assert by_story["unanswered"].answer is None
    answer = by_story["answered"].answer
    assert answer is not None
    assert answer.reply_after < 6


def test_a_bad_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="PINGXI_DEMO_SECONDS"):
        load_demo_settings({"PINGXI_DEMO_SECONDS": "soon"})


def test_what_was_not_seen_is_named_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [Row("A", "received", HTTP, 0.1, True), Row("A", "voucher", "vouchers.v1", None, False)]
    assert sum_up(rows[:1], Teller())
    assert "Not seen" not in capsys.readouterr().out
    assert not sum_up(rows, Teller())
    assert "Not seen: A: voucher" in capsys.readouterr().out
