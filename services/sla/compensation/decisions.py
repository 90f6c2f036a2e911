"""What people decide about ledger rows: approve, deny, reverse. Pure; the roles and the four eyes are here."""

from dataclasses import dataclass
from datetime import datetime

from common.errors import Conflict, PermissionDenied, Refused, StaleVersion
from rules.model import CompensationLimits
from services.sla.compensation.checks import approvals_needed
from services.sla.compensation.model import Actor, LedgerRow, State
from services.sla.compensation.states import TRANSITIONS, moved


@dataclass(frozen=True)
class Call:
    """Who asks, on which version of the row (0: whatever it is), under which idempotency key ("": none), and why."""

    actor: Actor
    expected_version: int
    key: str
    comment: str
    at: datetime


def approve(row: LedgerRow, call: Call, limits: CompensationLimits) -> LedgerRow | None:
    """Approved, or held with one approval more where two people have to; None for a repeat of the call.

    Raises PermissionDenied, StaleVersion, Refused, Conflict.
    """
    if _repeated(row, call, ("approved", "held")):
        return None
    _allowed(row, call, "approved")
    if row.requested_by is not None and row.requested_by.id == call.actor.id:
        raise PermissionDenied("who asked for it doesn't approve it")
    if call.actor.id in {actor.id for actor in row.approvals}:
        raise Refused("a second person has to approve it")
    approvals = (*row.approvals, call.actor)
    enough = len(approvals) >= max(1, approvals_needed(limits, row.entitled_minor))
    return moved(
        row,
        "approved" if enough else "held",
        call.at,
        outcome="" if enough else "needs_second_approval",
        actor=call.actor,
        why=call.comment,
        key=call.key,
        approvals=approvals,
        settle_at=call.at,
    )


def deny(row: LedgerRow, call: Call) -> LedgerRow | None:
    """Denied for good; None for a repeat of the call. Raises PermissionDenied, StaleVersion, Refused, Conflict."""
    if _repeated(row, call, ("denied",)):
        return None
    _allowed(row, call, "denied")
    return moved(row, "denied", call.at, outcome="denied", actor=call.actor, why=call.comment, key=call.key)


def reverse(row: LedgerRow, call: Call) -> LedgerRow | None:
    """On its way back; None for a repeat of the call. Raises PermissionDenied, StaleVersion, Refused, Conflict."""
    if _repeated(row, call, ("reversing",)):
        return None
    if row.points:
        raise Refused("points that were granted aren't taken back")
    _allowed(row, call, "reversing")
    return moved(
        row,
        "reversing",
        call.at,
        outcome="reversing",
        actor=call.actor,
        why=call.comment,
        key=call.key,
        before_reversal=row.state,
    )


def _repeated(row: LedgerRow, call: Call, states: tuple[State, ...]) -> bool:
    found = next((change for change in row.history if call.key and change.key == call.key), None)
    if found is not None and (found.state not in states or found.actor.id != call.actor.id):
        raise Conflict("this idempotency key was used for another decision")
    return found is not None


def _allowed(row: LedgerRow, call: Call, to: State) -> None:
    if call.actor.kind != "supervisor":
        raise PermissionDenied("a supervisor decides about compensation")
    if call.expected_version not in (0, row.version):
        raise StaleVersion(f"the row is at version {row.version}, not {call.expected_version}")
    if to not in TRANSITIONS[row.state]:
        raise Refused(f"a row that is {row.state} can't become {to}")
