"""The life of a ledger row: which state may follow which, and what a receipt of the loyalty system does. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from services.sla.compensation.model import LEDGER, Actor, Change, LedgerRow, State

# compensation.md, "Ledger". What isn't here can't happen.
TRANSITIONS: Mapping[State, frozenset[State]] = {
    # Again held: for another reason than before.
    "proposed": frozenset({"reserved", "held", "skipped"}),
    # proposed: its order has become known. held: the first of two people has approved.
    "held": frozenset({"held", "approved", "denied", "proposed", "skipped"}),
    "approved": frozenset({"reserved", "held", "skipped"}),
    # Receipts may arrive before a crashed worker has written that it published.
    "reserved": frozenset({"published", "redeemable", "redeemed", "rejected"}),
    "published": frozenset({"redeemable", "redeemed", "rejected", "reversing"}),
    "redeemable": frozenset({"redeemed", "rejected", "reversing"}),
    # Back to where it was if the loyalty system refuses.
    "reversing": frozenset({"reversed", "published", "redeemable", "redeemed", "rejected"}),
    "redeemed": frozenset(),
    "rejected": frozenset(),
    "reversed": frozenset(),
    "denied": frozenset(),
    "skipped": frozenset(),
}
# The money is out of its budgets.
CHARGED: frozenset[State] = frozenset({"reserved", "published", "redeemable", "redeemed", "reversing"})
# A voucher with this id is on vouchers.v1.
ISSUED: frozenset[State] = frozenset({"published", "redeemable", "redeemed", "rejected", "reversing", "reversed"})
# A person decides.
OPEN: frozenset[State] = frozenset({"proposed", "held", "approved"})

Receipt = Literal["redeemable", "redeemed", "rejected", "reversal_done", "reversal_refused"]


def moved(
    row: LedgerRow,
    to: State,
    at: datetime,
    *,
    outcome: str = "",
    actor: Actor = LEDGER,
    why: str = "",
    key: str = "",
    **values: Any,
) -> LedgerRow:
    """The row one version on, with the change in its history. Raises ValueError for a step the table doesn't know."""
    if to not in TRANSITIONS[row.state]:
        raise ValueError(f"a row doesn't go from {row.state} to {to}")
    change = Change(at, to, outcome, actor, why, key)
    return replace(
        row,
        state=to,
        outcome=outcome,
        updated_at=at,
        version=row.version + 1,
        history=(*row.history, change),
        **values,
    )


@dataclass(frozen=True)
class Told:
    """What a receipt does: the row after it (None: nothing new), or what it contradicts."""

    row: LedgerRow | None = None
    contradiction: str = ""


_ISSUER = Actor("system", "loyalty")
# Receipt → the state it brings, from the states in which it is news. Elsewhere it is old or a repeat, unless it
# contradicts what the loyalty system said before.
_BRINGS: Mapping[Receipt, tuple[State, frozenset[State]]] = {
    "redeemable": ("redeemable", frozenset({"reserved", "published"})),
    "redeemed": ("redeemed", frozenset({"reserved", "published", "redeemable", "reversing"})),
    "rejected": ("rejected", frozenset({"reserved", "published", "redeemable", "reversing"})),
    "reversal_done": ("reversed", frozenset({"reversing"})),
}
_CONTRADICTS: Mapping[Receipt, frozenset[State]] = {
    "redeemable": frozenset({"proposed", "held", "approved", "denied", "skipped"}),
    "redeemed": frozenset({"proposed", "held", "approved", "denied", "skipped", "rejected", "reversed"}),
    "rejected": frozenset({"proposed", "held", "approved", "denied", "skipped", "redeemed"}),
    "reversal_done": frozenset(TRANSITIONS) - {"reversing", "reversed", "rejected"},
    "reversal_refused": frozenset({"proposed", "held", "approved", "denied", "skipped", "reversed"}),
}


def told(row: LedgerRow, receipt: Receipt, at: datetime, why: str = "") -> Told:
    """What the loyalty system's answer makes of a row. Receipts may come twice, late, and in another order.

    A refused reversal leaves the customer the voucher: the row returns to what it was. A voucher redeemed while its
    reversal is under way is redeemed; the refusal that follows says nothing new.
    """
    if receipt == "reversal_refused" and row.state == "reversing":
        back = row.before_reversal or "published"
        return Told(moved(row, back, at, outcome="reversal_refused", actor=_ISSUER, why=why, before_reversal=None))
    if receipt == "redeemable" and row.state == "reversing" and row.before_reversal == "published":
        # It crossed with our reversal; a refusal then leaves it redeemable.
        change = Change(at, "reversing", row.outcome, _ISSUER, "redeemable")
        return Told(
            replace(
                row,
                before_reversal="redeemable",
                version=row.version + 1,
                updated_at=at,
                history=(*row.history, change),
            )
        )
    if receipt in _BRINGS and row.state in _BRINGS[receipt][1]:
        return Told(moved(row, _BRINGS[receipt][0], at, outcome=receipt, actor=_ISSUER, why=why))
    if row.state in _CONTRADICTS[receipt]:
        return Told(contradiction=f"{receipt} of a row that is {row.state}")
    return Told()
