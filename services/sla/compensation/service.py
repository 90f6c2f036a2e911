"""gRPC of compensation: what people ask, decide and read."""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from common.errors import Conflict, FieldProblem, Invalid, NotFound, Refused, StaleVersion
from common.ids import deterministic_id
from common.words import word_of
from gen.pingxi.v1 import common_pb2, compensation_pb2, compensation_pb2_grpc
from gen.pingxi.v1.common_pb2 import Money
from rules import number
from rules.model import Instrument, PolicySet, TriggerKind
from services.sla.compensation.audit import Audit
from services.sla.compensation.decisions import Call, approve, deny, reverse
from services.sla.compensation.ledger import Ledger
from services.sla.compensation.ledger_rows import row_to_proto
from services.sla.compensation.model import LedgerRow, Request
from services.sla.compensation.ports import Asked, LedgerBook
from services.sla.compensation.reconcile import Totals
from services.sla.compensation.rules import matching_rule
from services.sla.compensation.wire import actor_from_proto, fault_from_proto, fault_to_proto

_PAGE = 50
_PAGE_MAX = 500
_TEXT_MAX = 200
_REASON = re.compile("[a-z][a-z0-9_]{0,39}")
Decision = compensation_pb2.ApproveRequest | compensation_pb2.RejectRequest | compensation_pb2.ReverseRequest


class CompensationServicer(compensation_pb2_grpc.CompensationServiceServicer):
    """Every call answers from the ledger itself, whichever worker is asked."""

    def __init__(self, ledger: Ledger, book: LedgerBook, audit: Audit) -> None:
        self._ledger = ledger
        self._book = book
        self._audit = audit

    async def Propose(self, request: compensation_pb2.ProposeRequest, context: Any) -> compensation_pb2.ProposeResponse:
        """A person asks; the row as the checks left it: reserved or published, or held with the reason."""
        policies = self._ledger.policies_of(request.brand)
        if policies is None:
            raise Invalid([FieldProblem("brand", "is unknown")])
        wanted = _proposal(request, policies, self._ledger.now())
        known = await self._book.by_request(wanted.id)
        if known is not None and not _same(known, wanted):
            raise Conflict("this idempotency key was used for another proposal")
        row = known or await self._ledger.request(wanted)
        if row is None:
            raise Refused("no rule of the brand's standard speaks of this")
        return compensation_pb2.ProposeResponse(row=row_to_proto(await self._settled(row)))

    async def Approve(self, request: compensation_pb2.ApproveRequest, context: Any) -> compensation_pb2.ApproveResponse:
        """The row after it was settled; held still where a second person has to approve."""

        def decide(row: LedgerRow, call: Call) -> LedgerRow | None:
            policies = self._ledger.policies_of(row.brand)
            if policies is None:
                raise Refused("the row's brand has no policies")
            return approve(row, call, policies.compensation.limits)

        row = await self._decide(request, decide)
        return compensation_pb2.ApproveResponse(row=row_to_proto(await self._settled(row)))

    async def Reject(self, request: compensation_pb2.RejectRequest, context: Any) -> compensation_pb2.RejectResponse:
        """A held row is denied."""
        return compensation_pb2.RejectResponse(row=row_to_proto(await self._decide(request, deny)))

    async def Reverse(self, request: compensation_pb2.ReverseRequest, context: Any) -> compensation_pb2.ReverseResponse:
        """A voucher is asked back; the loyalty system's answer decides."""
        return compensation_pb2.ReverseResponse(row=row_to_proto(await self._decide(request, reverse)))

    async def GetLedger(
        self, request: compensation_pb2.GetLedgerRequest, context: Any
    ) -> compensation_pb2.GetLedgerResponse:
        """Rows, newest first; one by its id, or those of a ticket, an order, a brand, of some states."""
        if request.ledger_id:
            row = await self._book.get(request.ledger_id)
            if row is None:
                raise NotFound("no such row of the ledger")
            return compensation_pb2.GetLedgerResponse(rows=[row_to_proto(row)])
        if not 0 <= request.page_size <= _PAGE_MAX:
            raise Invalid([FieldProblem("page_size", f"expected 1 to {_PAGE_MAX}")])
        size = request.page_size or _PAGE
        words = [word_of(compensation_pb2.LedgerState.DESCRIPTOR, state) for state in request.states]
        asked = Asked(
            brand=request.brand,
            ticket_id=_ticket(request.ticket_id),
            order_id=request.order_id,
            states=tuple(words),  # type: ignore[arg-type]  # the enum's words
            after=_position(request.page_token),
        )
        rows = await self._book.find(asked, size + 1)
        token = _token(rows[size - 1]) if len(rows) > size else ""
        return compensation_pb2.GetLedgerResponse(rows=map(row_to_proto, rows[:size]), next_page_token=token)

    async def Reconcile(
        self, request: compensation_pb2.ReconcileRequest, context: Any
    ) -> compensation_pb2.ReconcileResponse:
        """What was published on a day, and what became of it, to the cent."""
        policies = self._ledger.policies_of(request.brand)
        if policies is None:
            raise Invalid([FieldProblem("brand", "is unknown")])
        try:
            day = datetime.strptime(request.day, "%Y-%m-%d").date()  # noqa: DTZ007  a date of the brand's zone
        except ValueError:
            raise Invalid([FieldProblem("day", "expected YYYY-MM-DD")]) from None
        totals = await self._audit.day(policies, day)
        return _answer(request, policies.compensation.limits.currency, totals)

    async def _settled(self, row: LedgerRow) -> LedgerRow:
        if row.state in ("proposed", "approved") and row.settle_at <= self._ledger.now():
            await self._ledger.settle_row(row)
        return await self._book.get(row.id) or row

    async def _decide(self, request: Decision, decide: Callable[[LedgerRow, Call], LedgerRow | None]) -> LedgerRow:
        actor = actor_from_proto(request.actor)
        problems = []
        if not request.ledger_id:
            problems.append(FieldProblem("ledger_id", "is needed"))
        if not actor.id or len(actor.id) > _TEXT_MAX:
            problems.append(FieldProblem("actor.id", f"expected 1 to {_TEXT_MAX} characters"))
        if request.expected_version < 0:
            problems.append(FieldProblem("expected_version", "is negative"))
        problems += _too_long("idempotency_key", request.idempotency_key) + _too_long("comment", request.comment)
        if problems:
            raise Invalid(problems)
        for _ in range(5):
            row = await self._book.get(request.ledger_id)
            if row is None:
                raise NotFound("no such row of the ledger")
            at = max(self._ledger.now(), row.updated_at + timedelta(milliseconds=1))
            call = Call(actor, request.expected_version, request.idempotency_key, request.comment, at)
            after = decide(row, call)
            if after is None:
                return row
            if await self._book.change(after):
                await self._ledger.publish(after)
                return after
        raise StaleVersion("the row changes faster than this can follow")


def _proposal(request: compensation_pb2.ProposeRequest, policies: PolicySet, now: datetime) -> Request:
    """Raises Invalid with every wrong field."""
    actor = actor_from_proto(request.actor)
    problems = []
    if actor.kind not in ("agent", "supervisor"):
        problems.append(FieldProblem("actor.kind", "expected an agent or a supervisor"))
    if not actor.id or len(actor.id) > _TEXT_MAX:
        problems.append(FieldProblem("actor.id", f"expected 1 to {_TEXT_MAX} characters"))
    if not request.ticket_id and not request.order_id:
        problems.append(FieldProblem("order_id", "an order or a ticket is needed"))
    if not request.customer_id:
        problems.append(FieldProblem("customer_id", "is needed"))
    for field in ("order_id", "customer_id", "item", "idempotency_key"):
        problems += _too_long(field, getattr(request, field))
    if request.ticket_id and number.parse(request.ticket_id) is None:
        problems.append(FieldProblem("ticket_id", "expected a ticket number"))
    if request.reason and not _REASON.fullmatch(request.reason):
        problems.append(FieldProblem("reason", "expected a code of a-z, 0-9 and _ of at most 40 characters"))
    suggestion = request.reason in {
        rule.reason for rule in policies.compensation.rules if rule.trigger.kind is TriggerKind.SUGGESTION
    }
    wanted = Request(
        id=deterministic_id("proposal", request.brand, request.idempotency_key or uuid4().hex),
        brand=request.brand,
        trigger=TriggerKind.SUGGESTION if suggestion else TriggerKind.RESOLUTION,
        ticket_id=_ticket(request.ticket_id) if not problems else "",
        order_id=request.order_id,
        customer_id=request.customer_id,
        customer_ref=request.customer_id,
        metric=None,
        priority=None,
        sla_policy="",
        red=False,
        at=now,
        reason=request.reason,
        item=request.item,
        amount_minor=request.amount.amount_minor,
        currency=request.amount.currency,
        fault=fault_from_proto(request.fault_party),
        person=actor,
    )
    rule = matching_rule(policies, wanted)
    if rule is not None and rule.instrument is Instrument.VOUCHER and rule.agent_chooses:
        if request.amount.currency != rule.currency:
            problems.append(FieldProblem("amount.currency", f"expected {rule.currency}"))
        if not 0 < request.amount.amount_minor <= rule.amount:
            problems.append(FieldProblem("amount.amount_minor", f"expected 1 to {rule.amount}"))
    if problems:
        raise Invalid(problems)
    return wanted


def _same(row: LedgerRow, wanted: Request) -> bool:
    return (
        (row.ticket_id, row.order_id, row.item, row.customer_id)
        == (wanted.ticket_id, wanted.order_id, wanted.item, wanted.customer_id)
        and (row.points > 0 or row.entitled_minor == wanted.amount_minor)
        and row.reason == (wanted.reason or row.reason)
    )


def _too_long(field: str, value: str) -> list[FieldProblem]:
    return [FieldProblem(field, f"has more than {_TEXT_MAX} characters")] if len(value) > _TEXT_MAX else []


def _ticket(text: str) -> str:
    if not text:
        return ""
    found = number.parse(text)
    if found is None:
        raise Invalid([FieldProblem("ticket_id", "expected a ticket number")])
    return found


def _token(row: LedgerRow) -> str:
    return base64.urlsafe_b64encode(f"{row.proposed_at.isoformat()} {row.id}".encode()).decode()


def _position(token: str) -> tuple[datetime, str] | None:
    if not token:
        return None
    try:
        at, _, last = base64.urlsafe_b64decode(token.encode()).decode().partition(" ")
        instant = datetime.fromisoformat(at)
    except (binascii.Error, ValueError):
        raise Invalid([FieldProblem("page_token", "isn't one of ours")]) from None
    if instant.tzinfo is None or not last:
        raise Invalid([FieldProblem("page_token", "isn't one of ours")])
    return instant, last


def _answer(
    request: compensation_pb2.ReconcileRequest, currency: str, totals: Totals
) -> compensation_pb2.ReconcileResponse:
    def money(amount: int) -> common_pb2.Money:
        return Money(currency=currency, amount_minor=amount)

    return compensation_pb2.ReconcileResponse(
        brand=request.brand,
        day=request.day,
        published=money(totals.published),
        redeemable=money(totals.redeemable),
        redeemed=money(totals.redeemed),
        rejected=money(totals.rejected),
        reversed=money(totals.reversed),
        pending=money(totals.pending),
        difference=money(totals.difference),
        by_fault=[
            compensation_pb2.FaultShare(fault_party=fault_to_proto(fault), amount=money(amount))
            for fault, amount in totals.by_fault
        ],
        unmatched=totals.unmatched[:100],
        vouchers=totals.vouchers,
    )
