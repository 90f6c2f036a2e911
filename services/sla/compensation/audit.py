"""Reconciles days: reads vouchers.v1, then the ledger, and says where they differ."""

import logging
from collections.abc import Mapping
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from common import metrics
from common.clock import Clock
from common.errors import Unavailable
from common.words import from_timestamp
from gen.pingxi.v1.voucher_pb2 import VoucherIssued
from rules.model import PolicySet
from services.sla.compensation.ports import LedgerBook
from services.sla.compensation.reconcile import Totals, bounds, reconcile
from services.sla.history import read_history

log = logging.getLogger(__name__)
EVERY = 3600.0
FIRST_AFTER = 60.0
# A voucher the loyalty system hasn't answered for so long is worth a look.
UNANSWERED = timedelta(hours=1)


class Audit:
    """One brand and day at a time."""

    def __init__(
        self,
        bootstrap: str,
        topic_prefix: str,
        book: LedgerBook,
        clock: Clock,
        policies: Mapping[str, PolicySet],
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = f"{topic_prefix}vouchers.v1"
        self._book = book
        self._clock = clock
        self._policies = policies

    async def day(self, policies: PolicySet, day: date) -> Totals:
        """The account of a local day. Raises Unavailable."""
        brand = policies.brand.key
        start, end = bounds(day, policies.brand.time_zone)
        as_of = self._clock.now()
        promised: dict[str, int] = {}
        async for batch in read_history(self._bootstrap, self._topic, [VoucherIssued], start):
            for message in batch.messages:
                body = message.body
                assert isinstance(body, VoucherIssued)
                at = from_timestamp(body.issued_at)
                if body.brand == brand and at is not None and start <= at < end:
                    promised[body.voucher_id] = body.amount.amount_minor
        return reconcile(promised, await self._book.issued(brand, start, end), as_of)

    async def run(self) -> None:
        """Today and yesterday of every brand, every hour, until cancelled: a difference is logged as an error, and in
        `pingxi_reconciliation_difference_minor` for the alert."""
        wait = FIRST_AFTER
        while True:
            await self._clock.sleep(wait)
            wait = EVERY
            for policies in list(self._policies.values()):
                try:
                    await self.check(policies)
                except Unavailable as error:
                    log.warning("reconciliation waits", extra={"reason": str(error)})

    async def check(self, policies: PolicySet) -> None:
        """The last two days of a brand into metrics and log. Raises Unavailable."""
        brand, now = policies.brand.key, self._clock.now()
        today = now.astimezone(ZoneInfo(policies.brand.time_zone)).date()
        for name, day in (("today", today), ("yesterday", today - timedelta(days=1))):
            totals = await self.day(policies, day)
            off = sum(1 for _ in totals.unmatched)
            metrics.reconciliation_difference_minor.labels(brand, name).set(totals.difference)
            metrics.reconciliation_unmatched.labels(brand, name).set(off)
            if totals.difference or off:
                log.error(
                    "vouchers and ledger differ",
                    extra={"brand": brand, "day": str(day), "difference": totals.difference, "count": off},
                )
        start, _ = bounds(today - timedelta(days=30), policies.brand.time_zone)
        rows = await self._book.issued(brand, start, now - UNANSWERED)
        waiting = sum(1 for row in rows if not row.points and row.state in ("published", "reversing"))
        metrics.vouchers_unanswered.labels(brand).set(waiting)
