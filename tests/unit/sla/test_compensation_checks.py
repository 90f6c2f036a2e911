"""Every check of compensation.md with its outcome, in its order, by the default policies."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from rules.model import Fault, PolicySet
from services.sla.compensation.accounts import Accounts, Books, Claims, accounts_of, charged, returned, within
from services.sla.compensation.checks import OUTCOMES, Hold, Reserve, Skip, Verdict, judge
from services.sla.compensation.model import Actor, LedgerRow, Request
from services.sla.compensation.rules import propose
from services.sla.order_facts import OrderFacts
from tests.fakes_ledger import (
    BREACH,
    COUPON,
    INCIDENT,
    LATE,
    NOW,
    ORDER,
    POLICIES,
    SATISFIED,
    with_limits,
    with_rule,
)

DAY = "2026-03-01"
BRAND = f"brand/default/{DAY}"
MERCHANT = f"merchant/default/m1/{DAY}"
CUSTOMER = "default/customer:c1"
PHONE = "default/phone-1"


def row(request: Request, policies: PolicySet = POLICIES, **changes: Any) -> LedgerRow:
    made = propose(policies, request)
    assert made is not None
    return replace(made, **changes)


def claimed(*amounts: int) -> Claims:
    return Claims(len(amounts), {DAY: (len(amounts), sum(amounts))})


KNOWN = Books(orders=10)


@dataclass(frozen=True)
class Case:
    """What is asked, what is known, and the outcome: a reason, or the amount."""

    request: Request
    expected: str | int
    facts: OrderFacts | None = ORDER
    books: Books = KNOWN
    policies: PolicySet = POLICIES
    changes: Mapping[str, Any] = field(default_factory=dict)
    skips: bool = False

    def verdict(self) -> Verdict:
        return judge(self.policies, row(self.request, self.policies, **self.changes), self.facts, self.books, NOW)


FOREIGN = replace(ORDER, customer_id="c2")
SMALL = replace(ORDER, value_minor=400)
OLD = replace(ORDER, promised_at=NOW - timedelta(hours=50), delivered_at=NOW - timedelta(hours=49))
MANY = claimed(100, 100, 100, 100, 100)
RICH = claimed(19_800)
APPROVED = {"state": "approved", "approvals": (Actor("supervisor", "wang"),)}

CASES = {
    "a late order is paid": Case(LATE, 500),
    "an affected order of an incident is paid": Case(INCIDENT, 500),
    "an agent's coupon is paid": Case(COUPON, 1500),
    "a broken promise is paid without an order": Case(BREACH, 1000, facts=None),
    "points are granted whatever the books say": Case(SATISFIED, 0, books=Books({BRAND: 10**9}, {CUSTOMER: MANY})),
    # The order exists
    "an order nobody knows holds": Case(LATE, "order_unknown", facts=None),
    "an unknown order of a coupon holds": Case(COUPON, "order_unknown", facts=None),
    "an incident without an order holds": Case(replace(INCIDENT, order_id="", ticket_id="t"), "order_unknown", None),
    "a broken promise needs no order, and pays its bound": Case(
        replace(BREACH, order_id="o1"),
        300,
        facts=None,
        policies=with_rule("red-first-response", unknown_order_max=300),
    ),
    "a broken promise is paid whole where the order is known": Case(
        replace(BREACH, order_id="o1"), 1000, policies=with_rule("red-first-response", unknown_order_max=300)
    ),
    "somebody else's order makes a broken promise worth no more": Case(
        replace(BREACH, order_id="o1"),
        300,
        facts=FOREIGN,
        policies=with_rule("red-first-response", unknown_order_max=300),
    ),
    "a rule that pays nothing without an order owes nothing": Case(
        BREACH, "nothing_due", None, policies=with_rule("red-first-response", unknown_order_max=0), skips=True
    ),
    # Belongs to the customer
    "another customer's order holds": Case(LATE, "not_the_customers_order", FOREIGN),
    "a contact that isn't the order's customer holds": Case(
        replace(COUPON, customer_id="", customer_ref="ref-9"), "not_the_customers_order"
    ),
    "an order of an incident is its customer's, whoever complained by which contact": Case(
        replace(INCIDENT, customer_id="", customer_ref="ref-9"), 500
    ),
    "an order of an incident that another customer names holds": Case(INCIDENT, "not_the_customers_order", FOREIGN),
    "an order found late by itself is its customer's": Case(replace(LATE, customer_id="", customer_ref=""), 500),
    # Late at all
    "an order delivered within the bound is owed nothing": Case(
        LATE, "not_late_enough", replace(ORDER, delivered_at=NOW - timedelta(minutes=30)), skips=True
    ),
    "an order delivered exactly at the bound is not over it": Case(
        LATE, "not_late_enough", replace(ORDER, delivered_at=NOW - timedelta(minutes=10)), skips=True
    ),
    "an order delivered past the bound is owed": Case(
        LATE, 500, replace(ORDER, delivered_at=NOW - timedelta(minutes=9))
    ),
    "a cancelled order isn't late": Case(LATE, "order_cancelled", replace(ORDER, cancelled_at=NOW), skips=True),
    "an order without a promise can't be judged": Case(LATE, "order_unknown", replace(ORDER, promised_at=None)),
    # Inside the claim window
    "what is asked after the window is skipped": Case(
        replace(INCIDENT, person=None), "outside_claim_window", OLD, skips=True
    ),
    "what a person asks after the window holds": Case(COUPON, "outside_claim_window", OLD),
    # Not already compensated
    "a lower amount for the same order is skipped": Case(
        LATE, "already_compensated", books=Books(paid_for_order=1000), skips=True
    ),
    "a higher amount is topped up to": Case(replace(BREACH, order_id="o1"), 500, books=Books(paid_for_order=500)),
    "what stacks is paid besides": Case(COUPON, 1500, books=Books(paid_for_order=1000, orders=10)),
    # The rule's amount
    "more than the rule allows holds": Case(replace(COUPON, amount_minor=50_001), "above_rule"),
    # Share of the order's value
    "more than the order's value holds": Case(LATE, "above_order_share", SMALL),
    "the order's value is within its share": Case(LATE, 500, replace(ORDER, value_minor=500)),
    "a smaller share is a smaller bound": Case(
        LATE, "above_order_share", replace(ORDER, value_minor=999), policies=with_limits(order_share_percent=50)
    ),
    "a broken promise isn't measured by the order": Case(replace(BREACH, order_id="o1"), 1000, SMALL),
    # Rolling caps
    "the sixth claim in thirty days holds": Case(LATE, "cap_count", books=Books(claims={CUSTOMER: MANY}, orders=99)),
    "a linked phone counts": Case(LATE, "cap_count", books=Books(claims={PHONE: MANY}, orders=99)),
    "an amount above the cap holds": Case(LATE, "cap_amount", books=Books(claims={PHONE: RICH}, orders=99)),
    "claims of before the window don't count": Case(
        LATE, 500, books=Books(claims={PHONE: Claims(5, {"2026-01-30": (5, 500)})}, orders=99)
    ),
    "claims of the window's first day count": Case(
        LATE, "cap_count", books=Books(claims={PHONE: Claims(5, {"2026-01-31": (5, 500)})}, orders=99)
    ),
    "a broken promise is capped too": Case(BREACH, "cap_count", None, Books(claims={CUSTOMER: MANY})),
    "three claims of five orders are too many": Case(
        LATE, "claims_ratio", books=Books(claims={CUSTOMER: claimed(1, 1)}, orders=5)
    ),
    "three claims of six orders are not": Case(LATE, 500, books=Books(claims={CUSTOMER: claimed(1, 1)}, orders=6)),
    "one claim of one order says nothing": Case(LATE, 500, books=Books(orders=1)),
    # Budgets
    "the brand's budget holds": Case(LATE, "brand_budget", books=Books({BRAND: 1_999_501}, orders=9)),
    "the brand's budget is used to the cent": Case(LATE, 500, books=Books({BRAND: 1_999_500}, orders=9)),
    "the merchant's budget holds": Case(LATE, "merchant_budget", books=Books({MERCHANT: 199_501}, orders=9)),
    "the incident's budget holds": Case(
        INCIDENT, "incident_budget", books=Books({"incident/default/incident-1": 999_501}, orders=9)
    ),
    # Tiers
    "twenty yuan is paid by itself": Case(replace(COUPON, amount_minor=2000), 2000),
    "above twenty yuan a supervisor approves": Case(replace(COUPON, amount_minor=2001), "needs_approval"),
    "two hundred yuan needs one": Case(
        replace(COUPON, amount_minor=20_000), "needs_approval", replace(ORDER, value_minor=99_999)
    ),
    "above two hundred yuan two people approve": Case(
        replace(COUPON, amount_minor=20_001),
        "needs_two_approvals",
        replace(ORDER, value_minor=99_999),
        policies=with_limits(cap_amount=99_999),
    ),
    "what was approved is paid": Case(replace(COUPON, amount_minor=4000), 4000, changes=APPROVED),
    # Kill switch
    "the kill switch holds": Case(LATE, "kill_switch", policies=with_limits(enabled=False)),
    "the kill switch holds what was approved": Case(
        LATE, "kill_switch", policies=with_limits(enabled=False), changes=APPROVED
    ),
    # A person accepts a risk, not an empty budget
    "an approved unknown order is paid": Case(LATE, 500, facts=None, changes=APPROVED),
    "approved above the caps is paid": Case(LATE, 500, books=Books(claims={PHONE: MANY}), changes=APPROVED),
    "approved without a budget holds": Case(LATE, "brand_budget", books=Books({BRAND: 2_000_000}), changes=APPROVED),
    "approved but paid meanwhile is skipped": Case(
        LATE, "already_compensated", books=Books(paid_for_order=500), changes=APPROVED, skips=True
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_check_has_its_outcome(name: str) -> None:
    case = CASES[name]
    verdict = case.verdict()
    if isinstance(case.expected, int):
        assert isinstance(verdict, Reserve), verdict
        assert verdict.amount_minor == case.expected
    else:
        assert isinstance(verdict, Skip if case.skips else Hold), verdict
        assert verdict.reason == case.expected


def test_who_is_paid_is_the_orders_customer_where_nobody_asked() -> None:
    nameless: dict[str, Any] = {"customer_id": "", "customer_ref": "ref-9"}
    paid = [Case(replace(each, **nameless), 0).verdict() for each in (LATE, INCIDENT, BREACH)]
    assert [verdict.customer_id for verdict in paid if isinstance(verdict, Reserve)] == ["c1", "c1", ""]


def test_every_outcome_is_shown_and_explained() -> None:
    shown = {case.expected for case in CASES.values() if isinstance(case.expected, str)}
    assert shown | {"no_rule"} == set(OUTCOMES)


def test_a_hold_carries_its_evidence() -> None:
    for name, case in CASES.items():
        verdict = case.verdict()
        if isinstance(verdict, Hold) and verdict.reason != "kill_switch":
            assert verdict.evidence, name


ALL_WRONG = Case(
    replace(COUPON, amount_minor=50_001),
    "order_unknown",
    facts=None,
    books=Books({BRAND: 2_000_000, MERCHANT: 200_000}, {PHONE: MANY, CUSTOMER: MANY}, orders=0),
    policies=with_limits(enabled=False),
)


def test_the_first_check_that_fails_decides() -> None:
    """Mending one thing after the other shows the checks in the order of compensation.md."""
    mended: list[dict[str, Any]] = [
        {},
        {"facts": replace(OLD, customer_id="c2", value_minor=1)},
        {"facts": replace(OLD, value_minor=1)},
        {"facts": replace(ORDER, value_minor=1)},
        {"request": replace(COUPON, amount_minor=30_000)},
        {"facts": replace(ORDER, value_minor=90_000)},
        {"books": replace(ALL_WRONG.books, claims={PHONE: RICH})},
        {"books": replace(ALL_WRONG.books, claims={PHONE: claimed(1, 1)})},
        {"policies": with_limits(enabled=False, cap_amount=99_999)},
        {"books": replace(ALL_WRONG.books, claims={})},
        {"books": Books({MERCHANT: 200_000}, orders=9)},
        {"books": Books(orders=9)},
        {"request": replace(COUPON, amount_minor=3000)},
        {"request": replace(COUPON, amount_minor=1000)},
        {"policies": POLICIES},
    ]
    case, met = ALL_WRONG, []
    for step in mended:
        case = replace(case, **step)
        verdict = case.verdict()
        met.append(verdict.amount_minor if isinstance(verdict, Reserve) else verdict.reason)
    assert met == [
        "order_unknown",
        "not_the_customers_order",
        "outside_claim_window",
        "above_rule",
        "above_order_share",
        "cap_count",
        "cap_amount",
        "cap_amount",
        "claims_ratio",
        "brand_budget",
        "merchant_budget",
        "needs_two_approvals",
        "needs_approval",
        "kill_switch",
        1000,
    ]


def test_the_accounts_of_a_row_are_brand_merchant_incident_customer_linked_identities_and_order() -> None:
    accounts = accounts_of(POLICIES, row(INCIDENT), ORDER, NOW)
    assert [b.id for b in accounts.budgets] == [BRAND, MERCHANT, "incident/default/incident-1"]
    assert accounts.identities == (CUSTOMER, PHONE, "default/device-1")
    assert accounts.order == "default/o1"


def test_the_day_is_the_brands_own() -> None:
    # 15:59 UTC is 23:59 in Shanghai; a minute later the next day begins there.
    late_evening = NOW.replace(hour=15, minute=59)
    assert accounts_of(POLICIES, row(BREACH), None, late_evening).day == "2026-03-01"
    assert accounts_of(POLICIES, row(BREACH), None, late_evening + timedelta(minutes=1)).day == "2026-03-02"


def test_a_made_up_order_number_lessens_nobody_elses_compensation() -> None:
    accounts = accounts_of(POLICIES, row(replace(BREACH, order_id="o1")), FOREIGN, NOW)
    assert (accounts.order, accounts.identities) == ("", (CUSTOMER,))


def test_shadow_mode_has_books_of_its_own() -> None:
    accounts = accounts_of(with_limits(shadow=True), row(LATE), ORDER, NOW)
    ids = [*(b.id for b in accounts.budgets), *accounts.identities, accounts.order]
    assert all(each.startswith("shadow/") for each in ids)


def test_points_are_counted_nowhere() -> None:
    assert accounts_of(POLICIES, row(SATISFIED), ORDER, NOW) == Accounts(DAY)


@pytest.mark.parametrize(
    ("request_", "facts", "fault"),
    [
        (BREACH, None, Fault.PLATFORM),
        (LATE, ORDER, Fault.MERCHANT),
        (LATE, replace(ORDER, picked_up_at=NOW - timedelta(minutes=90)), Fault.COURIER),
        (LATE, replace(ORDER, picked_up_at=NOW), Fault.MERCHANT),
        (replace(INCIDENT, fault=Fault.MERCHANT), ORDER, Fault.MERCHANT),
        (INCIDENT, ORDER, Fault.NONE),
        (COUPON, ORDER, Fault.NONE),
    ],
)
def test_whose_fault_it_was_is_recorded(request_: Request, facts: OrderFacts | None, fault: Fault) -> None:
    verdict = judge(POLICIES, row(request_), facts, Books(orders=9), NOW)
    assert isinstance(verdict, Reserve)
    assert verdict.fault is fault


def test_a_rule_may_say_whose_fault_it_is() -> None:
    policies = with_rule("order-late", fault=Fault.PLATFORM)
    verdict = judge(policies, row(LATE, policies), ORDER, Books(orders=9), NOW)
    assert isinstance(verdict, Reserve)
    assert verdict.fault is Fault.PLATFORM


def test_what_is_charged_and_returned_leaves_the_caps_as_they_were() -> None:
    days = charged({"2026-02-01": (2, 700)}, DAY, 30, 500)
    assert within(days, DAY, 30) == (3, 1200)
    assert returned(days, DAY, 500) == {"2026-02-01": (2, 700)}
    assert returned(days, "2026-01-01", 500) == days


def test_days_that_no_longer_count_are_dropped() -> None:
    assert charged({"2026-01-30": (5, 500), "2026-01-31": (1, 100)}, DAY, 30, 50) == {
        "2026-01-31": (1, 100),
        DAY: (1, 50),
    }
