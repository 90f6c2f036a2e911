"""What the loyalty system answers: voucher-receipts.v1 → states of the ledger."""

from collections.abc import Sequence

from common import metrics
from common.errors import Poison
from common.events import Incoming
from common.publisher import Publisher
from services.sla.compensation.keys import in_order_of_keys
from services.sla.compensation.ledger import Ledger
from services.sla.compensation.ledger_rows import ledger_event_of
from services.sla.compensation.ports import LedgerBook
from services.sla.compensation.states import told
from services.sla.compensation.wire import RECEIPTS


class Receipts:
    """Takes receipts; they may come twice, late, and in another order."""

    def __init__(self, ledger: Ledger, book: LedgerBook, publisher: Publisher) -> None:
        self._ledger = ledger
        self._book = book
        self._publisher = publisher

    async def handle(self, messages: Sequence[Incoming]) -> None:
        """The loyalty system's answers, those of one customer in order. Raises Unavailable, Poison."""
        await in_order_of_keys(messages, self._receipt)

    async def _receipt(self, message: Incoming) -> None:
        body, receipt = message.body, RECEIPTS.get(type(message.body))
        if receipt is None:
            raise Poison("unknown_type", message.type)
        voucher_id, why = body.voucher_id, str(getattr(body, "why", ""))  # type: ignore[attr-defined]  # by its type
        while True:
            row = await self._book.get(voucher_id)
            if row is None or row.points:
                raise Poison("unknown_voucher", voucher_id[:40])
            if body.brand != row.brand or body.customer_id not in ("", row.customer_id, row.customer_ref):  # type: ignore[attr-defined]
                raise Poison("receipt_mismatch", "brand or customer isn't the voucher's")
            # By our clock: the reconciler goes by it, and the loyalty system's may be wrong.
            answer = told(row, receipt, max(self._ledger.now(), row.updated_at), why[:200])
            if answer.contradiction:
                metrics.vouchers.labels(row.reason, "contradicted").inc()
                raise Poison("contradicting_receipt", answer.contradiction)
            if answer.row is None:
                # As with requests: it may have been taken by one who died before telling the log.
                await self._publisher.publish(ledger_event_of(row))
                return
            gives_back = answer.row.state in ("rejected", "reversed")
            if await (self._book.give_back(answer.row) if gives_back else self._book.change(answer.row)):
                metrics.vouchers.labels(row.reason, answer.row.outcome).inc()
                await self._ledger.tell(answer.row)
                return
