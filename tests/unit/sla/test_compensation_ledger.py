"""Compensation carried out, on a ledger in memory: what the database does the same way (`integration/sla`)."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from common.clock import ManualClock
from common.errors import Poison, Unavailable
from common.words import to_timestamp
from gen.pingxi.v1 import compensation_pb2, voucher_pb2
from rules.model import PolicySet
from services.sla.compensation.ledger import Ledger
from services.sla.compensation.model import Request
from services.sla.compensation.receipts import Receipts
from tests.fakes_ledger import (
    BREACH,
    COUPON,
    INCIDENT,
    LATE,
    NOW,
    ORDER,
    POLICIES,
    SATISFIED,
    FakeLedger,
    FakeOrders,
    FakeTopics,
    incoming,
    with_limits,
)
from tests.unit.sla.ledger_behaviour import BEHAVIOUR, Life, receipt, tell_the_story, the_story_has_one_outcome

ISSUED = voucher_pb2.VoucherIssued


class Desk:
    """A worker and its surroundings."""

    def __init__(self, policies: PolicySet = POLICIES, *orders: Any) -> None:
        self.clock = ManualClock(NOW)
        self.book, self.topics = FakeLedger(), FakeTopics()
        self.orders = FakeOrders(*(orders or (ORDER,)))
        self.policies = {"default": policies}
        self.ledger = Ledger(self.book, self.orders, self.topics, self.clock, self.policies)
        self.receipts = Receipts(self.ledger, self.book, self.topics)

    async def ask(self, *requests: Request, settle: bool = True) -> list[str]:
        """Requests, settled; (state or outcome) of each one's row."""
        for request in requests:
            await self.ledger.request(request)
        if settle:
            await self.later(11)
        rows = [await self.book.by_request(request.id) for request in requests]
        return [
            "no row" if row is None else row.outcome if row.state in ("held", "skipped") else row.state for row in rows
        ]

    async def later(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        await self.ledger.settle()

    @property
    def vouchers(self) -> list[int]:
        """Amounts, each voucher once."""
        found = {m.id: m.body.amount.amount_minor for m in self.topics.of("vouchers.v1", ISSUED)}  # type: ignore[attr-defined]
        return list(found.values())


@pytest.mark.parametrize("behaviour", BEHAVIOUR, ids=lambda each: each.__name__)
async def test_the_ledger_in_memory(behaviour: Callable[[Any], Awaitable[None]]) -> None:
    await behaviour(FakeLedger())


async def test_a_request_is_paid_once_however_often_it_comes() -> None:
    desk = Desk()
    assert await desk.ask(LATE, LATE) == ["published", "published"]
    assert await desk.ask(LATE) == ["published"]
    [message] = desk.topics.of("vouchers.v1")
    assert (message.key, message.attributes) == ("c1", {"reason": "order_late", "ticket": ""})
    assert message.body.fault_party == voucher_pb2.FAULT_PARTY_MERCHANT  # type: ignore[attr-defined]


async def test_nothing_is_published_before_a_breach_has_settled() -> None:
    desk = Desk()
    assert await desk.ask(BREACH, settle=False) == ["proposed"]
    await desk.later(9)
    assert desk.vouchers == []
    await desk.later(1)
    assert desk.vouchers == [1000]


async def test_a_breach_withdrawn_in_time_is_not_paid_and_the_next_one_is() -> None:
    desk = Desk()
    withdrawn = compensation_pb2.CompensationWithdrawn(request_id=BREACH.id, at=to_timestamp(NOW))
    await desk.ask(BREACH, settle=False)
    await desk.ledger.handle([incoming("compensation-requests", withdrawn)])
    assert await desk.ask(BREACH, replace(BREACH, id="breach-2")) == ["withdrawn", "published"]
    assert desk.vouchers == [1000]
    await desk.ledger.handle([incoming("compensation-requests", replace_id(withdrawn, "breach-2"))])
    assert desk.vouchers == [1000]
    assert [row.state for row in desk.book.rows.values()] == ["skipped", "published"]


def replace_id(
    message: compensation_pb2.CompensationWithdrawn, request_id: str
) -> compensation_pb2.CompensationWithdrawn:
    return compensation_pb2.CompensationWithdrawn(request_id=request_id, at=message.at)


async def test_an_order_is_paid_the_highest_amount_whatever_comes_first() -> None:
    breach = replace(BREACH, order_id="o1")
    lower_first = Desk()
    assert await lower_first.ask(LATE) == ["published"]
    assert await lower_first.ask(breach) == ["published"]
    assert lower_first.vouchers == [500, 500]
    higher_first = Desk()
    assert await higher_first.ask(breach) == ["published"]
    assert await higher_first.ask(LATE, INCIDENT) == ["already_compensated"] * 2
    assert higher_first.vouchers == [1000]


async def test_what_stacks_is_paid_besides() -> None:
    desk = Desk(POLICIES, ORDER, replace(ORDER, order_id="o2"), replace(ORDER, order_id="o3"))
    assert await desk.ask(LATE, COUPON, SATISFIED) == ["published"] * 3
    assert sorted(desk.vouchers) == [500, 1500]
    [points] = desk.topics.of("vouchers.v1", voucher_pb2.PointsGranted)
    assert points.body.points == 50  # type: ignore[attr-defined]


async def test_an_unknown_order_waits_for_its_facts_and_goes_on_by_itself() -> None:
    desk = Desk()
    desk.orders.known.clear()
    assert await desk.ask(LATE) == ["order_unknown"]
    desk.orders.known["default", "o1"] = ORDER
    await desk.ledger.learnt([ORDER])
    await desk.later(0)
    assert desk.vouchers == [500]
    await desk.ledger.learnt([ORDER])
    await desk.later(0)
    assert desk.vouchers == [500]


async def test_facts_that_come_between_judgement_and_hold_are_not_missed() -> None:
    class Racing(FakeOrders):
        """The facts arrive just after they were asked for."""

        asked = 0

        async def get(self, brand: str, order_id: str) -> Any:
            self.asked += 1
            return None if self.asked == 1 else ORDER

    desk = Desk()
    orders = Racing()
    ledger = Ledger(desk.book, orders, desk.topics, desk.clock, desk.policies)
    await ledger.request(LATE)
    desk.clock.advance(timedelta(seconds=11))
    await ledger.settle()
    assert desk.vouchers == [500]


async def test_the_kill_switch_holds_new_claims_and_stops_what_is_reserved() -> None:
    desk = Desk()
    await desk.ask(LATE, settle=False)
    desk.policies["default"] = with_limits(enabled=False)
    await desk.later(11)
    assert [row.outcome for row in desk.book.rows.values()] == ["kill_switch"]
    desk = Desk()
    await desk.ask(LATE, settle=False)
    desk.topics.failing = 1
    desk.clock.advance(timedelta(seconds=11))
    with pytest.raises(Unavailable):
        await desk.ledger.settle()
    desk.policies["default"] = with_limits(enabled=False)
    await desk.later(5)
    assert desk.vouchers == []
    desk.policies["default"] = POLICIES
    await desk.later(5)
    assert desk.vouchers == [500]


async def test_shadow_mode_records_every_decision_and_publishes_none() -> None:
    desk = Desk(with_limits(shadow=True, automatic_up_to=1000))
    assert await desk.ask(LATE, COUPON, SATISFIED) == ["shadow"] * 3
    assert desk.topics.of("vouchers.v1") == []
    assert set(desk.book.budgets) == {"shadow/brand/default/2026-03-01", "shadow/merchant/default/m1/2026-03-01"}
    coupon = await desk.book.by_request(COUPON.id)
    assert coupon is not None
    assert coupon.evidence[-1] == "would be held: needs_approval"
    desk.policies["default"] = POLICIES
    assert await desk.ask(LATE) == ["shadow"], "nothing is paid afterwards for what was only recorded"


@pytest.mark.parametrize("arrive", [False, True])
@pytest.mark.parametrize("failing", [1, 2])
async def test_a_promise_whose_acknowledgement_is_lost_is_made_again_with_the_same_words(
    failing: int, arrive: bool
) -> None:
    desk = Desk()
    await desk.ask(LATE, settle=False)
    desk.topics.failing, desk.topics.arrive = failing, arrive
    for seconds in (11, 3, 3, 3):
        try:
            await desk.later(seconds)
        except Unavailable:
            continue
    assert desk.vouchers == [500]
    assert len({m.body.SerializeToString() for m in desk.topics.of("vouchers.v1", ISSUED)}) == 1


async def test_a_row_is_in_the_log_before_its_voucher_is() -> None:
    desk = Desk()
    await desk.ask(LATE)
    voucher = next(i for i, m in enumerate(desk.topics.log) if m.topic == "vouchers.v1")
    before = [m.body.state for m in desk.topics.log[:voucher] if m.topic == "ledger.v1"]  # type: ignore[attr-defined]
    assert compensation_pb2.LEDGER_STATE_RESERVED in before


async def _story_steps() -> int:
    life, topics, book = Life(), FakeTopics(), FakeLedger()
    await tell_the_story(book, topics, life)
    await the_story_has_one_outcome(book, topics)
    return life.steps


async def test_killed_before_or_after_each_step_the_story_has_one_outcome() -> None:
    steps = await _story_steps()
    assert steps > 15
    for step in range(1, steps + 1):
        for before in (True, False):
            topics, book = FakeTopics(), FakeLedger()
            await tell_the_story(book, topics, Life((step, before)))
            await the_story_has_one_outcome(book, topics)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"voucher_id": "nobody"}, "unknown_voucher"),
        ({"brand": "demo"}, "receipt_mismatch"),
        ({"customer_id": "c2"}, "receipt_mismatch"),
    ],
)
async def test_a_receipt_for_something_else_is_no_receipt(changed: dict[str, Any], reason: str) -> None:
    desk = Desk()
    await desk.ask(LATE)
    [voucher] = desk.topics.ids("vouchers.v1")
    body = voucher_pb2.VoucherRedeemable(**{"voucher_id": voucher, "brand": "default", "customer_id": "c1", **changed})
    with pytest.raises(Poison, match=reason):
        await desk.receipts.handle([incoming("voucher-receipts.v1", body)])


async def test_receipts_twice_late_and_in_another_order_lead_to_one_state() -> None:
    desk = Desk()
    await desk.ask(LATE)
    [voucher] = desk.topics.ids("vouchers.v1")
    redeemable, redeemed = (
        incoming("voucher-receipts.v1", receipt(kind, voucher))
        for kind in (voucher_pb2.VoucherRedeemable, voucher_pb2.VoucherRedeemed)
    )
    await desk.receipts.handle([redeemed, redeemable, redeemed, redeemable])
    assert desk.book.rows[voucher].state == "redeemed"
    with pytest.raises(Poison, match="contradicting_receipt"):
        await desk.receipts.handle([incoming("v", receipt(voucher_pb2.VoucherRejected, voucher))])
    assert desk.book.budgets["brand/default/2026-03-01"] == 500


async def test_a_rejected_voucher_returns_its_budget_once() -> None:
    desk = Desk()
    await desk.ask(LATE)
    [voucher] = desk.topics.ids("vouchers.v1")
    rejected = incoming("voucher-receipts.v1", receipt(voucher_pb2.VoucherRejected, voucher, why="account closed"))
    await desk.receipts.handle([rejected, rejected])
    assert (desk.book.rows[voucher].state, desk.book.budgets["brand/default/2026-03-01"]) == ("rejected", 0)
    assert await desk.ask(INCIDENT) == ["published"], "the order may be compensated again"


async def test_a_receipt_that_overtakes_the_crashed_worker_is_taken() -> None:
    """The voucher is out, the row doesn't say so yet, and the loyalty system has answered."""
    desk = Desk()
    await desk.ask(LATE, settle=False)
    desk.topics.failing, desk.topics.arrive = 1, True
    desk.clock.advance(timedelta(seconds=11))
    with pytest.raises(Unavailable):
        await desk.ledger.settle()
    [row] = desk.book.rows.values()
    assert row.state == "reserved"
    await desk.receipts.handle([incoming("v", receipt(voucher_pb2.VoucherRedeemable, row.id))])
    await desk.later(3)
    assert desk.book.rows[row.id].state == "redeemable"
    assert desk.book.untold == set()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"request_id": ""}, "missing_field"),
        ({"brand": ""}, "missing_field"),
        ({"ticket_id": "", "order_id": ""}, "missing_field"),
        ({"trigger": "whim"}, "unknown_trigger"),
        ({"brand": "nobody"}, "unknown_brand"),
    ],
)
async def test_a_request_without_what_it_needs_is_refused_by_name(change: dict[str, Any], reason: str) -> None:
    body = compensation_pb2.CompensationRequested(
        **{"request_id": "r", "brand": "default", "trigger": "order_late", "order_id": "o1", **change},
        at=to_timestamp(NOW),
    )
    with pytest.raises(Poison, match=reason):
        await Desk().ledger.handle([incoming("compensation-requests", body)])


async def test_a_coupon_in_another_currency_is_refused_by_name() -> None:
    with pytest.raises(Poison, match="wrong_currency"):
        await Desk().ledger.request(replace(COUPON, currency="USD"))
