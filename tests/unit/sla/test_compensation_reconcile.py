"""The day's account, to the cent."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from rules.model import Fault
from services.sla.compensation.accounts import books_of
from services.sla.compensation.model import Change, LedgerRow, State
from services.sla.compensation.reconcile import Totals, bounds, reconcile
from services.sla.compensation.rules import propose
from tests.fakes_ledger import LATE, NOW, ORDER, POLICIES, SATISFIED
from tests.unit.sla.ledger_behaviour import reserved

AFTER = NOW + timedelta(hours=1)
STATES: tuple[State, ...] = ("published", "redeemable", "redeemed", "rejected", "reversing", "reversed")


def row(number: int, state: State, fault: Fault = Fault.COURIER, at: datetime = NOW) -> LedgerRow:
    made = propose(POLICIES, LATE)
    assert made is not None
    history = (Change(NOW, "proposed"), Change(at, "published"))
    return replace(
        made, id=f"v{number}", state=state, amount_minor=500 + number, fault=fault, issued_at=at, history=history
    )


def test_what_was_published_is_what_became_of_it() -> None:
    rows = [row(n, state) for n, state in enumerate(STATES)]
    totals = reconcile({r.id: r.amount_minor for r in rows}, rows, AFTER)
    assert totals == Totals(
        published=3015,
        redeemable=501,
        redeemed=502,
        rejected=503,
        reversed=505,
        pending=500 + 504,
        vouchers=6,
        by_fault=((Fault.COURIER, 500 + 501 + 502 + 504),),
    )
    assert totals.difference == 0


@pytest.mark.parametrize(
    ("promised", "difference"),
    [({"v0": 500, "lost": 700}, 700), ({}, -500), ({"v0": 499}, -1)],
    ids=["only on the topic", "only in the ledger", "another amount"],
)
def test_a_difference_is_told_to_the_cent_with_its_voucher(promised: dict[str, int], difference: int) -> None:
    totals = reconcile(promised, [row(0, "published")], AFTER)
    assert totals.difference == difference
    assert totals.unmatched


def test_what_was_published_while_it_was_counted_is_not_missing() -> None:
    totals = reconcile({}, [row(0, "published", at=AFTER)], NOW)
    assert (totals.difference, totals.unmatched) == (0, ())


def test_a_voucher_whose_worker_died_before_writing_so_is_pending() -> None:
    totals = reconcile({"v0": 500}, [row(0, "reserved")], AFTER)
    assert (totals.pending, totals.difference, totals.unmatched) == (500, 0, ())
    assert reconcile({}, [row(0, "reserved")], AFTER) == Totals()


def test_fault_parties_are_told_apart_and_points_are_no_money() -> None:
    points = propose(POLICIES, SATISFIED)
    assert points is not None
    rows = [
        row(0, "redeemable", Fault.MERCHANT),
        row(1, "redeemed", Fault.COURIER),
        row(2, "rejected", Fault.COURIER),
        replace(points, state="published", issued_at=NOW),
    ]
    totals = reconcile({"v0": 500, "v1": 501, "v2": 502}, rows, AFTER)
    assert totals.by_fault == ((Fault.COURIER, 501), (Fault.MERCHANT, 500))


def test_a_day_is_the_brands_own_and_may_have_25_hours() -> None:
    start, end = bounds(date(2026, 3, 1), "Asia/Shanghai")
    assert (start, end) == (datetime(2026, 2, 28, 16, tzinfo=UTC), datetime(2026, 3, 1, 16, tzinfo=UTC))
    start, end = bounds(date(2026, 10, 25), "Europe/Berlin")
    assert end - start == timedelta(hours=25)


def test_books_are_rebuilt_from_the_rows_that_are_charged() -> None:
    made = propose(POLICIES, LATE)
    assert made is not None
    first, accounts = reserved(made)
    second = replace(first, id="other", state="reversed")
    books, paid = books_of([first, second, replace(first, id="third", state="redeemed", amount_minor=200)])
    assert books.spent == {budget.id: 700 for budget in accounts.budgets}
    assert {claims.days["2026-03-01"] for claims in books.claims.values()} == {(2, 700)}
    assert paid == {f"default/{ORDER.order_id}": 700}
