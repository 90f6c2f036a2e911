"""Ledger rows as messages of ledger.v1 and back, and rows made from vouchers the ledger lost."""

from collections.abc import Callable
from datetime import datetime
from typing import cast

from common.errors import Poison
from common.events import Outgoing
from common.ids import deterministic_id
from common.words import from_timestamp, to_timestamp, word_of
from gen.pingxi.v1 import compensation_pb2, voucher_pb2
from gen.pingxi.v1.common_pb2 import Money
from rules.model import TriggerKind
from services.sla.compensation.model import LEDGER, Change, Charges, LedgerRow, State
from services.sla.compensation.wire import (
    actor_from_proto,
    actor_to_proto,
    fault_from_proto,
    fault_to_proto,
    state_to_proto,
)

_STATE = compensation_pb2.LedgerState.DESCRIPTOR


def ledger_event_of(row: LedgerRow) -> Outgoing:
    """A version of a ledger row, for the rebuild."""
    return Outgoing(
        topic="ledger.v1",
        key=row.id,
        id=deterministic_id("ledger-row", row.id, row.version),
        subject=row.subject,
        time=row.updated_at,
        body=row_to_proto(row),
    )


def row_to_proto(row: LedgerRow) -> compensation_pb2.LedgerRow:
    """Everything of a row."""
    return compensation_pb2.LedgerRow(
        ledger_id=row.id,
        state=state_to_proto(row.state),
        brand=row.brand,
        ticket_id=row.ticket_id,
        order_id=row.order_id,
        customer_id=row.customer_id,
        customer_ref=row.customer_ref,
        amount=None if row.points else Money(currency=row.currency, amount_minor=row.amount_minor),
        reason=row.reason,
        outcome=row.outcome,
        rule=row.rule,
        policy_hash=row.policy_hash,
        fault_party=fault_to_proto(row.fault),
        proposed_at=to_timestamp(row.proposed_at),
        settle_at=to_timestamp(row.settle_at),
        updated_at=to_timestamp(row.updated_at),
        version=row.version,
        evidence=row.evidence,
        approvals=map(actor_to_proto, row.approvals),
        points=row.points,
        request_id=row.request_id,
        trigger=row.trigger.value,
        item=row.item,
        merchant_id=row.merchant_id,
        incident_id=row.incident_id,
        issued_at=to_timestamp(row.issued_at),
        charges=compensation_pb2.LedgerCharges(
            budgets=row.charges.budgets,
            identities=row.charges.identities,
            day=row.charges.day,
            order=row.charges.order,
        ),
        history=[
            compensation_pb2.LedgerChange(
                at=to_timestamp(change.at),
                state=state_to_proto(change.state),
                outcome=change.outcome,
                actor=actor_to_proto(change.actor),
                why=change.why,
                idempotency_key=change.key,
            )
            for change in row.history
        ],
        requested_by=actor_to_proto(row.requested_by) if row.requested_by else None,
        stack=row.stack,
        unknown_order_max=row.unknown_order_max,
        before_reversal=state_to_proto(row.before_reversal),
        entitled_minor=row.entitled_minor,
    )


def row_from_proto(message: compensation_pb2.LedgerRow) -> LedgerRow:
    """Reverse of `row_to_proto`. Raises Poison, ValueError for what no ledger wrote."""
    charges = message.charges
    return LedgerRow(
        id=_present(message.ledger_id, "ledger_id"),
        request_id=message.request_id,
        state=_state(message.state),
        brand=_present(message.brand, "brand"),
        # Rows of before the trigger was written are all of broken promises.
        trigger=TriggerKind(message.trigger or "sla_breach"),
        ticket_id=message.ticket_id,
        order_id=message.order_id,
        item=message.item,
        customer_id=message.customer_id,
        customer_ref=message.customer_ref,
        amount_minor=message.amount.amount_minor,
        entitled_minor=message.entitled_minor or message.amount.amount_minor,
        currency=message.amount.currency,
        points=message.points,
        reason=message.reason,
        rule=message.rule,
        outcome=message.outcome,
        policy_hash=message.policy_hash,
        fault=fault_from_proto(message.fault_party),
        merchant_id=message.merchant_id,
        incident_id=message.incident_id,
        stack=message.stack,
        unknown_order_max=message.unknown_order_max,
        requested_by=actor_from_proto(message.requested_by) if message.HasField("requested_by") else None,
        proposed_at=_instant(message.proposed_at, "proposed_at"),
        settle_at=_instant(message.settle_at, "settle_at"),
        updated_at=_instant(message.updated_at, "updated_at"),
        issued_at=from_timestamp(message.issued_at),
        version=message.version,
        evidence=tuple(message.evidence),
        approvals=tuple(map(actor_from_proto, message.approvals)),
        charges=Charges(tuple(charges.budgets), tuple(charges.identities), charges.day, charges.order),
        before_reversal=_state(message.before_reversal) if message.before_reversal else None,
        history=tuple(
            Change(
                _instant(change.at, "history.at"),
                _state(change.state),
                change.outcome,
                actor_from_proto(change.actor),
                change.why,
                change.idempotency_key,
            )
            for change in message.history
        ),
    )


def row_of_voucher(
    message: voucher_pb2.VoucherIssued | voucher_pb2.PointsGranted, day_of: Callable[[str, datetime], str]
) -> LedgerRow:
    """A row for a promise the ledger knows nothing of any more: paid, so that it is never paid again.

    It is charged to what a voucher tells: the brand's budget and the customer's caps of its day. Raises Poison.
    """
    points = isinstance(message, voucher_pb2.PointsGranted)
    at = from_timestamp(message.granted_at if isinstance(message, voucher_pb2.PointsGranted) else message.issued_at)
    if at is None:
        raise Poison("missing_field", "issued_at")
    voucher = None if isinstance(message, voucher_pb2.PointsGranted) else message
    amount = voucher.amount.amount_minor if voucher else 0
    day = day_of(message.brand, at)
    customer = message.customer_id or message.customer_ref
    charges = Charges((f"brand/{message.brand}/{day}",), (f"{message.brand}/customer:{customer}",), day)
    return LedgerRow(
        id=_present(message.grant_id if isinstance(message, voucher_pb2.PointsGranted) else message.voucher_id, "id"),
        request_id="",
        state="published",
        brand=message.brand,
        trigger=TriggerKind.SLA_BREACH,
        ticket_id=message.ticket_id,
        order_id=voucher.order_id if voucher else "",
        item="",
        customer_id=message.customer_id,
        customer_ref=message.customer_ref,
        amount_minor=amount,
        entitled_minor=amount,
        currency=voucher.amount.currency if voucher else "",
        points=message.points if isinstance(message, voucher_pb2.PointsGranted) else 0,
        reason=message.reason,
        rule=voucher.rule if voucher else "",
        outcome="rebuilt",
        policy_hash=voucher.policy_hash if voucher else "",
        fault=fault_from_proto(voucher.fault_party) if voucher else None,
        merchant_id="",
        incident_id="",
        stack=True,
        unknown_order_max=0,
        requested_by=None,
        proposed_at=at,
        settle_at=at,
        updated_at=at,
        issued_at=at,
        charges=Charges() if points else charges,
        history=(Change(at, "published", "rebuilt", LEDGER, "found on vouchers.v1"),),
    )


def _state(number: int) -> State:
    word = word_of(_STATE, number)
    if not word:
        raise Poison("unknown_state", str(number))
    return cast(State, word)


def _present(value: str, field: str) -> str:
    if not value:
        raise Poison("missing_field", field)
    return value


def _instant(stamp: object, field: str) -> datetime:
    at = from_timestamp(stamp)  # type: ignore[arg-type]
    if at is None:
        raise Poison("missing_field", field)
    return at
