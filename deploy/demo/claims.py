"""A claim that a person has to look at, what the loyalty system answers, and the account of the day."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from common.clock import Clock
from deploy.demo.day import BRAND
from deploy.demo.orders import Order
from deploy.demo.people import SUPERVISOR, bearer, patiently
from deploy.demo.sighting import GRPC, Sighting
from deploy.demo.story import Step, Story
from deploy.demo.watching import Queue
from gen.pingxi.v1 import common_pb2, compensation_pb2

AMOUNT_MINOR = 1200
ZONE = ZoneInfo("Asia/Shanghai")
AGENT = common_pb2.Actor(kind=common_pb2.Actor.KIND_AGENT, id="agent-zhou")
COMMENT = "同一家庭的账号，已回电核实"


def _held(story: Story, s: Sighting) -> str | None:
    if s.body.state != compensation_pb2.LEDGER_STATE_HELD or s.body.outcome != "not_the_customers_order":
        return None
    story.facts["ledger"] = s.body.ledger_id
    return f"held for a person, nothing is paid: {s.body.outcome} ({'; '.join(s.body.evidence)})"


def _approved(story: Story, s: Sighting) -> str | None:
    if s.body.state != compensation_pb2.LEDGER_STATE_APPROVED:
        return None
    return f"approved by {', '.join(actor.id for actor in s.body.approvals)}, who has seen the evidence"


def _voucher(story: Story, s: Sighting) -> str:
    story.facts["voucher"] = s.body.voucher_id
    return f"voucher over {_money(s.body.amount)} issued, reason {s.body.reason}"


def _redeemable(story: Story, s: Sighting) -> str:
    return "the loyalty system has it and says so: the customer can use it"


def _account(story: Story, s: Sighting) -> str | None:
    a = s.body
    if a.difference.amount_minor or not a.published.amount_minor:
        return None
    return (
        f"published {_money(a.published)} = {_money(a.redeemable)} redeemable + {_money(a.redeemed)} redeemed + "
        f"{_money(a.rejected)} rejected + {_money(a.reversed)} reversed + {_money(a.pending)} on the way"
    )


def _money(money: Any) -> str:
    return f"{money.currency} {money.amount_minor / 100:.2f}".strip()


CLAIM = (
    Step("claim held", "ledger.v1", "LedgerRow", _held),
    Step("claim approved", "ledger.v1", "LedgerRow", _approved),
    Step("voucher", "vouchers.v1", "VoucherIssued", _voucher),
    Step("redeemable", "voucher-receipts.v1", "VoucherRedeemable", _redeemable),
    Step("day's account", GRPC, "account", _account),
)


def claimed(sighting: Sighting, order: Order, ledger_id: str) -> Sighting:
    """A sighting that concerns the claim, under the number of its order: a receipt knows only the voucher."""
    mine = ledger_id and getattr(sighting.body, "voucher_id", "") == ledger_id
    return replace(sighting, ticket=order.id) if mine else sighting


class Claims:
    """An agent who asks for somebody, a supervisor who decides, and who closes the day's account.

    `compensation` is a stub of CompensationService.
    """

    def __init__(self, compensation: Any, service_key: str, clock: Clock, queue: Queue) -> None:
        self._stub = compensation
        self._metadata = bearer(service_key)
        self._clock = clock
        self._queue = queue

    async def ask(self, order: Order) -> None:
        """For a customer who isn't the one who ordered: suspicious, so it is held."""
        request = compensation_pb2.ProposeRequest(
            brand=BRAND,
            order_id=order.id,
            customer_id=f"{order.customer_id}-other",
            amount=common_pb2.Money(currency="CNY", amount_minor=AMOUNT_MINOR),
            reason="resolution",
            idempotency_key=f"demo-claim-{order.id}",
            actor=AGENT,
        )
        await self._call(self._stub.Propose, request)

    async def approve(self, ledger_id: str) -> None:
        """The supervisor has looked at the evidence."""
        request = compensation_pb2.ApproveRequest(
            ledger_id=ledger_id,
            idempotency_key=f"demo-approve-{ledger_id}",
            actor=SUPERVISOR,
            comment=COMMENT,
        )
        await self._call(self._stub.Approve, request)

    async def account(self, order: Order) -> None:
        """Asks for the day's account until nothing is on the way any more; that is the sighting."""
        day = datetime.astimezone(self._clock.now(), ZONE).date().isoformat()
        request = compensation_pb2.ReconcileRequest(brand=BRAND, day=day)
        while True:
            answer = await self._call(self._stub.Reconcile, request)
            if not answer.pending.amount_minor and not answer.difference.amount_minor:
                self._queue.put_nowait(Sighting(self._clock.now(), GRPC, "account", order.id, "account", answer))
                return
            await self._clock.sleep(0.5)

    async def _call(self, method: Any, request: Any) -> Any:
        return await patiently(lambda: method(request, metadata=self._metadata, timeout=10), self._clock)
