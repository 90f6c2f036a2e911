"""Who is owed what, decided purely: a request and the brand's rules → a ledger row to propose, or why not.

Source of the rules: `compensation.md` ("Triggers", "Checks") and `mechanisms.md` ("Compensation").
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from common.ids import deterministic_id
from rules.model import CompensationRule, Instrument, Metric, PolicySet, Priority, TriggerKind

State = Literal[
    "proposed", "reserved", "published", "redeemable", "redeemed", "rejected", "reversing", "reversed",
    "held", "approved", "denied", "skipped",
]  # fmt: skip


@dataclass(frozen=True)
class Request:
    """Somebody may be owed something. `id` names the cause (a breach, an order, an incident)."""

    id: str
    brand: str
    trigger: TriggerKind
    ticket_id: str
    order_id: str
    customer_id: str
    customer_ref: str
    metric: Metric | None
    priority: Priority | None
    sla_policy: str
    red: bool
    at: datetime


@dataclass(frozen=True)
class LedgerRow:
    """One decision. `id` is the idempotency key: (brand, ticket or order, reason, instance) is paid at most once."""

    id: str
    request_id: str
    state: State
    brand: str
    ticket_id: str
    order_id: str
    customer_id: str
    customer_ref: str
    amount_minor: int
    currency: str
    reason: str
    rule: str
    outcome: str
    policy_hash: str
    proposed_at: datetime
    settle_at: datetime
    updated_at: datetime
    version: int = 1


def matching_rule(policies: PolicySet, request: Request) -> CompensationRule | None:
    """The first rule whose trigger matches; empty parts of a trigger ask for nothing."""
    for rule in policies.compensation.rules:
        t = rule.trigger
        if (
            t.kind is request.trigger
            and (not t.metrics or request.metric in t.metrics)
            and (not t.priorities or request.priority in t.priorities)
            and (not t.policies or request.sla_policy in t.policies)
            and (t.red is None or t.red == request.red)
        ):
            return rule
    return None


def propose(policies: PolicySet, request: Request) -> LedgerRow | None:
    """The row to write; None where no rule speaks of it.

    Promises broken by us are keyed by ticket and need no order: the amount is at most `unknown_order_max` then. At most
    one SLA voucher a ticket: the reason is the same for all metrics of one rule, and the instance is always 1.
    """
    rule = matching_rule(policies, request)
    if rule is None or rule.instrument is not Instrument.VOUCHER:
        return None
    by_ticket = request.trigger is TriggerKind.SLA_BREACH
    subject = request.ticket_id if by_ticket or not request.order_id else request.order_id
    amount = min(rule.amount, rule.unknown_order_max) if not request.order_id else rule.amount
    instance = "sla" if by_ticket else rule.reason
    row = LedgerRow(
        id=deterministic_id("ledger", request.brand, subject, instance, 1),
        request_id=request.id,
        state="proposed",
        brand=request.brand,
        ticket_id=request.ticket_id,
        order_id=request.order_id,
        customer_id=request.customer_id,
        customer_ref=request.customer_ref,
        amount_minor=amount,
        currency=rule.currency,
        reason=rule.reason,
        rule=rule.name,
        outcome="",
        policy_hash=policies.hash,
        proposed_at=request.at,
        settle_at=request.at + rule.settle_after,
        updated_at=request.at,
    )
    limits = policies.compensation.limits
    if not limits.enabled:
        return replace(row, state="held", outcome="kill_switch")
    if amount > limits.automatic_up_to:
        return replace(row, state="held", outcome="needs_approval")
    return row


def budget_of(policies: PolicySet, row: LedgerRow) -> tuple[str, int]:
    """The brand's budget a row is paid from, (id, limit in minor units): one for each day of the brand's time zone."""
    day = row.settle_at.astimezone(ZoneInfo(policies.brand.time_zone)).date()
    return f"brand/{row.brand}/{day.isoformat()}", policies.compensation.limits.brand_per_day
