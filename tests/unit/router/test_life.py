"""The further life of a ticket, sentence by sentence: pauses, corrections, the end and what comes after it."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from common.errors import Refused, Unavailable
from rules.courses import Course, current
from rules.model import Promise
from rules.words import Category, Metric, Priority, Status
from services.router.commands import (
    AddNote,
    Assign,
    Cause,
    ChangeCategory,
    ChangePriority,
    ChangeQueue,
    Close,
    Command,
    EraseCustomer,
    Inform,
    MergeAway,
    NoteRemedy,
    ReceiveMessage,
    ReceiveRating,
    RecordCallBack,
    Reopen,
    RepeatSnapshot,
    Reply,
    RequestInformation,
    Resolve,
    Told,
)
from services.router.model import Actor, ActorKind, Remedy, Ticket
from services.router.policy import Action, fold, next_action, perform
from services.router.terms import correction, merging, row_of, terms_for
from tests.fakes_router import START, complaint, policies
from tests.unit.router.behaviour import opened

AGENT = Actor(ActorKind.AGENT, "li")
CUSTOMER = Actor(ActorKind.CUSTOMER)
SEALED = complaint().personal
DEFAULT = policies()["default"]
PROMISED = Promise(START + timedelta(minutes=30), START + timedelta(hours=48))


def after(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def ticket(text: str = "菜送错了", n: int = 1, **changes: object) -> Ticket:
    return opened(complaint(n, text, **changes)).ticket


def do(before: Ticket, command: Command, minutes: float, actor: Actor = AGENT) -> Ticket:
    events = perform(before, command, Cause(f"{command}{minutes}", after(minutes), actor, "because"))
    assert events
    return events[-1].ticket


def course(of: Ticket, metric: Metric) -> Course:
    found = current(of.facts.courses, metric)
    assert found is not None
    return found


def resolved(minutes: float = 5) -> Ticket:
    return do(ticket(), Resolve("m0", SEALED, "other"), minutes)


def message(text_id: str = "m1", thanks: bool = False, linked: str = "") -> ReceiveMessage:
    return ReceiveMessage(text_id, "app", SEALED, thanks=thanks, linked=linked)


# --- waiting for the customer


def test_asking_the_customer_pauses_what_may_wait_and_is_the_first_answer() -> None:
    asked = do(ticket(), RequestInformation("m1", SEALED), 10)
    assert asked.status is Status.PENDING
    assert course(asked, Metric.FIRST_RESPONSE).met_at == after(10)
    assert course(asked, Metric.RESOLUTION).pauses[0].start == after(10)
    assert course(asked, Metric.UPDATE).pauses[0].end is None
    assert asked.waiting_since == after(10)


def test_an_answer_while_waiting_starts_an_update_that_waits_too() -> None:
    asked = do(ticket(), RequestInformation("m1", SEALED), 10)
    told = do(asked, Reply("m2", SEALED), 20)
    assert told.status is Status.PENDING
    assert course(told, Metric.UPDATE).pauses[0].start == after(20)


def test_the_customer_is_reminded_at_the_maximum_of_the_pause_and_the_ticket_closes_a_day_later() -> None:
    asked = do(ticket(), RequestInformation("m1", SEALED), 0)
    assert next_action(asked) == Action(START + timedelta(hours=72), "remind")
    reminded = do(asked, Inform("m2", SEALED, reminder=True), 72 * 60)
    assert (reminded.status, reminded.messages[-1].automatic) == (Status.PENDING, True)
    assert course(reminded, Metric.UPDATE).instance == course(asked, Metric.UPDATE).instance, "no answer of anybody"
    assert next_action(reminded) == Action(START + timedelta(hours=96), "no_answer")


def test_a_policy_may_leave_an_unanswered_ticket_open() -> None:
    policy = replace(ticket(), no_answer_after=None)
    asked = do(policy, RequestInformation("m1", SEALED), 0)
    assert next_action(asked) == Action(START + timedelta(hours=72), "remind")
    reminded = do(asked, Inform("m2", SEALED, reminder=True), 72 * 60)
    assert (next_action(reminded), reminded.status) == (None, Status.PENDING)
    wrote = do(reminded, message(), 500 * 60, CUSTOMER)
    assert (wrote.status, course(wrote, Metric.RESOLUTION).pauses[0].end) == (Status.IN_PROGRESS, after(500 * 60))


def test_nobody_reminded_ahead_of_the_maximum_is_closed_before_it() -> None:
    asked = do(ticket(), RequestInformation("m1", SEALED), 0)
    early = do(asked, Inform("m2", SEALED, reminder=True), 36 * 60)
    assert next_action(early) == Action(START + timedelta(hours=72), "no_answer")


def test_after_an_outage_the_reminded_customer_still_has_time_to_answer() -> None:
    asked = do(ticket(), RequestInformation("m1", SEALED), 0)
    late = do(asked, Inform("m2", SEALED, reminder=True), 80 * 60)
    end = next_action(late)
    assert end is not None
    assert end.at == START + timedelta(hours=104)


def test_a_message_ends_the_waiting_and_nothing_is_due_any_more() -> None:
    asked = do(ticket(), RequestInformation("m1", SEALED), 0)
    wrote = do(asked, message(), 60, CUSTOMER)
    assert (wrote.status, wrote.waiting_since, next_action(wrote)) == (Status.IN_PROGRESS, None, None)
    assert course(wrote, Metric.RESOLUTION).pauses[0].end == after(60)


# --- what follows from priority, category and queue


def test_a_higher_priority_has_its_targets_from_now_and_keeps_the_elapsed_time() -> None:
    before = ticket()
    terms = terms_for(before, DEFAULT, Priority.URGENT, loosen=False)
    raised = do(before, ChangePriority(terms), 7)
    assert (raised.priority, raised.facts.acknowledged_at) == (Priority.URGENT, START)
    assert raised.history[-1].facts == {"previous": "normal", "priority": "urgent", "sla_policy": "ordinary"}
    assert raised.promise == before.promise
    changed = raised.targets != before.targets
    assert raised.facts.targets_since == (after(7) if changed else before.facts.targets_since)


def test_another_category_decides_priority_queue_and_policy_again() -> None:
    owned = do(ticket(), Assign("li"), 1)
    change = correction(owned, DEFAULT, Category.FOOD_SAFETY, (), angry=False, loosen=False)
    red = do(owned, change, 9)
    assert (red.category, red.priority, red.red, red.sla_policy) == (
        Category.FOOD_SAFETY,
        Priority.URGENT,
        True,
        "red",
    )
    assert (red.queue, red.joint_queues, red.assignee) == ("quality_control", ("legal",), "")
    assert red.facts.targets_since == after(9)
    assert course(red, Metric.ASSIGNMENT).start == after(9), "nobody of the new queue owns it"
    assert red.due.first_response_by == after(10)
    assert red.history[-1].facts["corrected_by"] == "agent"


def test_anger_raises_the_corrected_priority_by_one() -> None:
    change = correction(ticket(), DEFAULT, Category.PRODUCT_QUALITY, (), angry=True, loosen=False)
    assert change.terms.priority is Priority.URGENT


@pytest.mark.parametrize("category", list(Category))
def test_every_category_has_its_row_and_only_food_safety_is_red(category: Category) -> None:
    row = row_of(DEFAULT, category)
    assert row.red == (category is Category.FOOD_SAFETY)
    assert row.complex == (category is Category.SYSTEM)


def test_an_agent_never_loosens_a_promise_a_supervisor_does() -> None:
    red = ticket("饺子里有虫子", promise=Promise(after(10), START + timedelta(hours=24)))
    kept = correction(red, DEFAULT, Category.DELIVERY, (), angry=False, loosen=False)
    assert kept.terms.promise == red.promise
    assert kept.terms.due == red.promise
    lengths = {target.metric: target.duration for target in kept.terms.targets}
    assert lengths[Metric.FIRST_RESPONSE] == timedelta(minutes=10)
    assert lengths[Metric.RESOLUTION] == timedelta(hours=24)
    loosened = correction(red, DEFAULT, Category.DELIVERY, (), angry=False, loosen=True)
    assert loosened.terms.promise == PROMISED
    assert loosened.terms.due == PROMISED


def test_a_supervisor_who_tightens_leaves_the_promise_and_moves_the_target() -> None:
    terms = correction(ticket(), DEFAULT, Category.FOOD_SAFETY, (), angry=False, loosen=True).terms
    assert terms.promise == PROMISED
    assert terms.due.first_response_by == after(10)


def test_what_intake_promised_holds_where_the_router_would_give_more_time() -> None:
    promised = Promise(after(5), after(60))
    one = ticket(promise=promised)
    lengths = {target.metric: target.duration for target in one.targets}
    assert lengths[Metric.FIRST_RESPONSE] == timedelta(minutes=5)
    assert lengths[Metric.RESOLUTION] == timedelta(minutes=60)


def test_another_queue_has_no_owner_yet_further_joint_queues_change_nothing_else() -> None:
    owned = do(ticket(), Assign("li"), 1)
    moved = do(owned, ChangeQueue("logistics", ("legal",)), 8)
    assert (moved.queue, moved.joint_queues, moved.assignee) == ("logistics", ("legal",), "")
    assert (moved.facts.ownerless_since, moved.facts.owner_since) == (after(8), None)
    assert course(moved, Metric.ASSIGNMENT).instance == 2
    joint = do(owned, ChangeQueue(owned.queue, ("legal",)), 8)
    assert (joint.assignee, joint.joint_queues) == ("li", ("legal",))
    assert not course(joint, Metric.ASSIGNMENT).is_open


# --- the end, and after it


def test_thanks_leave_a_resolved_ticket_alone_anything_else_opens_it_again() -> None:
    done = resolved()
    thanked = do(done, message(thanks=True), 9, CUSTOMER)
    assert thanked.status is Status.RESOLVED
    assert thanked.facts.courses == done.facts.courses
    again = do(done, message(), 9, CUSTOMER)
    assert again.status is Status.IN_PROGRESS
    assert [entry.kind for entry in again.history[-2:]] == ["customer_replied", "reopened"]
    resolution = course(again, Metric.RESOLUTION)
    assert resolution.is_open
    assert [(gap.start, gap.end) for gap in resolution.gaps] == [(after(5), after(9))]
    assert course(again, Metric.CALLBACK).over == "reopened"
    assert course(again, Metric.NEXT_RESPONSE).start == after(9)


def test_the_same_message_again_opens_nothing_again() -> None:
    told = Told(ticket().id, message(), Cause("message:m1", after(9), CUSTOMER))
    update = fold(resolved(), [told])
    assert update is not None
    assert len(update.events) == 2
    assert fold(update.ticket, [told]) is None


@pytest.mark.parametrize(
    ("score", "satisfied", "status"),
    [(5, True, "resolved"), (3, True, "resolved"), (2, True, "in_progress"), (5, False, "in_progress")],
)
def test_an_unhappy_rating_opens_the_ticket_again(score: int, satisfied: bool, status: str) -> None:
    rated = do(resolved(), ReceiveRating("r1", score, satisfied), 9, CUSTOMER)
    assert (rated.status, rated.score) == (status, score)
    assert course(rated, Metric.CALLBACK).met_at == after(9)


def test_a_resolved_ticket_closes_after_seven_days_in_the_demo_after_one_minute() -> None:
    action = next_action(resolved())
    assert action is not None
    assert (action.kind, action.at) == ("close", after(5) + timedelta(days=7))
    assert ticket(brand="demo").close_after == timedelta(seconds=60)
    demo = ticket(brand="demo")
    assert (demo.pause_max, demo.no_answer_after) == (timedelta(seconds=30), timedelta(seconds=15))


def test_after_closing_nothing_runs_but_the_call_back() -> None:
    closed = do(resolved(), Close("time"), 100)
    assert [c.metric for c in closed.facts.courses if c.is_open] == [Metric.CALLBACK]
    assert closed.facts.closed_at == after(100)
    assert next_action(closed) == Action(after(100) + timedelta(days=180), "forget")
    asked = do(ticket(), RequestInformation("m1", SEALED), 1)
    given_up = do(asked, Close("no answer"), 100)
    assert {c.over for c in given_up.facts.courses if c.met_at is None} == {"closed"}


def test_a_message_after_closing_is_noted_with_the_ticket_it_opened() -> None:
    closed = do(resolved(), Close("time"), 100)
    noted = do(closed, message(linked="OTHER"), 200, CUSTOMER)
    assert (noted.status, noted.continued_by, noted.linked) == (Status.CLOSED, "OTHER", ("OTHER",))
    assert noted.successor == "OTHER"


def test_a_message_that_meets_a_ticket_closed_just_now_is_judged_again() -> None:
    closed = do(resolved(), Close("time"), 100)
    with pytest.raises(Unavailable):
        fold(closed, [Told(closed.id, message(), Cause("message:m1", after(101), CUSTOMER))])


def test_a_note_changes_no_clock_and_is_not_public() -> None:
    before = ticket()
    noted = do(before, AddNote("n1", SEALED), 5)
    assert not noted.messages[-1].public
    assert (noted.status, noted.facts) == (before.status, before.facts)


def test_a_recorded_call_back_keeps_its_promise_and_is_not_public() -> None:
    called = do(resolved(), RecordCallBack("n1", SEALED), 90)
    promise = current(called.facts.courses, Metric.CALLBACK)
    assert promise is not None
    assert promise.met_at == after(90)
    assert (called.status, called.facts.rated_at) == (Status.RESOLVED, None)
    assert not called.messages[-1].public
    assert (called.history[-1].kind, called.history[-1].facts) == ("note_added", {"note_id": "n1", "call_back": "true"})
    with pytest.raises(Refused, match="resolve it first"):
        do(ticket(), RecordCallBack("n1", SEALED), 5)


def test_a_repeated_snapshot_has_a_version_of_its_own_and_the_same_facts() -> None:
    before = ticket()
    repeated = do(before, RepeatSnapshot(), 5)
    assert repeated.version == 2
    assert replace(repeated, version=1, history=before.history) == before


# --- remedies


def test_a_remedy_goes_out_with_the_resolution_and_needs_an_order() -> None:
    remedy = Remedy("r1", "refund", "CNY", 500, True)
    command = Resolve("m1", SEALED, "refund", "CNY", 500, remedy)
    (event,) = perform(ticket(), command, Cause("c", after(1), AGENT))
    assert event.remedies == (remedy,)
    assert event.ticket.history[-1].facts["remedy_id"] == "r1"
    with pytest.raises(Refused, match="order"):
        perform(ticket(order_id=""), command, Cause("c", after(1), AGENT))


def test_a_receipt_is_noted_in_every_status() -> None:
    noted = do(do(resolved(), Close("time"), 50), NoteRemedy("r1", "done"), 60)
    assert noted.history[-1].facts == {"remedy_id": "r1", "state": "done"}


# --- merging and erasing


def test_the_survivor_keeps_the_earliest_start_and_promise_and_the_merged_ones_clocks_end() -> None:
    survivor = ticket(n=2, acknowledged_at=after(20), promise=Promise(after(50), after(20 + 48 * 60)))
    other = do(ticket(), MergeAway(survivor.id), 25)
    assert (other.status, other.merged_into, other.linked) == (Status.CLOSED, survivor.id, (survivor.id,))
    assert not any(c.is_open for c in other.facts.courses)
    assert course(other, Metric.RESOLUTION).over == "merged"
    taken = do(survivor, merging(survivor, other, DEFAULT.calendars, "note", SEALED), 25)
    assert course(taken, Metric.FIRST_RESPONSE).start == START
    assert course(taken, Metric.RESOLUTION).start == START
    assert taken.promise == PROMISED
    assert (taken.merged, taken.linked) == ((other.id,), (other.id,))
    assert taken.facts.targets_since == after(25), "what that moves breaches now at the earliest"
    assert not taken.messages[-1].public


def test_a_merging_with_a_younger_ticket_moves_nothing() -> None:
    survivor, other = ticket(), ticket(n=2, acknowledged_at=after(20), promise=Promise(after(50), after(3000)))
    ended = do(other, MergeAway(survivor.id), 25)
    taken = do(survivor, merging(survivor, ended, DEFAULT.calendars, "note", SEALED), 25)
    assert (taken.facts, taken.promise, taken.targets) == (survivor.facts, survivor.promise, survivor.targets)


def test_erasing_leaves_no_contact_text_or_image_and_the_history() -> None:
    full = do(ticket(images=("i1",), channel_facts={"callId": "7"}), ReceiveMessage("m", "app", SEALED, ("i2",)), 3)
    erased = do(full, EraseCustomer(), 9)
    assert (erased.personal, erased.images, dict(erased.channel_facts)) == (None, (), {})
    assert [(m.content, m.images) for m in erased.messages] == [(None, ())]
    assert [entry.kind for entry in erased.history] == ["opened", "customer_replied", "erased"]


def test_reopening_continues_the_resolution_and_clears_its_time() -> None:
    again = do(resolved(), Reopen("desk"), 60)
    assert (again.status, again.facts.resolved_at, next_action(again)) == (Status.IN_PROGRESS, None, None)
    assert course(again, Metric.RESOLUTION).is_open


def test_category_changes_are_commands_like_any_other() -> None:
    change = correction(ticket(), DEFAULT, Category.PRICE, (Category.PRICE, Category.OTHER), angry=False, loosen=False)
    assert isinstance(change, ChangeCategory)
    assert change.secondary == (Category.OTHER,)
