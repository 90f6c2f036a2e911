"""Which rule speaks of a request, and the ledger row it proposes. Pure.

Source of the rules: `compensation.md` ("Triggers") and `mechanisms.md` ("Compensation").
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from common.ids import deterministic_id
from rules.model import CompensationRule, Fault, Instrument, PolicySet, TriggerKind
from services.sla.compensation.model import LEDGER, Change, LedgerRow, Request, State

# Triggers that are about a ticket even where its order is known: keyed by it.
_BY_TICKET = frozenset({TriggerKind.SLA_BREACH, TriggerKind.RATING, TriggerKind.SUGGESTION})
# Whose fault it is where neither request, rule nor the order's course says.
_FAULTS = {TriggerKind.SLA_BREACH: Fault.PLATFORM}


def matching_rule(policies: PolicySet, request: Request) -> CompensationRule | None:
    """The first rule whose trigger matches; empty parts of a trigger ask for nothing.

    An order whose lateness isn't said matches for now: it is judged by the order's facts (`checks.py`). What a person
    proposes may name its rule by the reason; a reason no rule has goes by the first rule of that kind.
    """
    matching = [rule for rule in policies.compensation.rules if _matches(rule, request)]
    named = [rule for rule in matching if request.reason and rule.reason == request.reason]
    return next(iter(named or matching), None)


def _matches(rule: CompensationRule, request: Request) -> bool:
    t = rule.trigger
    return (
        t.kind is request.trigger
        and (not t.metrics or request.metric in t.metrics)
        and (not t.priorities or request.priority in t.priorities)
        and (not t.policies or request.sla_policy in t.policies)
        and (t.red is None or t.red == request.red)
        and (t.score_at_least is None or request.score >= t.score_at_least)
        and late_enough(rule, request.late)
    )


def late_enough(rule: CompensationRule, late: timedelta | None, *, arrived: bool = False) -> bool:
    """Whether an order is late by more than the rule's bound; True where either isn't said.

    An order that is still on its way at the bound will be later than it.
    """
    bound = rule.trigger.late_over
    if bound is None or late is None:
        return True
    return late > bound if arrived else late >= bound


def ledger_id(request: Request, rule: CompensationRule, instance: int = 1) -> str:
    """The idempotency key: brand, order or ticket, item, reason, instance.

    Promises broken by us are keyed by ticket, and all metrics are one reason: at most one SLA voucher a ticket.
    Instances above 1 follow one that was withdrawn.
    """
    subject = request.ticket_id if request.trigger in _BY_TICKET or not request.order_id else request.order_id
    reason = "sla" if request.trigger is TriggerKind.SLA_BREACH else request.reason or rule.reason
    parts = [request.brand, subject, reason, instance, *([request.item] if request.item else [])]
    return deterministic_id("ledger", *parts)


def propose(policies: PolicySet, request: Request, taken: Iterable[LedgerRow] = ()) -> LedgerRow | None:
    """The row to write; None where no rule speaks of it, or where it is written already.

    `taken` are the rows with the ids of this request's instances, in their order. A row that was withdrawn makes room
    for the next instance. Any other means that this is compensated already: a rule's request is skipped for it, a
    person's is held for a second person to see. Raises ValueError for another currency than the rule's.
    """
    rule = matching_rule(policies, request)
    if rule is None:
        return None
    row = _row(policies, request, rule)
    withdrawn = 0
    for other in taken:
        if other.request_id == request.id:
            return None
        if (other.state, other.outcome) != ("skipped", "withdrawn"):
            return _already(row, other)
        withdrawn += 1
    return replace(row, id=ledger_id(request, rule, withdrawn + 1))


def _row(policies: PolicySet, request: Request, rule: CompensationRule) -> LedgerRow:
    voucher = rule.instrument is Instrument.VOUCHER
    amount = (request.amount_minor if rule.agent_chooses else rule.amount) if voucher else 0
    if voucher and rule.agent_chooses and request.currency and request.currency != rule.currency:
        raise ValueError(f"the rule pays {rule.currency}")
    if request.trigger is TriggerKind.SLA_BREACH and not request.order_id and voucher:
        amount = min(amount, rule.unknown_order_max)
    return LedgerRow(
        id="",
        request_id=request.id,
        state="proposed",
        brand=request.brand,
        trigger=request.trigger,
        ticket_id=request.ticket_id,
        order_id=request.order_id,
        item=request.item,
        customer_id=request.customer_id,
        customer_ref=request.customer_ref,
        amount_minor=amount,
        entitled_minor=amount,
        currency=rule.currency if voucher else "",
        points=0 if voucher else rule.amount,
        reason=request.reason or rule.reason if request.person else rule.reason,
        rule=rule.name,
        outcome="",
        policy_hash=policies.hash,
        fault=request.fault or rule.fault or _FAULTS.get(request.trigger),
        merchant_id="",
        incident_id=request.cause_id if request.trigger is TriggerKind.INCIDENT else "",
        stack=rule.stack,
        unknown_order_max=rule.unknown_order_max,
        requested_by=request.person,
        proposed_at=request.at,
        # Only what a rule found by itself may still prove wrong.
        settle_at=request.at if request.person else request.at + rule.settle_after,
        updated_at=request.at,
        history=(Change(request.at, "proposed", actor=request.person or LEDGER, why=request.cause_id),),
    )


def _already(row: LedgerRow, other: LedgerRow) -> LedgerRow:
    """Its own row, so that what became of the request can be read; it never takes the other's place."""
    state: State = "held" if row.requested_by is not None else "skipped"
    return replace(
        row,
        id=deterministic_id("ledger-again", row.request_id),
        state=state,
        outcome="already_compensated",
        evidence=(f"ledger {other.id} is {other.state} for the same order, item and reason",),
        history=(*row.history, Change(row.proposed_at, state, "already_compensated", LEDGER, other.id)),
    )
