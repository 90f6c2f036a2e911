"""The life of a ledger row: legal steps, receipts in every state, people's decisions."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from common.errors import Conflict, PermissionDenied, Refused, StaleVersion
from services.sla.compensation.decisions import Call, approve, deny, reverse
from services.sla.compensation.model import Actor, LedgerRow, State
from services.sla.compensation.rules import propose
from services.sla.compensation.states import CHARGED, ISSUED, TRANSITIONS, Receipt, moved, told
from tests.fakes_ledger import COUPON, NOW, POLICIES, SATISFIED

LIMITS = POLICIES.compensation.limits
WANG, ZHAO = Actor("supervisor", "wang"), Actor("supervisor", "zhao")
LATER = NOW + timedelta(minutes=1)
FINAL: set[State] = {"redeemed", "rejected", "reversed", "denied", "skipped"}


def row(state: State = "held", **changes: Any) -> LedgerRow:
    made = propose(POLICIES, COUPON)
    assert made is not None
    return replace(made, state=state, **changes)


def call(actor: Actor = WANG, version: int = 0, key: str = "", comment: str = "") -> Call:
    return Call(actor, version, key, comment, LATER)


def test_final_states_are_final() -> None:
    assert {state for state, following in TRANSITIONS.items() if not following} == FINAL


def test_money_is_charged_while_the_promise_stands() -> None:
    assert {"reserved", "published", "redeemable", "redeemed", "reversing"} == CHARGED
    assert {"rejected", "reversed"} == ISSUED - CHARGED


@pytest.mark.parametrize("state", TRANSITIONS)
def test_a_step_the_table_does_not_know_is_refused(state: State) -> None:
    for to in TRANSITIONS:
        if to in TRANSITIONS[state]:
            after = moved(row(state), to, LATER)
            assert (after.state, after.version, after.updated_at) == (to, 2, LATER)
        else:
            with pytest.raises(ValueError, match="doesn't go"):
                moved(row(state), to, LATER)


def test_every_change_is_appended_to_the_history_with_who_when_and_why() -> None:
    before = row()
    after = moved(before, "approved", LATER, actor=WANG, why="seen the photo", key="k1")
    assert after.history[:-1] == before.history
    last = after.history[-1]
    assert (last.at, last.state, last.actor, last.why, last.key) == (LATER, "approved", WANG, "seen the photo", "k1")


# Receipt → state before → state after ("": nothing new, "!": contradicts what was said before).
RECEIPTS: dict[Receipt, dict[State, str]] = {
    "redeemable": {"reserved": "redeemable", "published": "redeemable", "reversing": "reversing"},
    "redeemed": {
        "reserved": "redeemed", "published": "redeemed", "redeemable": "redeemed", "reversing": "redeemed",
        "rejected": "!", "reversed": "!",
    },
    "rejected": {
        "reserved": "rejected", "published": "rejected", "redeemable": "rejected", "reversing": "rejected",
        "redeemed": "!",
    },
    "reversal_done": {
        "reversing": "reversed", "reserved": "!", "published": "!", "redeemable": "!", "redeemed": "!",
    },
    "reversal_refused": {"reversing": "published", "reversed": "!"},
}  # fmt: skip


@pytest.mark.parametrize("receipt", RECEIPTS)
@pytest.mark.parametrize("state", TRANSITIONS)
def test_a_receipt_in_every_state(receipt: Receipt, state: State) -> None:
    before = row(state, before_reversal="published" if state == "reversing" else None)
    never_issued = state not in ISSUED and state != "reserved"
    expected = RECEIPTS[receipt].get(state, "!" if never_issued else "")
    answer = told(before, receipt, LATER, "why")
    assert bool(answer.contradiction) == (expected == "!")
    assert (answer.row.state if answer.row else "") == expected.replace("!", "")
    if answer.row is not None:
        assert told(answer.row, receipt, LATER).row is None, "a repeat says nothing new"


def test_a_refused_reversal_returns_the_row_to_what_it_was() -> None:
    asked = reverse(row("redeemable"), call())
    assert asked is not None
    answer = told(asked, "reversal_refused", LATER, "redeemed already")
    assert answer.row is not None
    assert (answer.row.state, answer.row.outcome) == ("redeemable", "reversal_refused")


def test_a_voucher_that_became_redeemable_while_its_reversal_was_under_way_is_redeemable_after_a_refusal() -> None:
    asked = reverse(row("published"), call())
    assert asked is not None
    crossed = told(asked, "redeemable", LATER).row
    assert crossed is not None
    back = told(crossed, "reversal_refused", LATER).row
    assert back is not None
    assert back.state == "redeemable"


def test_one_supervisor_approves_up_to_two_hundred_yuan() -> None:
    after = approve(row(entitled_minor=20_000), call(), LIMITS)
    assert after is not None
    assert (after.state, after.approvals) == ("approved", (WANG,))


def test_two_different_people_approve_above_two_hundred_yuan() -> None:
    first = approve(row(entitled_minor=20_001), call(), LIMITS)
    assert first is not None
    assert (first.state, first.outcome) == ("held", "needs_second_approval")
    with pytest.raises(Refused, match="second person"):
        approve(first, call(), LIMITS)
    second = approve(first, call(ZHAO), LIMITS)
    assert second is not None
    assert (second.state, second.approvals) == ("approved", (WANG, ZHAO))


@pytest.mark.parametrize("kind", ["", "agent", "customer", "system", "bot"])
def test_only_supervisors_decide(kind: Any) -> None:
    for decide in (lambda r, c: approve(r, c, LIMITS), deny, reverse):
        with pytest.raises(PermissionDenied):
            decide(row("published" if decide is reverse else "held"), call(Actor(kind, "x")))


def test_nobody_approves_what_they_asked_for() -> None:
    with pytest.raises(PermissionDenied, match="asked for it"):
        approve(row(requested_by=WANG), call(), LIMITS)


def test_an_older_version_is_refused() -> None:
    with pytest.raises(StaleVersion):
        approve(row(version=3), call(version=2), LIMITS)
    assert approve(row(version=3), call(version=3), LIMITS) is not None


def test_a_repeated_call_does_nothing_and_another_under_its_key_conflicts() -> None:
    after = deny(row(), call(key="k1"))
    assert after is not None
    assert deny(after, call(key="k1", version=1)) is None
    with pytest.raises(Conflict):
        approve(after, call(key="k1"), LIMITS)
    with pytest.raises(Conflict):
        deny(after, call(ZHAO, key="k1"))


@pytest.mark.parametrize("state", sorted(set(TRANSITIONS) - {"held"}))
def test_only_what_is_held_is_approved_or_denied(state: State) -> None:
    with pytest.raises(Refused):
        approve(row(state), call(), LIMITS)
    with pytest.raises(Refused):
        deny(row(state), call())


@pytest.mark.parametrize("state", sorted(set(TRANSITIONS) - {"published", "redeemable"}))
def test_only_a_voucher_that_is_out_and_not_redeemed_is_reversed(state: State) -> None:
    with pytest.raises(Refused):
        reverse(row(state), call())


def test_points_are_not_taken_back() -> None:
    points = propose(POLICIES, SATISFIED)
    assert points is not None
    with pytest.raises(Refused, match="points"):
        reverse(replace(points, state="published"), call())
