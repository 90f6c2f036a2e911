"""What a compensation is paid from and counted against, by id; and the caps that roll over days. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from rules.model import Instrument, PolicySet, TriggerKind
from services.sla.compensation.model import Charges, LedgerRow
from services.sla.compensation.states import CHARGED
from services.sla.order_facts import OrderFacts

# Shadow mode decides against books of its own: it takes nothing from the real ones.
_SHADOW = "shadow/"
_FOUND = frozenset({TriggerKind.ORDER_LATE, TriggerKind.INCIDENT})
# Days → (claims, their sum in minor units).
Days = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Budget:
    """A sum that must not be passed; `reason` says which one it was."""

    id: str
    limit: int
    reason: str


@dataclass(frozen=True)
class Accounts:
    """Everything one row is judged against. `order` "" where it stacks or has none."""

    day: str
    budgets: tuple[Budget, ...] = ()
    identities: tuple[str, ...] = ()
    order: str = ""

    @property
    def charges(self) -> Charges:
        """To be kept in the row."""
        return Charges(tuple(b.id for b in self.budgets), self.identities, self.day, self.order)


@dataclass(frozen=True)
class Claims:
    """What one identity was given, by day. `version` is for the compare-and-set."""

    version: int = 0
    days: Days = field(default_factory=dict)


@dataclass(frozen=True)
class Books:
    """The accounts as they were read. `orders`: how many orders the customer and linked identities placed lately."""

    spent: Mapping[str, int] = field(default_factory=dict)
    claims: Mapping[str, Claims] = field(default_factory=dict)
    paid_for_order: int = 0
    orders: int = 0


def local_day(policies: PolicySet, at: datetime) -> str:
    """The day of an instant in the brand's time zone, YYYY-MM-DD."""
    return at.astimezone(ZoneInfo(policies.brand.time_zone)).date().isoformat()


def belongs(row: LedgerRow, facts: OrderFacts) -> bool:
    """Whether the order is the customer's.

    What Pingxi found by itself is for whoever ordered; a contact it knows the complaint by says nothing against it.
    """
    asking = row.customer_id or ("" if row.trigger in _FOUND else row.customer_ref)
    return asking in ("", facts.customer_id)


def customer_of(row: LedgerRow, facts: OrderFacts | None) -> str:
    """The id of who is paid; "" where only a reference is known."""
    if row.customer_id or facts is None or (row.customer_ref and row.trigger not in _FOUND):
        return row.customer_id
    return facts.customer_id


def accounts_of(policies: PolicySet, row: LedgerRow, facts: OrderFacts | None, now: datetime) -> Accounts:
    """The accounts of a row on this day. Points are counted nowhere: their ids are enough."""
    limits, day = policies.compensation.limits, local_day(policies, now)
    prefix = _SHADOW if limits.shadow else ""
    if row.instrument is Instrument.POINTS:
        return Accounts(day)
    own = facts if facts is not None and belongs(row, facts) else None
    budgets = [Budget(f"{prefix}brand/{row.brand}/{day}", limits.brand_per_day, "brand_budget")]
    if own is not None and own.merchant_id:
        merchant = f"{prefix}merchant/{row.brand}/{own.merchant_id}/{day}"
        budgets.append(Budget(merchant, limits.merchant_per_day, "merchant_budget"))
    if row.incident_id:
        budgets.append(
            Budget(f"{prefix}incident/{row.brand}/{row.incident_id}", limits.incident_total, "incident_budget")
        )
    customer = customer_of(row, own) or row.customer_ref
    linked = [*([f"customer:{customer}"] if customer else []), *(own.identity_hashes if own else ())]
    # A made-up number of somebody else's order must not lessen what that customer gets.
    foreign = facts is not None and own is None
    order = f"{prefix}{row.brand}/{row.order_id}" if row.order_id and not row.stack and not foreign else ""
    return Accounts(day, tuple(budgets), tuple(f"{prefix}{row.brand}/{each}" for each in dict.fromkeys(linked)), order)


def within(days: Days, day: str, span: int) -> tuple[int, int]:
    """(claims, sum) of the last `span` days, `day` included."""
    kept = window(days, day, span)
    return sum(count for count, _ in kept.values()), sum(amount for _, amount in kept.values())


def window(days: Days, day: str, span: int) -> dict[str, tuple[int, int]]:
    """The days that still count on `day`."""
    first = (date.fromisoformat(day) - timedelta(days=span - 1)).isoformat()
    return {each: totals for each, totals in days.items() if first <= each}


def charged(days: Days, day: str, span: int, amount: int) -> dict[str, tuple[int, int]]:
    """With one more claim on `day`; days that no longer count are dropped."""
    kept = window(days, day, span)
    count, total = kept.get(day, (0, 0))
    return {**kept, day: (count + 1, total + amount)}


def returned(days: Days, day: str, amount: int) -> dict[str, tuple[int, int]]:
    """Without one claim of `day`; a day that was dropped meanwhile stays dropped."""
    if day not in days:
        return dict(days)
    count, total = days[day]
    left = (count - 1, total - amount)
    return {each: totals for each, totals in {**days, day: left}.items() if totals[0] > 0}


def books_of(rows: Iterable[LedgerRow]) -> tuple[Books, dict[str, int]]:
    """Budgets and caps as the rows were charged to them, and what each order was paid."""
    spent: dict[str, int] = {}
    paid: dict[str, int] = {}
    days: dict[str, dict[str, tuple[int, int]]] = {}
    for row in rows:
        shadow = row.state == "skipped" and row.outcome == "shadow" and row.charges.day
        if row.state not in CHARGED and not shadow:
            continue
        charges, amount = row.charges, row.amount_minor
        for budget in charges.budgets:
            spent[budget] = spent.get(budget, 0) + amount
        for identity in charges.identities:
            own = days.setdefault(identity, {})
            count, total = own.get(charges.day, (0, 0))
            own[charges.day] = (count + 1, total + amount)
        if charges.order:
            paid[charges.order] = paid.get(charges.order, 0) + amount
    return Books(spent, {identity: Claims(0, own) for identity, own in days.items()}), paid
