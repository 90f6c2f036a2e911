"""Random claims, people, receipts, lost acknowledgements, deaths and switches: what must hold holds after each."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from common.clock import ManualClock
from common.errors import Conflict, PermissionDenied, Poison, Refused, StaleVersion, Unavailable
from gen.pingxi.v1 import voucher_pb2
from gen.pingxi.v1.compensation_pb2 import CompensationWithdrawn
from rules.model import PolicySet
from services.sla.compensation import checks, ledger, rules
from services.sla.compensation.accounts import books_of
from services.sla.compensation.decisions import Call, approve, deny, reverse
from services.sla.compensation.ledger import Ledger
from services.sla.compensation.model import Actor, LedgerRow, Request
from services.sla.compensation.receipts import Receipts
from services.sla.compensation.states import CHARGED, ISSUED, TRANSITIONS, moved
from services.sla.compensation.wire import RECEIPTS
from tests.fakes_ledger import (
    BREACH,
    COUPON,
    INCIDENT,
    LATE,
    NOW,
    ORDER,
    SATISFIED,
    FakeLedger,
    FakeOrders,
    FakeTopics,
    incoming,
    with_limits,
)
from tests.unit.sla.ledger_behaviour import receipt

# Small, so that every bound is met within a few steps.
POLICIES = with_limits(
    brand_per_day=4000, merchant_per_day=2500, incident_total=900, cap_count=3, cap_amount=3000, automatic_up_to=1200
)
LIMITS = POLICIES.compensation.limits
ORDERS = [
    replace(
        ORDER, order_id=f"o{n}", customer_id=f"c{n % 2}", merchant_id=f"m{n % 2}", identity_hashes=(f"phone-{n // 2}",)
    )
    for n in range(4)
]
PEOPLE = [Actor("supervisor", "wang"), Actor("supervisor", "zhao"), Actor("agent", "li")]
KINDS = sorted(RECEIPTS, key=lambda kind: kind.DESCRIPTOR.name)


def asked(kind: Request, n: int, instance: int) -> Request:
    """The request of that kind about order n; instances are causes of their own."""
    # A broken promise needs no order.
    order, customer = "" if kind is BREACH and n > 1 else f"o{n}", f"c{n % 2}"
    ticket = "" if kind in (LATE, INCIDENT) else f"t{n}"
    request = replace(
        kind,
        order_id=order,
        ticket_id=ticket,
        customer_id=customer,
        customer_ref=customer,
        id=f"{kind.id}/{n}/{instance}",
    )
    return replace(request, amount_minor=700 * (instance + 1)) if kind is COUPON else request


class Compensation(RuleBasedStateMachine):
    """A worker, now and then a new one, on one ledger and one log."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock(NOW)
        self.book, self.topics, self.orders = FakeLedger(), FakeTopics(), FakeOrders()
        self.policies: dict[str, PolicySet] = {"default": POLICIES}
        self.before: dict[str, LedgerRow] = {}

    def teardown(self) -> None:
        self.loop.close()

    @initialize(known=st.sets(st.integers(0, 3)))
    def some_orders_are_known(self, known: set[int]) -> None:
        self.orders.known = {("default", ORDERS[n].order_id): ORDERS[n] for n in known}
        self.new_worker()

    def new_worker(self) -> None:
        self.ledger = Ledger(self.book, self.orders, self.topics, self.clock, self.policies)
        self.receipts = Receipts(self.ledger, self.book, self.topics)

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            return self.loop.run_until_complete(work)
        except (Unavailable, Poison):
            return None

    @rule(
        kind=st.sampled_from([BREACH, LATE, INCIDENT, COUPON, SATISFIED]),
        n=st.integers(0, 3),
        instance=st.integers(0, 2),
    )
    def claim(self, kind: Request, n: int, instance: int) -> None:
        self.do(self.ledger.request(replace(asked(kind, n, instance), at=self.clock.now())))

    @rule(n=st.integers(0, 3), instance=st.integers(0, 2))
    def withdraw(self, n: int, instance: int) -> None:
        body = CompensationWithdrawn(request_id=asked(BREACH, n, instance).id)
        self.do(self.ledger.handle([incoming("compensation-requests", body)]))

    @rule(seconds=st.sampled_from([1, 11, 3600, 86_400]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        self.do(self.ledger.settle())

    @rule(failing=st.integers(1, 3), arrive=st.booleans())
    def acknowledgements_are_lost_and_the_worker_dies(self, failing: int, arrive: bool) -> None:
        self.topics.failing, self.topics.arrive = failing, arrive
        self.clock.advance(timedelta(seconds=11))
        self.do(self.ledger.settle())
        self.topics.failing = 0
        self.new_worker()

    @rule(n=st.integers(0, 3))
    def an_order_becomes_known(self, n: int) -> None:
        self.orders.known["default", ORDERS[n].order_id] = ORDERS[n]
        self.do(self.ledger.learnt([ORDERS[n]]))

    @rule(on=st.booleans())
    def switch(self, on: bool) -> None:
        self.policies["default"] = POLICIES if on else with_limits(POLICIES, enabled=False)

    @precondition(lambda self: self.book.rows)
    @rule(data=st.data(), who=st.sampled_from(PEOPLE), what=st.sampled_from(["approve", "deny", "reverse"]))
    def a_person_decides(self, data: st.DataObject, who: Actor, what: str) -> None:
        row = data.draw(st.sampled_from(sorted(self.book.rows.values(), key=lambda each: each.id)))
        call = Call(
            who,
            data.draw(st.sampled_from([0, row.version])),
            data.draw(st.sampled_from(["", "k"])),
            "",
            self.clock.now(),
        )
        decide: dict[str, Callable[[], LedgerRow | None]] = {
            "approve": lambda: approve(row, call, LIMITS),
            "deny": lambda: deny(row, call),
            "reverse": lambda: reverse(row, call),
        }
        try:
            after = decide[what]()
        except (Conflict, PermissionDenied, Refused, StaleVersion):
            return
        assert who.kind == "supervisor"
        if after is not None and self.loop.run_until_complete(self.book.change(after)):
            self.do(self.ledger.publish(after))

    @rule(data=st.data(), kind=st.sampled_from(KINDS))
    def the_loyalty_system_answers(self, data: st.DataObject, kind: Any) -> None:
        issued = self.topics.ids("vouchers.v1", voucher_pb2.VoucherIssued)
        if not issued:
            return
        voucher = data.draw(st.sampled_from(issued))
        body = receipt(kind, voucher)
        body.customer_id = ""  # type: ignore[attr-defined]
        self.do(self.receipts.handle([incoming("voucher-receipts.v1", body)]))

    @invariant()
    def the_books_are_what_the_rows_say(self) -> None:
        books, paid = books_of(self.book.rows.values())
        assert {k: v for k, v in self.book.budgets.items() if v} == {k: v for k, v in books.spent.items() if v}
        assert {k: v for k, v in self.book.paid.items() if v} == {k: v for k, v in paid.items() if v}
        recent = {k: sum(c for c, _ in v.days.values()) for k, v in self.book.claims.items() if v.days}
        whole = {k: sum(c for c, _ in v.days.values()) for k, v in books.claims.items()}
        # Days that no longer count are dropped; none of these runs is that long.
        assert recent == whole

    @invariant()
    def no_budget_is_passed(self) -> None:
        bounds = {"brand": LIMITS.brand_per_day, "merchant": LIMITS.merchant_per_day, "incident": LIMITS.incident_total}
        for budget, spent in self.book.budgets.items():
            assert 0 <= spent <= bounds[budget.partition("/")[0]]

    @invariant()
    def an_order_is_paid_at_most_its_highest_claim(self) -> None:
        for order in ORDERS:
            rows = [r for r in self.book.rows.values() if r.order_id == order.order_id and not r.stack]
            charged = sum(r.amount_minor for r in rows if r.state in CHARGED and r.charges.order)
            assert charged <= max((r.entitled_minor for r in rows), default=0)

    @invariant()
    def every_promise_has_its_row_and_one_wording(self) -> None:
        words: dict[str, bytes] = {}
        for message in self.topics.of("vouchers.v1", voucher_pb2.VoucherIssued):
            assert words.setdefault(message.id, message.body.SerializeToString()) == message.body.SerializeToString()
            assert self.book.rows[message.id].state in ISSUED | {"reserved"}
        for row in self.book.rows.values():
            assert row.state not in ISSUED or row.points or row.id in words

    @invariant()
    def history_is_only_appended_to_and_every_step_is_legal(self) -> None:
        for row in self.book.rows.values():
            known = self.before.get(row.id)
            if known is not None:
                assert row.history[: len(known.history)] == known.history
                assert row.version - known.version == len(row.history) - len(known.history)
            for one, two in zip(row.history, row.history[1:], strict=False):
                crossed = one.state == two.state == "reversing"
                again = row.outcome == "already_compensated" and one.state == "proposed"
                assert crossed or again or two.state in TRANSITIONS[one.state]
        self.before = dict(self.book.rows)

    @invariant()
    def above_the_tier_nothing_is_paid_without_people(self) -> None:
        for row in self.book.rows.values():
            if row.state in CHARGED and row.amount_minor > LIMITS.automatic_up_to:
                assert row.approvals
                assert row.requested_by is None or row.requested_by.id not in {a.id for a in row.approvals}

    @invariant()
    def a_ticket_has_one_sla_voucher(self) -> None:
        for n in range(4):
            rows = [r for r in self.book.rows.values() if r.ticket_id == f"t{n}" and r.request_id.startswith("breach")]
            assert sum(r.state in CHARGED for r in rows) <= 1


TestCompensation = Compensation.TestCase
TestCompensation.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def _whole_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "amount_due", lambda row, facts, books: row.entitled_minor)


def _returns_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeLedger, "give_back", FakeLedger.change)


def _each_request_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "ledger_id", lambda request, rule, instance=1: f"{request.id}/{instance}")
    monkeypatch.setattr(ledger, "ledger_id", lambda request, rule, instance=1: f"{request.id}/{instance}")


def _other_words_on_the_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeTopics, "publish", _twice(FakeTopics.publish))


def _twice(publish: Any) -> Any:
    async def published(self: FakeTopics, message: Any, timeout: float | None = None) -> Any:
        if isinstance(message.body, voucher_pb2.VoucherIssued):
            other = voucher_pb2.VoucherIssued.FromString(message.body.SerializeToString())
            other.amount.amount_minor += 1
            await publish(self, replace(message, body=other))
        return await publish(self, message, timeout)

    return published


def _no_tiers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_CHECKS", tuple(c for c in checks._CHECKS if c[0] is not checks._tier))


def _budgets_unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_CHECKS", tuple(c for c in checks._CHECKS if c[0] is not checks._within_the_budgets))
    reserve = FakeLedger.reserve

    async def unguarded(self: FakeLedger, row: LedgerRow, accounts: Any, books: Any, cap_days: int) -> Any:
        endless = replace(accounts, budgets=tuple(replace(b, limit=10**9) for b in accounts.budgets))
        return await reserve(self, row, endless, books, cap_days)

    monkeypatch.setattr(FakeLedger, "reserve", unguarded)


def _history_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "moved", lambda row, to, at, **more: moved(replace(row, history=()), to, at, **more))


Step = Callable[[Compensation], None]
SETTLED: Step = lambda m: m.time_passes(11)  # noqa: E731


def _claimed(kind: Request, n: int, instance: int = 0) -> Step:
    return lambda m: m.claim(kind, n, instance)


def _rejected(m: Compensation) -> None:
    [voucher] = m.topics.ids("vouchers.v1", voucher_pb2.VoucherIssued)
    body = receipt(voucher_pb2.VoucherRejected, voucher)
    body.customer_id = ""  # type: ignore[attr-defined]
    m.do(m.receipts.handle([incoming("voucher-receipts.v1", body)]))


def lived(*steps: Step) -> None:
    """A short life with known orders; everything that must hold is looked at after each step."""
    machine = Compensation()
    try:
        machine.some_orders_are_known({0, 1, 2, 3})
        for step in steps:
            step(machine)
            for held in (
                machine.the_books_are_what_the_rows_say,
                machine.no_budget_is_passed,
                machine.an_order_is_paid_at_most_its_highest_claim,
                machine.every_promise_has_its_row_and_one_wording,
                machine.history_is_only_appended_to_and_every_step_is_legal,
                machine.above_the_tier_nothing_is_paid_without_people,
                machine.a_ticket_has_one_sla_voucher,
            ):
                held()
    finally:
        machine.teardown()


PLANTED: list[tuple[Callable[[pytest.MonkeyPatch], None], list[Step]]] = [
    (_whole_again, [_claimed(LATE, 0), _claimed(INCIDENT, 0), SETTLED]),
    (_returns_nothing, [_claimed(LATE, 0), SETTLED, _rejected]),
    (_each_request_a_key, [_claimed(BREACH, 2), _claimed(BREACH, 2, 1), SETTLED]),
    (_other_words_on_the_topic, [_claimed(LATE, 0), SETTLED]),
    (_no_tiers, [_claimed(COUPON, 0, 1), SETTLED]),
    (_budgets_unguarded, [*(_claimed(BREACH, n) for n in range(4)), _claimed(COUPON, 0), SETTLED]),
    (_history_forgets, [_claimed(LATE, 0), SETTLED]),
]


@pytest.mark.parametrize(("plant", "steps"), PLANTED, ids=[plant.__name__.strip("_") for plant, _ in PLANTED])
def test_a_planted_bug_is_caught(
    plant: Callable[[pytest.MonkeyPatch], None], steps: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(*steps)
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        lived(*steps)
