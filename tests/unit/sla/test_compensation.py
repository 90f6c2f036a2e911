"""Which voucher a broken promise is worth, by the default policies."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from common.policyfiles import load_brand
from deploy.local.settings import ROOT
from rules.model import Metric, PolicySet, Priority, TriggerKind
from services.sla.compensation import LedgerRow, Request, budget_of, propose

POLICIES = load_brand(ROOT / "policies" / "default")
REQUEST = Request(
    id="breach-1",
    brand="default",
    trigger=TriggerKind.SLA_BREACH,
    ticket_id="7K3M-9QXZ-4TPC-5",
    order_id="",
    customer_id="c1",
    customer_ref="c1",
    metric=Metric.FIRST_RESPONSE,
    priority=Priority.URGENT,
    sla_policy="red",
    red=True,
    at=datetime(2026, 3, 1, 15, 59, tzinfo=UTC),
)


def proposed(request: Request = REQUEST, policies: PolicySet = POLICIES) -> LedgerRow:
    row = propose(policies, request)
    assert row is not None
    return row


def with_limits(**limits: object) -> PolicySet:
    compensation = POLICIES.compensation
    return replace(POLICIES, compensation=replace(compensation, limits=replace(compensation.limits, **limits)))  # type: ignore[arg-type]


def test_a_broken_red_first_response_is_worth_ten_yuan_after_ten_seconds() -> None:
    row = proposed()
    assert (row.amount_minor, row.currency, row.state) == (1000, "CNY", "proposed")
    assert row.settle_at - REQUEST.at == timedelta(seconds=10)


def test_an_ordinary_broken_first_response_is_not_compensated() -> None:
    assert propose(POLICIES, replace(REQUEST, red=False, sla_policy="ordinary")) is None


def test_a_broken_resolution_is_not_compensated() -> None:
    assert propose(POLICIES, replace(REQUEST, metric=Metric.RESOLUTION)) is None


def test_at_most_one_sla_voucher_a_ticket() -> None:
    assert proposed(replace(REQUEST, id="breach-2")).id == proposed().id
    assert proposed(replace(REQUEST, ticket_id="another")).id != proposed().id


def test_the_kill_switch_holds_with_its_reason() -> None:
    row = proposed(policies=with_limits(enabled=False))
    assert (row.state, row.outcome) == ("held", "kill_switch")


def test_an_amount_above_the_automatic_tier_waits_for_a_person() -> None:
    row = proposed(policies=with_limits(automatic_up_to=999))
    assert (row.state, row.outcome) == ("held", "needs_approval")


def test_the_daily_budget_is_the_day_in_the_brand_s_time_zone() -> None:
    # 15:59:10 UTC is 23:59:10 in Shanghai; a minute later the next day begins there.
    assert budget_of(POLICIES, proposed())[0] == "brand/default/2026-03-01"
    later = proposed(replace(REQUEST, at=REQUEST.at + timedelta(minutes=1)))
    assert budget_of(POLICIES, later)[0] == "brand/default/2026-03-02"
