"""Carries compensation out: request → proposed → (settled) reserved → published, each step repeatable after a crash.

The event id never changes: it is the ledger id, which names brand, ticket or order, and reason.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from heapq import heappop, heappush

from common import metrics
from common.clock import Clock
from common.errors import Poison, Unavailable
from common.events import Incoming, Outgoing
from common.gather import gather_bounded
from common.ids import deterministic_id
from common.publisher import Publisher
from common.words import from_timestamp, number_of, to_timestamp
from gen.pingxi.v1.common_pb2 import Money
from gen.pingxi.v1.compensation_pb2 import (
    CompensationRequested,
    CompensationWithdrawn,
    LedgerState,
)
from gen.pingxi.v1.compensation_pb2 import (
    LedgerRow as LedgerRowProto,
)
from gen.pingxi.v1.voucher_pb2 import FaultParty, VoucherIssued
from rules.model import PolicySet, TriggerKind
from services.sla.compensation import LedgerRow, Request, budget_of, propose
from services.sla.store import LedgerStore
from wire.words import metric_from_proto, priority_from_proto

log = logging.getLogger(__name__)

# How often the reconciler looks for what a crash or another worker left.
RECONCILE_EVERY = 2.0
# Transactions under way at once.
AT_ONCE = 16


def request_of(message: CompensationRequested) -> Request:
    """Raises Poison where a field the decision depends on is missing."""
    at = from_timestamp(message.at)
    if at is None or not message.request_id or not message.brand:
        raise Poison("missing_field", "request_id, brand or at")
    try:
        trigger = TriggerKind(message.trigger)
    except ValueError as error:
        raise Poison("unknown_trigger", message.trigger[:40]) from error
    return Request(
        id=message.request_id,
        brand=message.brand,
        trigger=trigger,
        ticket_id=message.ticket_id,
        order_id=message.order_id,
        customer_id=message.customer_id,
        customer_ref=message.customer_ref,
        metric=metric_from_proto(message.metric),
        priority=priority_from_proto(message.priority),
        sla_policy=message.sla_policy,
        red=message.red,
        at=at,
    )


class Ledger:
    """Decides requests and settles what is due."""

    def __init__(
        self, store: LedgerStore, publisher: Publisher, clock: Clock, policies: Mapping[str, PolicySet]
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._policies = policies
        self._wake = asyncio.Event()
        # Instants at which something is to be settled; what isn't here is found by the reconciler.
        self._times: list[datetime] = []

    async def handle(self, messages: Sequence[Incoming]) -> None:
        """Requests and withdrawals, in order. Raises Unavailable, Poison."""
        for message in messages:
            match message.body:
                case CompensationRequested():
                    await self._request(request_of(message.body))
                case CompensationWithdrawn():
                    outcome = await self._store.withdraw(message.body.request_id, "withdrawn", self._clock.now())
                    metrics.vouchers.labels("withdrawal", outcome).inc()
                case _:
                    raise Poison("unknown_type", message.type)

    async def _request(self, request: Request) -> None:
        policies = self._policies.get(request.brand)
        if policies is None:
            raise Poison("unknown_brand", request.brand[:40])
        row = propose(policies, request)
        if row is None:
            metrics.vouchers.labels(request.trigger.value, "no_rule").inc()
            return
        if await self._store.insert(row):
            metrics.vouchers.labels(row.reason, row.state).inc()
        heappush(self._times, row.settle_at)
        self._wake.set()

    async def run(self) -> None:
        """Settles and publishes until cancelled; what fails is tried again from the ledger."""
        reconcile_at = self._clock.monotonic()
        while True:
            now = self._clock.now()
            if (self._times and self._times[0] <= now) or self._clock.monotonic() >= reconcile_at:
                while self._times and self._times[0] <= now:
                    heappop(self._times)
                reconcile_at = self._clock.monotonic() + RECONCILE_EVERY
                try:
                    await self.settle()
                except Unavailable as error:
                    log.warning("settling waits", extra={"reason": str(error)})
            wait = reconcile_at - self._clock.monotonic()
            if self._times:
                wait = min(wait, (self._times[0] - self._clock.now()).total_seconds())
            try:
                await asyncio.wait_for(self._wake.wait(), max(0.0, wait))
            except TimeoutError:
                continue
            self._wake.clear()

    async def settle(self) -> None:
        """Everything that is due now, some rows at a time. Raises Unavailable; what was done stays done."""
        while rows := await self._store.to_settle(self._clock.now()):
            await gather_bounded(AT_ONCE, [self._settle(row) for row in rows])
            known = [row for row in rows if row.brand in self._policies]
            if not known:
                break
        while rows := await self._store.unpublished():
            await gather_bounded(AT_ONCE, [self._publish(row) for row in rows])

    async def _settle(self, row: LedgerRow) -> None:
        policies = self._policies.get(row.brand)
        if policies is None:
            return
        now = self._clock.now()
        budget, limit = budget_of(policies, row)
        outcome = await self._store.reserve(row, budget, limit, now)
        if outcome == "no_budget":
            await self._store.change(row, "held", "budget_exhausted", now)
        metrics.vouchers.labels(row.reason, outcome).inc()
        if outcome == "reserved":
            metrics.voucher_budget_remaining_minor.labels(row.brand).set(limit - await self._store.spent(budget))
            await self._publish(replace(row, state="reserved", version=row.version + 1, updated_at=now))

    async def _publish(self, row: LedgerRow) -> None:
        """The row's last change on the topics; a voucher before the row says that it is published."""
        if row.state == "reserved":
            await self._publisher.publish(voucher_of(row))
            now = self._clock.now()
            if not await self._store.change(row, "published", "", now):
                # Somebody else carried it on.
                return
            metrics.voucher_amount_minor.labels(row.reason).inc(row.amount_minor)
            row = replace(row, state="published", outcome="", version=row.version + 1, updated_at=now)
        await self._publisher.publish(ledger_event_of(row))
        await self._store.clear_unpublished(row)


def voucher_of(row: LedgerRow) -> Outgoing:
    """The promise to pay once. Its id is the ledger's."""
    return Outgoing(
        topic="vouchers.v1",
        key=row.customer_id or row.customer_ref,
        id=row.id,
        subject=row.ticket_id or row.order_id,
        time=row.updated_at,
        body=VoucherIssued(
            voucher_id=row.id,
            brand=row.brand,
            customer_id=row.customer_id,
            customer_ref=row.customer_ref,
            ticket_id=row.ticket_id,
            order_id=row.order_id,
            amount=Money(currency=row.currency, amount_minor=row.amount_minor),
            reason=row.reason,
            fault_party=FaultParty.FAULT_PARTY_PLATFORM,
            issued_at=to_timestamp(row.updated_at),
            rule=row.rule,
            policy_hash=row.policy_hash,
        ),
        attributes={"reason": row.reason, "ticket": row.ticket_id},
    )


def ledger_event_of(row: LedgerRow) -> Outgoing:
    """A version of a ledger row, for the rebuild."""
    return Outgoing(
        topic="ledger.v1",
        key=row.id,
        id=deterministic_id("ledger-row", row.id, row.version),
        subject=row.ticket_id or row.order_id,
        time=row.updated_at,
        body=LedgerRowProto(
            ledger_id=row.id,
            state=LedgerState.ValueType(number_of(LedgerState.DESCRIPTOR, row.state)),
            brand=row.brand,
            ticket_id=row.ticket_id,
            order_id=row.order_id,
            customer_id=row.customer_id,
            customer_ref=row.customer_ref,
            amount=Money(currency=row.currency, amount_minor=row.amount_minor),
            reason=row.reason,
            outcome=row.outcome,
            rule=row.rule,
            policy_hash=row.policy_hash,
            fault_party=FaultParty.FAULT_PARTY_PLATFORM,
            proposed_at=to_timestamp(row.proposed_at),
            settle_at=to_timestamp(row.settle_at),
            updated_at=to_timestamp(row.updated_at),
            version=row.version,
            request_id=row.request_id,
        ),
    )
