"""What every ledger does, in memory as in MongoDB: the stories that both are put through."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from google.protobuf.message import Message as Proto

from common.clock import ManualClock
from common.words import to_timestamp
from gen.pingxi.v1 import voucher_pb2
from rules.model import PolicySet
from services.sla.compensation.accounts import accounts_of
from services.sla.compensation.decisions import Call, reverse
from services.sla.compensation.ledger import Ledger
from services.sla.compensation.model import Actor, LedgerRow, Request, State
from services.sla.compensation.ports import Asked, LedgerBook
from services.sla.compensation.receipts import Receipts
from services.sla.compensation.rules import propose
from services.sla.compensation.states import moved
from tests.fakes_ledger import (
    BREACH,
    COUPON,
    LATE,
    NOW,
    ORDER,
    POLICIES,
    FakeOrders,
    FakeTopics,
    incoming,
    with_limits,
)

MINUTE = timedelta(minutes=1)
WANG = Actor("supervisor", "wang")
SPAN = POLICIES.compensation.limits.cap_days


def row_of(request: Request = BREACH, policies: PolicySet = POLICIES) -> LedgerRow:
    """As proposed."""
    made = propose(policies, request)
    assert made is not None
    return made


def reserved(row: LedgerRow, policies: PolicySet = POLICIES) -> tuple[LedgerRow, Any]:
    """The row after its reservation, and the accounts."""
    accounts = accounts_of(policies, row, ORDER, NOW)
    return moved(row, "reserved", NOW, charges=accounts.charges, issued_at=NOW), accounts


async def a_row_is_written_once(book: LedgerBook) -> None:
    outcomes = await asyncio.gather(*(book.insert(row_of()) for _ in range(5)))
    assert outcomes.count(True) == 1
    assert await book.get(row_of().id) == row_of()
    assert await book.by_request(BREACH.id) == row_of()
    assert await book.get("another") is None


async def a_change_of_an_older_version_is_refused(book: LedgerBook) -> None:
    await book.insert(row_of())
    held = moved(row_of(), "held", NOW, outcome="brand_budget", evidence=("e",), actor=WANG, why="w", key="k")
    assert await book.change(held)
    assert not await book.change(moved(row_of(), "skipped", NOW))
    assert await book.get(held.id) == held


async def a_row_is_unpublished_until_its_version_is_told(book: LedgerBook) -> None:
    await book.insert(row_of())
    held = moved(row_of(), "held", NOW)
    await book.change(held)
    await book.published(row_of())
    assert [r.id for r in await book.unpublished(NOW)] == [held.id]
    assert await book.unpublished(NOW - MINUTE) == []
    await book.published(held)
    assert await book.unpublished(NOW) == []


async def a_reservation_takes_from_every_account_and_returns_it(book: LedgerBook) -> None:
    await book.insert(row_of(LATE))
    after, accounts = reserved(row_of(LATE))
    before = await book.books(accounts)
    assert await book.reserve(after, accounts, before, SPAN) == "reserved"
    books = await book.books(accounts)
    assert set(books.spent.values()) == {500}
    assert [claims.days for claims in books.claims.values()] == [{"2026-03-01": (1, 500)}] * 3
    assert books.paid_for_order == 500
    assert await book.spent(accounts.budgets[0].id) == 500
    assert await book.reserve(after, accounts, books, SPAN) == "gone"
    back = moved(moved(after, "published", NOW), "rejected", NOW)
    assert await book.change(moved(after, "published", NOW))
    assert await book.give_back(back)
    assert not await book.give_back(back)
    books = await book.books(accounts)
    assert (set(books.spent.values()), books.paid_for_order) == ({0}, 0)
    assert [dict(claims.days) for claims in books.claims.values()] == [{}] * 3


async def a_reservation_on_books_that_have_changed_is_decided_anew(book: LedgerBook) -> None:
    rows = [row_of(LATE), row_of(replace(COUPON, amount_minor=500))]
    for row in rows:
        await book.insert(row)
    first, accounts = reserved(rows[0])
    second, others = reserved(rows[1])
    stale = await book.books(others)
    assert await book.reserve(first, accounts, await book.books(accounts), SPAN) == "reserved"
    assert await book.reserve(second, others, stale, SPAN) == "changed"
    assert (await book.books(accounts)).spent[accounts.budgets[0].id] == 500
    assert await book.get(second.id) == rows[1]
    assert await book.reserve(second, others, await book.books(others), SPAN) == "reserved"


async def a_budget_is_never_passed(book: LedgerBook) -> None:
    """Whatever the books said when they were read."""
    poor = with_limits(brand_per_day=10_500)
    rows = [
        row_of(replace(BREACH, id=f"b{n}", ticket_id=f"t{n}", customer_ref=f"c{n}", customer_id="")) for n in range(40)
    ]
    for row in rows:
        await book.insert(row)
    accounts = [accounts_of(poor, row, None, NOW) for row in rows]
    books = [await book.books(each) for each in accounts]
    after = [moved(r, "reserved", NOW, charges=a.charges) for r, a in zip(rows, accounts, strict=True)]
    outcomes = await asyncio.gather(
        *(book.reserve(r, a, b, SPAN) for r, a, b in zip(after, accounts, books, strict=True))
    )
    assert (outcomes.count("reserved"), outcomes.count("changed")) == (10, 30)
    assert await book.spent(accounts[0].budgets[0].id) == 10_000
    assert len(await book.due(NOW + MINUTE)) == 30


async def rows_are_found_page_by_page_newest_first(book: LedgerBook) -> None:
    for n in range(5):
        await book.insert(row_of(replace(BREACH, id=f"b{n}", ticket_id=f"t{n}", at=NOW + n // 2 * MINUTE)))
    await book.insert(row_of(replace(LATE, brand="default")))
    seen: list[str] = []
    after = None
    proposed: tuple[State, ...] = ("proposed",)
    while rows := await book.find(Asked(brand="default", states=proposed, after=after), 2):
        seen += [row.request_id for row in rows]
        after = (rows[-1].proposed_at, rows[-1].id)
    assert len(seen) == len(set(seen)) == 6
    assert seen[0] == "b4"
    assert [r.request_id for r in await book.find(Asked(order_id="o1"), 9)] == [LATE.id]
    assert [r.request_id for r in await book.find(Asked(ticket_id="t3"), 9)] == ["b3"]
    held: tuple[State, ...] = ("held",)
    assert await book.find(Asked(states=held), 9) == []


async def what_waits_for_an_order_and_what_a_day_promised_are_found(book: LedgerBook) -> None:
    await book.insert(row_of(LATE))
    held = moved(row_of(LATE), "held", NOW, outcome="order_unknown")
    await book.change(held)
    assert await book.waiting_for("default", ["o1", "o2"]) == [held]
    assert await book.waiting_for("demo", ["o1"]) == []
    await book.insert(row_of())
    after, accounts = reserved(row_of())
    await book.reserve(after, accounts, await book.books(accounts), SPAN)
    assert await book.issued("default", NOW, NOW + MINUTE) == [after]
    assert await book.issued("default", NOW - MINUTE, NOW) == []


BEHAVIOUR: list[Callable[[Any], Awaitable[None]]] = [
    a_row_is_written_once,
    a_change_of_an_older_version_is_refused,
    a_row_is_unpublished_until_its_version_is_told,
    a_reservation_takes_from_every_account_and_returns_it,
    a_reservation_on_books_that_have_changed_is_decided_anew,
    a_budget_is_never_passed,
    rows_are_found_page_by_page_newest_first,
    what_waits_for_an_order_and_what_a_day_promised_are_found,
]


class Died(BaseException):
    """kill -9: nothing after this line of the program is done."""


class Mortal:
    """A ledger and topics that die at the n-th thing done, before or after doing it."""

    def __init__(self, inner: Any, life: "Life") -> None:
        self._inner = inner
        self._life = life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in ("insert", "change", "published", "reserve", "give_back", "publish"):
            return found

        async def done(*arguments: Any) -> Any:
            self._life.step(before=True)
            result = await found(*arguments)
            self._life.step(before=False)
            return result

        return done


class Life:
    """Counts; `ends_at` is (step, whether before it)."""

    def __init__(self, ends_at: tuple[int, bool] | None = None) -> None:
        self.steps = 0
        self._ends_at = ends_at

    def step(self, *, before: bool) -> None:
        if before:
            self.steps += 1
        if self._ends_at == (self.steps, before):
            self._ends_at = None
            raise Died


def receipt(kind: Any, voucher_id: str, brand: str = "default", **more: Any) -> Proto:
    """As the loyalty system answers."""
    body: Proto = kind(voucher_id=voucher_id, brand=brand, customer_id="c1", at=to_timestamp(NOW + MINUTE), **more)
    return body


async def tell_the_story(book: Any, topics: FakeTopics, life: Life) -> None:
    """A late order is paid, made redeemable, taken back: each step again after each death, as after a restart."""
    clock = ManualClock(NOW)
    orders = FakeOrders(ORDER)
    policies = {"default": POLICIES}

    def worker() -> Ledger:
        return Ledger(Mortal(book, life), orders, Mortal(topics, life), clock, policies)  # type: ignore[arg-type]

    def receipts_of(ledger: Ledger) -> Receipts:
        return Receipts(ledger, Mortal(book, life), Mortal(topics, life))  # type: ignore[arg-type]

    async def until_done(work: Callable[[Ledger], Awaitable[Any]]) -> None:
        while True:
            try:
                await work(worker())
                return
            except Died:
                # The next process finds what is left behind.
                clock.advance(timedelta(seconds=3))

    async def settled(ledger: Ledger) -> None:
        await ledger.settle()

    await until_done(lambda ledger: ledger.request(LATE))
    clock.advance(timedelta(seconds=11))
    await until_done(settled)
    clock.advance(timedelta(seconds=3))
    await until_done(settled)
    [voucher] = topics.ids("vouchers.v1", voucher_pb2.VoucherIssued)
    redeemable = incoming("voucher-receipts.v1", receipt(voucher_pb2.VoucherRedeemable, voucher))
    await until_done(lambda ledger: receipts_of(ledger).handle([redeemable, redeemable]))

    async def take_back(ledger: Ledger) -> None:
        row = await book.get(voucher)
        after = reverse(row, Call(WANG, 0, "k1", "", max(ledger.now(), row.updated_at)))
        if after is not None:
            await Mortal(book, life).change(after)
            await ledger.publish(after)

    await until_done(take_back)
    clock.advance(timedelta(seconds=3))
    await until_done(settled)
    done = incoming("voucher-receipts.v1", receipt(voucher_pb2.ReversalDone, voucher))
    await until_done(lambda ledger: receipts_of(ledger).handle([done]))
    clock.advance(timedelta(seconds=3))
    await until_done(settled)


async def the_story_has_one_outcome(book: Any, topics: FakeTopics) -> None:
    """One voucher, one reversal, every state in the log, and nothing left in any account."""
    [voucher] = topics.ids("vouchers.v1", voucher_pb2.VoucherIssued)
    assert len(topics.ids("vouchers.v1", voucher_pb2.VoucherReversed)) == 1
    assert len({m.body.SerializeToString() for m in topics.of("vouchers.v1", voucher_pb2.VoucherIssued)}) == 1
    row = await book.get(voucher)
    states = ["proposed", "reserved", "published", "redeemable", "reversing", "reversed"]
    assert [change.state for change in row.history] == states
    told = {m.body.version: m.body.state for m in topics.of("ledger.v1")}  # type: ignore[attr-defined]
    assert sorted(told)[-1] == row.version
    books = await book.books(accounts_of(POLICIES, row, ORDER, NOW))
    assert (set(books.spent.values()), books.paid_for_order) == ({0}, 0)
    assert all(not claims.days for claims in books.claims.values())
    assert await book.unpublished(NOW + timedelta(days=1)) == []
