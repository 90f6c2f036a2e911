"""What a ticket may do, sentence by sentence."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from common.errors import Conflict, Poison, Refused
from rules import courses
from rules.model import Promise
from rules.words import Category, Metric, Priority, Status
from services.router.changes import Resolved
from services.router.commands import (
    Assign,
    Cause,
    Command,
    NoteCompensation,
    NoteEscalation,
    ReceiveMessage,
    ReceiveRating,
    Reply,
    Resolve,
    Submitted,
    Told,
)
from services.router.model import Actor, ActorKind, Event, Ticket, event_id
from services.router.policy import apply, fold, next_due
from tests.fakes_router import START, complaint
from tests.unit.router.behaviour import opened

AGENT = Actor(ActorKind.AGENT, "li")
BOT = Actor(ActorKind.BOT, "answers")
CUSTOMER = Actor(ActorKind.CUSTOMER)
SEALED = complaint().personal
ROUTED = START + timedelta(seconds=1)


def after(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def ticket(text: str = "菜送错了") -> Ticket:
    return opened(complaint(1, text)).ticket


def running(of: Ticket) -> dict[str, int]:
    """The promises that can still be met, with their instances."""
    return {course.metric.value: course.instance for course in of.facts.courses if course.is_open}


def done(before: Ticket, command: Command, at: datetime, actor: Actor = AGENT, cause: str = "") -> Event:
    event = apply(before, command, Cause(cause or f"{command}{at}", at, actor, "because"))
    assert event is not None
    return event


def test_food_safety_opens_in_the_red_channel_whatever_was_declared() -> None:
    red = ticket("饺子里有虫子,孩子吃了一直吐")
    assert red.red
    assert (red.category, red.priority, red.sla_policy) == (Category.FOOD_SAFETY, Priority.URGENT, "red")
    assert red.queue == "quality_control"
    assert red.joint_queues == ("legal",)
    assert "role:supervisor" in red.notices
    assert red.evidence
    assert {t.metric for t in red.targets} >= {Metric.FIRST_RESPONSE, Metric.RESOLUTION}


def test_a_ticket_opens_at_version_1_with_its_clock_facts() -> None:
    event = opened(complaint(1)).events[0]
    facts = event.ticket.facts
    assert (event.ticket.version, event.ticket.status) == (1, Status.RECEIVED)
    assert (facts.acknowledged_at, facts.routed_at, facts.ownerless_since) == (START, ROUTED, ROUTED)
    assert running(event.ticket) == {"assignment": 1, "first_response": 1, "resolution": 1}
    assert event.id == event_id(event.ticket.id, 1)
    assert [entry.kind for entry in event.ticket.history] == ["opened"]


def test_the_opening_occurred_when_it_was_acknowledged_so_a_replay_makes_old_events() -> None:
    assert opened(complaint(1)).events[0].at == START


def test_targets_that_intake_armed_hold_since_the_acknowledgement_others_since_the_routing() -> None:
    assert ticket().facts.targets_since == ROUTED
    same = opened(complaint(1, targets=ticket().targets)).ticket
    assert same.facts.targets_since == START


def test_a_deadline_is_the_earlier_of_promise_and_target() -> None:
    promised = Promise(after(5), after(60 * 24 * 30))
    one = opened(complaint(1, promise=promised)).ticket
    assert one.promise == promised
    assert one.due == Promise(after(5), after(60 * 48))


def test_assigning_starts_the_work_and_ends_the_ownerless_time() -> None:
    event = done(ticket(), Assign("li"), after(3))
    assert (event.ticket.assignee, event.ticket.status, event.ticket.version) == ("li", Status.IN_PROGRESS, 2)
    assert (event.ticket.facts.ownerless_since, event.ticket.facts.owner_since) == (ROUTED, after(3))


def test_a_hand_over_starts_no_new_ownerless_period() -> None:
    first = done(ticket(), Assign("li"), after(3)).ticket
    event = done(first, Assign("wang"), after(9))
    assert event.ticket.facts.owner_since == after(3)
    assert "assignment" not in running(event.ticket)
    assert event.ticket.history[-1].facts == {"assignee": "wang", "previous": "li"}


def test_the_first_public_answer_by_a_person_is_the_first_answer() -> None:
    first = done(ticket(), Reply("m1", SEALED), after(4))
    second = done(first.ticket, Reply("m2", SEALED), after(8))
    assert first.ticket.status is Status.IN_PROGRESS
    assert second.ticket.facts.first_answer_at == after(4)
    assert second.ticket.facts.last_answer_at == after(8)
    assert running(second.ticket) == {"assignment": 1, "resolution": 1, "update": 2}
    assert [m.id for m in second.ticket.messages] == ["m1", "m2"]


def test_a_machines_answer_is_an_update_but_no_response_and_starts_no_work() -> None:
    event = done(ticket(), Reply("m1", SEALED), after(1), BOT)
    assert event.ticket.facts.first_answer_at is None
    assert running(event.ticket) == {"assignment": 1, "first_response": 1, "resolution": 1, "update": 1}
    assert event.ticket.status is Status.RECEIVED
    assert event.ticket.messages[0].automatic


def test_a_machines_answer_counts_where_the_policy_says_so() -> None:
    lenient = replace(ticket(), automatic_answer_counts=True)
    assert done(lenient, Reply("m1", SEALED), after(1), BOT).ticket.facts.first_answer_at == after(1)


def test_resolving_is_the_answer_too() -> None:
    event = done(ticket(), Resolve("m1", SEALED, "refund", "CNY", 500), after(7))
    assert event.ticket.status is Status.RESOLVED
    assert (event.ticket.facts.first_answer_at, event.ticket.facts.resolved_at) == (after(7), after(7))
    assert running(event.ticket) == {"callback": 1}
    assert event.change == Resolved("m1", "refund")
    assert event.ticket.history[-1].facts["amount_minor"] == "500"


def test_a_coupon_is_told_with_its_amount_for_compensation_to_pay() -> None:
    event = done(ticket(), Resolve("m1", SEALED, "coupon", "CNY", 1500), after(7))
    assert event.change == Resolved("m1", "coupon", "CNY", 1500)
    assert done(ticket(), Resolve("m1", SEALED, "coupon"), after(7)).change == Resolved("m1", "coupon")


def test_resolving_keeps_an_earlier_first_answer() -> None:
    answered = done(ticket(), Reply("m1", SEALED), after(2)).ticket
    assert done(answered, Resolve("m2", SEALED, "other"), after(9)).ticket.facts.first_answer_at == after(2)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (Assign("li"), "a ticket that is resolved can't be assigned"),
        (Reply("m2", SEALED), "a ticket that is resolved takes no answer"),
        (Resolve("m2", SEALED, "other"), "a ticket that is resolved can't be resolved"),
    ],
)
def test_what_the_table_does_not_have_is_refused_with_a_sentence(command: Command, sentence: str) -> None:
    resolved = done(ticket(), Resolve("m1", SEALED, "other"), after(1)).ticket
    with pytest.raises(Refused, match=sentence):
        apply(resolved, command, Cause("c", after(2), AGENT))


def test_the_oldest_unanswered_message_is_the_first_since_the_last_answer() -> None:
    one = done(ticket(), ReceiveMessage("m1", "app", SEALED), after(1), CUSTOMER).ticket
    two = done(one, ReceiveMessage("m2", "app", SEALED), after(2), CUSTOMER).ticket
    assert two.facts.oldest_unanswered_at == after(1)
    assert "next_response" not in running(two), "before the first response that promise alone counts"
    answered = done(two, Reply("m3", SEALED), after(3)).ticket
    assert answered.facts.oldest_unanswered_at is None
    again = done(answered, ReceiveMessage("m4", "app", SEALED), after(4), CUSTOMER).ticket
    assert again.facts.oldest_unanswered_at == after(4)
    assert running(again)["next_response"] == 1


def test_the_first_customer_message_ends_the_waiting_for_him() -> None:
    facts = replace(ticket().facts, courses=courses.waiting(ticket().facts.courses, after(1)))
    waiting = replace(ticket(), status=Status.PENDING, facts=facts)
    event = done(waiting, ReceiveMessage("m1", "app", SEALED), after(5), CUSTOMER)
    assert event.ticket.status is Status.IN_PROGRESS
    resolution = courses.current(event.ticket.facts.courses, Metric.RESOLUTION)
    assert resolution is not None
    assert resolution.pauses == (courses.Interval(after(1), after(5)),)


def test_a_rating_is_kept_with_its_time() -> None:
    resolved = done(ticket(), Resolve("m1", SEALED, "other"), after(1)).ticket
    event = done(resolved, ReceiveRating("r1", 5, True, SEALED), after(2), CUSTOMER)
    assert (event.ticket.score, event.ticket.facts.rated_at, event.ticket.status) == (5, after(2), Status.RESOLVED)
    assert running(event.ticket) == {}


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (NoteEscalation("e1", Metric.FIRST_RESPONSE, 2, "escalated"), "escalation_noted"),
        (NoteCompensation("v1", "published", {"amount_minor": "1000"}), "compensation_noted"),
    ],
)
def test_what_others_did_is_a_change_like_any_other(command: Command, kind: str) -> None:
    before = ticket()
    event = done(before, command, after(10))
    assert event.ticket.version == 2
    assert event.ticket.history[-1].kind == kind
    assert replace(event.ticket, version=1, history=before.history) == before


def test_the_same_cause_changes_nothing_twice() -> None:
    once = done(ticket(), Assign("li"), after(1), cause="command:k").ticket
    assert apply(once, Assign("li"), Cause("command:k", after(9), AGENT)) is None


def test_the_same_key_with_other_content_is_a_conflict() -> None:
    cause = Cause("command:k", after(1), AGENT, content="one")
    event = apply(ticket(), Assign("li"), cause)
    assert event is not None
    with pytest.raises(Conflict):
        apply(event.ticket, Assign("wang"), replace(cause, content="other"))


def test_a_repeated_key_is_known_even_where_the_status_would_refuse() -> None:
    cause = Cause("command:k", after(1), AGENT)
    event = apply(ticket(), Resolve("m1", SEALED, "other"), cause)
    assert event is not None
    assert apply(event.ticket, Resolve("m1", SEALED, "other"), cause) is None


def test_several_arrivals_are_folded_in_order_and_known_ones_left_out() -> None:
    told = [
        Told(ticket().id, ReceiveMessage(f"m{n}", "app", SEALED), Cause(f"message:m{n}", after(n), CUSTOMER))
        for n in (1, 2, 1, 3)
    ]
    update = fold(ticket(), [Submitted(complaint(1)), *told])
    assert update is not None
    assert update.base == 1
    assert [event.ticket.version for event in update.events] == [2, 3, 4]
    assert [message.id for message in update.ticket.messages] == ["m1", "m2", "m3"]
    assert fold(update.ticket, [Submitted(complaint(1)), *told]) is None


def test_another_complaint_under_the_same_id_is_a_conflict_and_nothing_is_merged() -> None:
    with pytest.raises(Poison, match="idempotency_conflict"):
        fold(ticket(), [Submitted(complaint(1, fingerprint="other"))])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t, after(30)),
        (lambda t: done(t, Reply("m", SEALED), after(1)).ticket, after(48 * 60)),
        (lambda t: done(t, Resolve("m", SEALED, "other"), after(1)).ticket, None),
    ],
)
def test_next_due_is_the_earliest_promise_that_still_runs(
    change: Callable[[Ticket], Ticket], expected: datetime | None
) -> None:
    assert next_due(change(ticket())) == expected
