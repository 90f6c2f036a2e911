"""The checks of compensation.md, in their order: a proposed row, what is known of its order, and the books → a verdict.

Pure. A failed risk check holds for a person, with the evidence; it never refuses silently.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from rules.model import CompensationLimits, CompensationRule, Fault, Instrument, PolicySet, TriggerKind
from services.sla.compensation.accounts import Accounts, Books, accounts_of, belongs, customer_of, within
from services.sla.compensation.model import LedgerRow
from services.sla.compensation.rules import late_enough
from services.sla.order_facts import OrderFacts


@dataclass(frozen=True)
class Hold:
    """A person decides. `reason` is the check that failed."""

    reason: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skip:
    """Nothing is owed, and why."""

    reason: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reserve:
    """Owed: take `amount_minor` out of the accounts, all or nothing."""

    amount_minor: int
    accounts: Accounts
    customer_id: str
    merchant_id: str
    fault: Fault
    evidence: tuple[str, ...] = ()


Verdict = Hold | Skip | Reserve


@dataclass(frozen=True)
class _Case:
    policies: PolicySet
    row: LedgerRow
    facts: OrderFacts | None
    books: Books
    accounts: Accounts
    amount: int
    now: datetime

    @property
    def limits(self) -> CompensationLimits:
        return self.policies.compensation.limits

    @property
    def rule(self) -> CompensationRule | None:
        return next((r for r in self.policies.compensation.rules if r.name == self.row.rule), None)


def judge(policies: PolicySet, row: LedgerRow, facts: OrderFacts | None, books: Books, now: datetime) -> Verdict:
    """What becomes of a proposed or approved row.

    Who approved has seen the evidence of the risk checks, which are not asked again; that an order is paid at most the
    highest amount, budgets and the kill switch hold for everybody.
    """
    accounts = accounts_of(policies, row, facts, now)
    case = _Case(policies, row, facts, books, accounts, amount_due(row, facts, books), now)
    for check, risk in _CHECKS:
        if (row.state == "approved" and risk) or (verdict := check(case)) is None:
            continue
        asked = row.requested_by is not None and row.state == "proposed"
        if isinstance(verdict, Skip) and asked and verdict.reason in _ASKED:
            # Somebody has told the customer: it isn't dropped without another person seeing it.
            return Hold(verdict.reason, verdict.evidence)
        return verdict
    evidence: tuple[str, ...] = ()
    if case.amount < row.entitled_minor:
        evidence = (f"{books.paid_for_order} of {row.entitled_minor} were paid for this order before",)
    return Reserve(
        case.amount,
        accounts,
        customer_of(row, facts),
        facts.merchant_id if facts is not None and belongs(row, facts) else "",
        fault_of(row, facts),
        evidence,
    )


def amount_due(row: LedgerRow, facts: OrderFacts | None, books: Books) -> int:
    """Minor units: what the rule grants, bounded where the order isn't known, less what the order was paid before.

    "Per order the highest amount wins": a higher one that comes later is topped up to.
    """
    due = row.entitled_minor
    if row.trigger is TriggerKind.SLA_BREACH and (facts is None or not belongs(row, facts)):
        due = min(due, row.unknown_order_max)
    if not row.stack and row.order_id:
        due = max(0, due - books.paid_for_order)
    return due


def approvals_needed(limits: CompensationLimits, amount_minor: int) -> int:
    """How many people: none up to the automatic tier, one supervisor above, two above the second bound."""
    if amount_minor <= limits.automatic_up_to:
        return 0
    return 1 if amount_minor <= limits.two_people_above else 2


def fault_of(row: LedgerRow, facts: OrderFacts | None) -> Fault:
    """Who is settled with. A late order that nobody had picked up when it was promised is the merchant's, else the
    courier's."""
    if row.fault is not None:
        return row.fault
    if row.trigger is not TriggerKind.ORDER_LATE or facts is None or facts.promised_at is None:
        return Fault.NONE
    in_time = facts.picked_up_at is not None and facts.picked_up_at <= facts.promised_at
    return Fault.COURIER if in_time else Fault.MERCHANT


def _by_ticket(case: _Case) -> bool:
    """Promises broken by us are keyed by ticket and need no order: order checks are skipped. Points cost nothing."""
    return (
        case.row.trigger is TriggerKind.SLA_BREACH or case.row.instrument is Instrument.POINTS or not case.row.order_id
    )


def _order_exists(case: _Case) -> Verdict | None:
    if not case.row.order_id and case.row.trigger in (TriggerKind.ORDER_LATE, TriggerKind.INCIDENT):
        return Hold("order_unknown", ("the request names no order",))
    if _by_ticket(case) or case.facts is not None:
        return None
    return Hold("order_unknown", ("no event of this order has come yet",))


def _belongs_to_the_customer(case: _Case) -> Verdict | None:
    if _by_ticket(case) or case.facts is None or belongs(case.row, case.facts):
        return None
    return Hold("not_the_customers_order", ("the order was placed by another customer than the one who asks",))


def _order_is_late(case: _Case) -> Verdict | None:
    """The requester may have known less than is known now: it was delivered in time after all."""
    row, facts = case.row, case.facts
    if row.trigger is not TriggerKind.ORDER_LATE or facts is None or case.rule is None:
        return None
    if facts.cancelled_at is not None and facts.cancelled_at <= row.proposed_at:
        return Skip("order_cancelled")
    if facts.promised_at is None:
        return Hold("order_unknown", ("the order has no promised time",))
    arrived = facts.delivered_at is not None and facts.delivered_at <= row.proposed_at
    late = (facts.delivered_at if arrived and facts.delivered_at else row.proposed_at) - facts.promised_at
    return None if late_enough(case.rule, late, arrived=arrived) else Skip("not_late_enough", (f"{late} late",))


def _inside_the_claim_window(case: _Case) -> Verdict | None:
    if _by_ticket(case) or case.facts is None:
        return None
    since = case.facts.delivered_at or case.facts.promised_at or case.facts.occurred_at
    age = case.row.proposed_at - since
    return None if age <= case.limits.claim_window else Skip("outside_claim_window", (f"asked {age} after the order",))


def _not_already_compensated(case: _Case) -> Verdict | None:
    if case.row.instrument is Instrument.POINTS or case.amount > 0:
        return None
    if case.books.paid_for_order and case.row.order_id and not case.row.stack:
        return Skip("already_compensated", (f"{case.books.paid_for_order} were paid for this order",))
    return Skip("nothing_due", ("no order is known, and the rule pays nothing without one",))


def _within_the_rule(case: _Case) -> Verdict | None:
    rule = case.rule
    if rule is None or not rule.agent_chooses or case.amount <= rule.amount:
        return None
    return Hold("above_rule", (f"{case.amount} chosen, the rule allows {rule.amount}",))


def _within_the_share_of_the_order(case: _Case) -> Verdict | None:
    if _by_ticket(case) or case.facts is None:
        return None
    percent, value = case.limits.order_share_percent, case.facts.value_minor
    if case.amount * 100 <= value * percent:
        return None
    return Hold("above_order_share", (f"{case.amount} is more than {percent}% of the order's {value}",))


def _within_the_caps(case: _Case) -> Verdict | None:
    limits, day, found = case.limits, case.accounts.day, case.books.claims
    if case.row.instrument is Instrument.POINTS:
        return None
    totals = [within(found[each].days, day, limits.cap_days) for each in case.accounts.identities if each in found]
    count = max((claims for claims, _ in totals), default=0) + 1
    amount = max((total for _, total in totals), default=0) + case.amount
    over = f"in {limits.cap_days} days, over {len(case.accounts.identities)} linked identities"
    if count > limits.cap_count:
        return Hold("cap_count", (f"claim {count} {over}; {limits.cap_count} are allowed",))
    if amount > limits.cap_amount:
        return Hold("cap_amount", (f"{amount} {over}; {limits.cap_amount} is allowed",))
    percent = limits.claims_to_orders_percent
    if not _by_ticket(case) and count >= limits.claims_from and count * 100 > case.books.orders * percent:
        return Hold("claims_ratio", (f"{count} claims of {case.books.orders} orders {over}; {percent}% is allowed",))
    return None


def _within_the_budgets(case: _Case) -> Verdict | None:
    for budget in case.accounts.budgets:
        spent = case.books.spent.get(budget.id, 0)
        if spent + case.amount > budget.limit:
            return Hold(budget.reason, (f"{spent} of {budget.limit} are spent, {case.amount} is asked",))
    return None


def _tier(case: _Case) -> Verdict | None:
    needed = approvals_needed(case.limits, case.amount)
    if len(case.row.approvals) >= needed:
        return None
    return Hold("needs_approval" if needed == 1 else "needs_two_approvals", (f"{case.amount} is above the tier",))


def _switched_on(case: _Case) -> Verdict | None:
    return None if case.limits.enabled else Hold("kill_switch")


# The outcomes that a person's request is held for instead.
_ASKED = frozenset({"outside_claim_window", "already_compensated", "nothing_due"})
# In the order of compensation.md, "Checks": the first that fails decides. True: a risk that a person may accept.
_CHECKS: tuple[tuple[Callable[[_Case], Verdict | None], bool], ...] = (
    (_order_exists, True),
    (_belongs_to_the_customer, True),
    (_order_is_late, True),
    (_inside_the_claim_window, True),
    (_not_already_compensated, False),
    (_within_the_rule, True),
    (_within_the_share_of_the_order, True),
    (_within_the_caps, True),
    (_within_the_budgets, False),
    (_tier, True),
    (_switched_on, False),
)
OUTCOMES: Mapping[str, str] = {
    "no_rule": "no rule speaks of it",
    "order_unknown": "the order isn't known (yet)",
    "not_the_customers_order": "the order is another customer's",
    "order_cancelled": "the order was cancelled before that",
    "not_late_enough": "the order came in time, or not late enough",
    "outside_claim_window": "it was asked too late",
    "already_compensated": "the same order, item and reason were compensated before",
    "nothing_due": "the rule pays nothing where no order is known",
    "above_rule": "more than the rule allows",
    "above_order_share": "more than the allowed share of the order's value",
    "cap_count": "too many compensations of this customer and linked accounts",
    "cap_amount": "too much compensation of this customer and linked accounts",
    "claims_ratio": "too many claims for the orders there were",
    "brand_budget": "the brand's budget of the day is spent",
    "merchant_budget": "the merchant's budget of the day is spent",
    "incident_budget": "the incident's budget is spent",
    "needs_approval": "above the automatic tier: a supervisor decides",
    "needs_two_approvals": "far above the automatic tier: two people decide",
    "kill_switch": "compensation is switched off",
}
"""Every outcome reason and what it says."""
