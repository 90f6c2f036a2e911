"""Carries compensation out: request → proposed → (settled) reserved → published → what the loyalty system answers.

Each step may be the last before a crash, and each can be repeated: rows change by compare-and-set, a promise has the
ledger's id however often it is made, and a row whose change isn't on the topics says so until it is.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from heapq import heappop, heappush

from common import metrics
from common.clock import Clock
from common.errors import Poison, Unavailable
from common.events import Incoming
from common.gather import gather_bounded
from common.publisher import Publisher
from gen.pingxi.v1.compensation_pb2 import CompensationRequested, CompensationWithdrawn
from rules.model import Instrument, PolicySet, TriggerKind
from services.sla.compensation.accounts import Accounts, Books, accounts_of
from services.sla.compensation.checks import Hold, Reserve, Skip, Verdict, judge
from services.sla.compensation.keys import AT_ONCE, in_order_of_keys
from services.sla.compensation.ledger_rows import ledger_event_of
from services.sla.compensation.model import LedgerRow, Request
from services.sla.compensation.ports import LedgerBook
from services.sla.compensation.rules import ledger_id, matching_rule, propose
from services.sla.compensation.states import OPEN, moved
from services.sla.compensation.wire import promise_of, request_of, reversal_of
from services.sla.order_facts import OrderBook, OrderFacts

log = logging.getLogger(__name__)

# How often the reconciler looks for what a crash or another worker left, and how old that is by then: younger rows are
# in somebody's hands.
RECONCILE_EVERY = 2.0
LEFT_BEHIND = timedelta(seconds=2)


class Ledger:
    """Decides requests and settles what is due."""

    def __init__(
        self,
        book: LedgerBook,
        orders: OrderBook,
        publisher: Publisher,
        clock: Clock,
        policies: Mapping[str, PolicySet],
    ) -> None:
        self._book = book
        self._orders = orders
        self._publisher = publisher
        self._clock = clock
        self._policies = policies
        self._wake = asyncio.Event()
        # What this worker is to settle, and when; the rest is found by the reconciler.
        self._due: list[tuple[datetime, str]] = []
        self._turns: dict[str, asyncio.Lock] = {}

    def now(self) -> datetime:
        """The present, as the database keeps it: in milliseconds."""
        return _milliseconds(self._clock.now())

    def policies_of(self, brand: str) -> PolicySet | None:
        """The brand's policies in force."""
        return self._policies.get(brand)

    # What is asked

    async def handle(self, messages: Sequence[Incoming]) -> None:
        """Requests and withdrawals, those of one order or ticket in order. Raises Unavailable, Poison."""
        await in_order_of_keys(messages, self._asked)

    async def _asked(self, message: Incoming) -> None:
        match message.body:
            case CompensationRequested():
                await self.request(request_of(message.body))
            case CompensationWithdrawn():
                await self._withdraw(message.body.request_id)
            case _:
                raise Poison("unknown_type", message.type)

    async def request(self, request: Request) -> LedgerRow | None:
        """The row of a request, new or known; None where no rule speaks of it. Raises Unavailable, Poison.

        The row is in `ledger.v1` before this returns: what is committed after it survives the loss of the database.
        """
        policies = self._policies.get(request.brand)
        if policies is None:
            raise Poison("unknown_brand", request.brand[:40])
        request = replace(request, at=_milliseconds(request.at), late=await self._lateness(request))
        while (known := await self._book.by_request(request.id)) is None:
            rule = matching_rule(policies, request)
            if rule is None:
                metrics.vouchers.labels(request.trigger.value, "no_rule").inc()
                return None
            taken: list[LedgerRow] = []
            while (other := await self._book.get(ledger_id(request, rule, len(taken) + 1))) is not None:
                taken.append(other)
            try:
                row = propose(policies, request, taken)
            except ValueError as error:
                raise Poison("wrong_currency", str(error)) from error
            if row is not None and await self._book.insert(row):
                metrics.vouchers.labels(row.reason, row.outcome or row.state).inc()
                await self.tell(row)
                known = row
                break
        else:
            # Whoever wrote it may have died before telling the log, and its offset may be committed after this.
            await self._publisher.publish(ledger_event_of(known))
        heappush(self._due, (known.settle_at, known.id))
        self._wake.set()
        return known

    async def _lateness(self, request: Request) -> timedelta | None:
        if request.trigger is not TriggerKind.ORDER_LATE or request.late is not None:
            return request.late
        facts = await self._orders.get(request.brand, request.order_id)
        return request.at - facts.promised_at if facts is not None and facts.promised_at is not None else None

    async def _withdraw(self, request_id: str) -> None:
        """Takes back what isn't settled yet; a settled row stays with the customer, and is counted."""
        while (row := await self._book.by_request(request_id)) is not None and row.state in OPEN:
            after = moved(row, "skipped", self.now(), outcome="withdrawn")
            if await self._book.change(after):
                await self.tell(after)
                metrics.vouchers.labels("withdrawal", "withdrawn").inc()
                return
        metrics.vouchers.labels("withdrawal", "unknown" if row is None else "settled").inc()

    async def learnt(self, orders: Sequence[OrderFacts]) -> None:
        """These orders have become known: what was held for want of them is judged again. Raises Unavailable."""
        by_brand: dict[str, set[str]] = {}
        for facts in orders:
            by_brand.setdefault(facts.brand, set()).add(facts.order_id)
        for brand, ids in by_brand.items():
            for row in await self._book.waiting_for(brand, sorted(ids)):
                await self._release(row)

    async def _release(self, row: LedgerRow) -> None:
        now = self.now()
        after = moved(row, "proposed", now, outcome="order_known", settle_at=max(row.settle_at, now))
        if await self._book.change(after):
            heappush(self._due, (after.settle_at, after.id))
            self._wake.set()

    # What is due

    async def run(self) -> None:
        """Settles and publishes until cancelled; what fails is tried again from the ledger."""
        reconcile_at = self._clock.monotonic()
        while True:
            try:
                if self._due and self._due[0][0] <= self._clock.now():
                    await self._settle_own()
                if self._clock.monotonic() >= reconcile_at:
                    reconcile_at = self._clock.monotonic() + RECONCILE_EVERY
                    await self._settle_left_behind()
            except Unavailable as error:
                log.warning("settling waits", extra={"reason": str(error)})
            wait = reconcile_at - self._clock.monotonic()
            if self._due:
                wait = min(wait, (self._due[0][0] - self._clock.now()).total_seconds())
            try:
                await asyncio.wait_for(self._wake.wait(), max(0.0, wait))
            except TimeoutError:
                continue
            self._wake.clear()

    async def settle(self) -> None:
        """Everything that is due now, and what others left behind. Raises Unavailable; what was done stays done."""
        await self._settle_own()
        await self._settle_left_behind()

    async def _settle_own(self) -> None:
        """What this worker was asked for; where it fails, the reconciler finds it."""

        async def one(ledger_id: str) -> None:
            row = await self._book.get(ledger_id)
            if row is not None and row.state in ("proposed", "approved") and row.brand in self._policies:
                await self.settle_row(row)

        while ids := self._due_ids():
            await gather_bounded(AT_ONCE, [one(ledger_id) for ledger_id in ids])

    def _due_ids(self) -> list[str]:
        now, ids = self._clock.now(), []
        while self._due and self._due[0][0] <= now:
            ids.append(heappop(self._due)[1])
        return list(dict.fromkeys(ids))

    async def _settle_left_behind(self) -> None:
        seen: set[tuple[str, int]] = set()
        before = self.now() - LEFT_BEHIND
        while rows := _fresh(await self._book.due(before), seen):
            await gather_bounded(AT_ONCE, [self.settle_row(row) for row in rows if row.brand in self._policies])
        while rows := _fresh(await self._book.unpublished(before), seen):
            await gather_bounded(AT_ONCE, [self.publish(row) for row in rows])

    async def settle_row(self, row: LedgerRow) -> None:
        """Judges a row and carries the verdict out. Raises Unavailable."""
        policies = self._policies[row.brand]
        facts = await self._orders.get(row.brand, row.order_id) if row.order_id else None
        # All of a brand's rows are paid from one budget: side by side they would only get into each other's way.
        async with self._turns.setdefault(row.brand, asyncio.Lock()):
            after = await self._judged(policies, row, facts)
        if after is None:
            return
        metrics.vouchers.labels(after.reason, after.outcome or after.state).inc()
        await self.publish(after)
        if after.outcome == "order_unknown" and await self._orders.get(row.brand, row.order_id) is not None:
            # The facts came between the judgement and the hold; whoever wrote them saw nothing to release.
            await self._release(after)

    async def _judged(self, policies: PolicySet, row: LedgerRow, facts: OrderFacts | None) -> LedgerRow | None:
        """The row with its verdict, written; None where somebody else was first."""
        limits = policies.compensation.limits
        while True:
            now = self.now()
            accounts = accounts_of(policies, row, facts, now)
            books = await self._books(policies, row, facts, accounts, now)
            verdict = judge(policies, row, facts, books, now)
            after = _after(row, verdict, limits.shadow, now)
            if not isinstance(verdict, Reserve):
                return after if await self._book.change(after) else None
            outcome = await self._book.reserve(after, accounts, books, limits.cap_days)
            if outcome == "gone":
                return None
            if outcome == "reserved":
                for budget in accounts.budgets[:1]:
                    left = budget.limit - books.spent.get(budget.id, 0) - after.amount_minor
                    metrics.voucher_budget_remaining_minor.labels(row.brand).set(left)
                return after

    async def _books(
        self, policies: PolicySet, row: LedgerRow, facts: OrderFacts | None, accounts: Accounts, now: datetime
    ) -> Books:
        if row.instrument is Instrument.POINTS:
            return Books()
        books = await self._book.books(accounts)
        if facts is None:
            return books
        since = now - timedelta(days=policies.compensation.limits.cap_days)
        count = await self._orders.count_of(row.brand, facts.identity_hashes, facts.customer_id, since)
        return replace(books, orders=count)

    # What is told

    async def publish(self, row: LedgerRow) -> None:
        """The row's last change on the topics: the row first, then what it promises or takes back, so that nothing is
        promised that the log doesn't know. Raises Unavailable."""
        if row.state == "reserved":
            policies = self._policies.get(row.brand)
            if policies is None or not policies.compensation.limits.enabled:
                # The kill switch: reserved it stays, until it is switched on again.
                return
            await self._publisher.publish(ledger_event_of(row))
            await self._publisher.publish(promise_of(row))
            after = moved(row, "published", self.now(), outcome="issued")
            if not await self._book.change(after):
                # Somebody else carried it on.
                return
            metrics.voucher_amount_minor.labels(row.reason).inc(row.amount_minor)
            row = after
        elif row.state == "reversing":
            await self._publisher.publish(ledger_event_of(row))
            await self._publisher.publish(reversal_of(row))
            await self._book.published(row)
            return
        await self.tell(row)

    async def tell(self, row: LedgerRow) -> None:
        """The row is in the log, and says so. Raises Unavailable."""
        await self._publisher.publish(ledger_event_of(row))
        await self._book.published(row)


def _milliseconds(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _fresh(rows: Sequence[LedgerRow], seen: set[tuple[str, int]]) -> list[LedgerRow]:
    """Rows not met in this round: what can't be carried on now doesn't keep us from the rest."""
    fresh = [row for row in rows if (row.id, row.version) not in seen]
    seen |= {(row.id, row.version) for row in fresh}
    return fresh


def _after(row: LedgerRow, verdict: Verdict, shadow: bool, now: datetime) -> LedgerRow:
    """The row the verdict makes. In shadow mode every decision is recorded, and none is carried out."""
    evidence = (*row.evidence, *verdict.evidence)
    match verdict:
        case Skip():
            return moved(row, "skipped", now, outcome=verdict.reason, evidence=evidence)
        case Hold() if shadow:
            evidence = (*evidence, f"would be held: {verdict.reason}")
            return moved(row, "skipped", now, outcome="shadow", evidence=evidence)
        case Hold():
            return moved(row, "held", now, outcome=verdict.reason, evidence=evidence, approvals=())
        case Reserve():
            return moved(
                row,
                "skipped" if shadow else "reserved",
                now,
                outcome="shadow" if shadow else "",
                evidence=evidence,
                amount_minor=verdict.amount_minor,
                customer_id=verdict.customer_id,
                merchant_id=verdict.merchant_id,
                fault=verdict.fault,
                charges=verdict.accounts.charges,
                issued_at=None if shadow else now,
            )
