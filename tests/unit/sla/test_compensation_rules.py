"""Which rule speaks of a request, and the row it proposes, by the default policies."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rules.model import Fault, Metric, TriggerKind
from services.sla.compensation.model import Actor, LedgerRow, Request
from services.sla.compensation.rules import ledger_id, matching_rule, propose
from services.sla.compensation.states import moved
from tests.fakes_ledger import BREACH, COUPON, INCIDENT, LATE, POLICIES, SATISFIED, SUGGESTION


def proposed(request: Request, *taken: LedgerRow) -> LedgerRow:
    row = propose(POLICIES, request, taken)
    assert row is not None
    return row


def test_a_broken_red_first_response_is_worth_ten_yuan_after_ten_seconds() -> None:
    row = proposed(BREACH)
    assert (row.amount_minor, row.currency, row.state, row.fault) == (1000, "CNY", "proposed", Fault.PLATFORM)
    assert row.settle_at - BREACH.at == timedelta(seconds=10)


def test_an_ordinary_broken_first_response_is_not_compensated() -> None:
    assert propose(POLICIES, replace(BREACH, red=False, sla_policy="ordinary")) is None


def test_a_broken_resolution_is_not_compensated() -> None:
    assert propose(POLICIES, replace(BREACH, metric=Metric.RESOLUTION)) is None


@pytest.mark.parametrize(
    ("request_", "rule", "amount", "points"),
    [
        (BREACH, "red-first-response", 1000, 0),
        (LATE, "order-late", 500, 0),
        (INCIDENT, "incident", 500, 0),
        (COUPON, "agent", 1500, 0),
        (SATISFIED, "satisfied", 0, 50),
        (SUGGESTION, "suggestion", 0, 100),
    ],
    ids=lambda value: value.trigger.value if isinstance(value, Request) else None,
)
def test_each_trigger_has_its_rule(request_: Request, rule: str, amount: int, points: int) -> None:
    row = proposed(request_)
    assert (row.rule, row.entitled_minor, row.points, row.trigger) == (rule, amount, points, request_.trigger)


def test_the_first_rule_that_matches_wins() -> None:
    rules = POLICIES.compensation.rules
    dearer = replace(rules[1], name="dearer", amount=900)
    policies = replace(POLICIES, compensation=replace(POLICIES.compensation, rules=(dearer, *rules)))
    assert matching_rule(policies, LATE) == dearer
    assert matching_rule(policies, BREACH) == rules[0]


@pytest.mark.parametrize(("minutes", "paid"), [(59, False), (60, True), (61, True)])
def test_an_order_is_late_by_the_rules_bound(minutes: int, paid: bool) -> None:
    assert (propose(POLICIES, replace(LATE, late=timedelta(minutes=minutes))) is not None) == paid


def test_an_order_whose_lateness_is_not_said_is_left_to_its_facts() -> None:
    assert proposed(replace(LATE, late=None)).rule == "order-late"


@pytest.mark.parametrize(("score", "points"), [(3, 0), (4, 50), (5, 50)])
def test_points_are_for_the_satisfied(score: int, points: int) -> None:
    row = propose(POLICIES, replace(SATISFIED, score=score))
    assert (row.points if row else 0) == points


def test_an_agents_amount_in_another_currency_is_refused() -> None:
    with pytest.raises(ValueError, match="CNY"):
        propose(POLICIES, replace(COUPON, currency="USD"))


def test_without_an_order_a_broken_promise_is_worth_at_most_the_bound() -> None:
    rules = tuple(replace(rule, unknown_order_max=300) for rule in POLICIES.compensation.rules)
    policies = replace(POLICIES, compensation=replace(POLICIES.compensation, rules=rules))
    row = propose(policies, replace(BREACH, order_id=""))
    assert row is not None
    assert row.amount_minor == 300


def test_at_most_one_sla_voucher_a_ticket() -> None:
    first = proposed(BREACH)
    again = proposed(replace(BREACH, id="breach-2"), first)
    assert (again.state, again.outcome) == ("skipped", "already_compensated")
    assert again.id != first.id
    assert proposed(replace(BREACH, ticket_id="another")).id != first.id


def test_the_same_request_again_proposes_nothing() -> None:
    assert propose(POLICIES, BREACH, [proposed(BREACH)]) is None


def test_a_withdrawn_row_makes_room_for_the_next_breach() -> None:
    first = proposed(BREACH)
    withdrawn = moved(first, "skipped", BREACH.at, outcome="withdrawn")
    second = proposed(replace(BREACH, id="breach-2"), withdrawn)
    rule = POLICIES.compensation.rules[0]
    assert (second.state, second.id) == ("proposed", ledger_id(BREACH, rule, 2))
    assert propose(POLICIES, BREACH, [withdrawn]) is None


def test_what_a_person_asks_a_second_time_is_held_for_another_person() -> None:
    again = proposed(replace(COUPON, id="again"), proposed(COUPON))
    assert (again.state, again.outcome) == ("held", "already_compensated")
    assert again.evidence


def test_another_item_of_the_order_is_another_compensation() -> None:
    rule = matching_rule(POLICIES, COUPON)
    assert rule is not None
    ids = {ledger_id(replace(COUPON, item=item), rule) for item in ("", "soup", "rice")}
    assert len(ids) == 3


def test_the_key_of_a_late_order_is_its_order_and_of_a_rating_its_ticket() -> None:
    assert proposed(LATE).id == proposed(replace(LATE, ticket_id="t", id="other")).id
    assert proposed(SATISFIED).id == proposed(replace(SATISFIED, order_id="o", id="other")).id


def test_the_history_begins_with_who_asked() -> None:
    [change] = proposed(COUPON).history
    assert (change.state, change.actor) == ("proposed", Actor("agent", "li"))
    assert proposed(BREACH).history[0].actor == Actor("system", "sla")


def test_a_persons_request_does_not_wait_for_a_retraction() -> None:
    assert proposed(COUPON).settle_at == COUPON.at


def test_an_incident_is_named_in_its_row() -> None:
    assert proposed(INCIDENT).incident_id == "incident-1"
    assert TriggerKind.INCIDENT is proposed(INCIDENT).trigger
