"""The decisions about running orders: a row, what happened or what is due → the new row and what to publish. Pure.

Source: compensation.md, "Order facts and delays". Events only tell facts; whatever depends on the time that passes is
decided when it is due, so that a delivery which waits in the topic is always seen before an order is called late.
Of a delay the customer is told once for each cause, and again where the expected time moves by more than the step.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from common.ids import deterministic_id
from rules.model import PolicySet, TriggerKind
from services.sla.order_facts import OrderFacts, fold
from services.sla.orders import model as m

_MS = timedelta(milliseconds=1)


def terms_of(policies: PolicySet) -> m.Terms:
    """What the brand promises about late orders now."""
    orders = policies.orders
    bounds = {
        rule.trigger.late_over or timedelta(0)
        for rule in policies.compensation.rules
        if rule.trigger.kind is TriggerKind.ORDER_LATE
    }
    return m.Terms(
        warn_ahead=orders.warn_ahead,
        minimum=orders.minimum_deviation,
        eta_step=orders.eta_step,
        eta_lead=orders.eta_lead or None,
        late_over=tuple(sorted(bounds)),
        ticket_over=orders.ticket_over or None,
        risk_above=orders.risk_above_percent / 100 or None,
        forget_after=orders.forget_after,
        policy_hash=policies.hash,
    )


def request_id(facts: OrderFacts, bound: timedelta) -> str:
    """The compensation request of a late order: one for each bound it passes."""
    return _id("order-late", facts, bound // _MS)


def apply(row: m.Watched | None, event: OrderFacts, terms: m.Terms, risk: m.Risk | None) -> m.Outcome:
    """An event of the order. Repeats change nothing, and the order of events doesn't matter.

    Only a delivery or a cancellation decides anything by itself: how late it was, and whether what was asked for
    proves wrong.
    """
    if row is None:
        row = m.Watched(facts=_needed(event), terms=terms)
    facts = fold(row.facts, _needed(event))
    if risk is not None and event.seq >= row.facts.seq:
        row = replace(row, risk=risk)
    row = replace(row, facts=facts)
    effects: list[m.Effect] = []
    ended = facts.delivered_at or facts.cancelled_at
    if facts.promised_at is None or ended is None:
        return m.Outcome(row)
    ticket_over = row.terms.ticket_over
    if not row.withdrawn:
        why = "delivered in time" if facts.delivered_at else "cancelled"
        wrong = [b for b in row.terms.late_over[: row.requested] if ended <= facts.promised_at + b]
        effects += [
            m.CompensationTakenBack(_id("order-late-over", facts, b // _MS), facts, ended, request_id(facts, b), why)
            for b in wrong
        ]
        row = replace(row, withdrawn=bool(wrong))
    if facts.delivered_at is not None:
        late = facts.delivered_at - facts.promised_at
        while (bound := _next_bound(row)) is not None and late > bound:
            row, more = _ask(row, facts.promised_at + bound)
            effects += more
        if ticket_over is not None and late > ticket_over and not row.ticket_asked:
            row, more = _ask_ticket(row, facts.promised_at + ticket_over)
            effects += more
    return m.Outcome(row, tuple(effects))


def tick(row: m.Watched, as_of: datetime, now: datetime) -> m.Outcome:
    """Everything that is due at `as_of`; `now` stamps messages."""
    effects: list[m.Effect] = []
    while due := [(at, act) for at, act in _owed(row) if at <= as_of]:
        at, act = min(due, key=lambda pair: pair[0])
        after, more = act(row, at, as_of, now)
        effects += more
        if after is None:
            return m.Outcome(None, tuple(effects))
        row = after
    return m.Outcome(row, tuple(effects))


def next_due(row: m.Watched) -> datetime | None:
    """When something is owed next; later than the `as_of` of the last tick."""
    return min((at for at, _ in _owed(row)), default=None)


# What is done at an instant: (row, that instant, as of, now) → the row, or None to forget it, and the effects.
_Act = Callable[[m.Watched, datetime, datetime, datetime], tuple[m.Watched | None, list[m.Effect]]]


def _owed(row: m.Watched) -> list[tuple[datetime, _Act]]:
    """What is still to be done for an order, and when. Doing it removes it."""
    facts, terms = row.facts, row.terms
    ended = facts.delivered_at or facts.cancelled_at
    if ended is not None:
        return [(ended + terms.forget_after, _forget)]
    promised = facts.promised_at
    if promised is None:
        return [(facts.occurred_at + terms.forget_after, _forget)]
    owed: list[tuple[datetime, _Act]] = [(max(promised, facts.eta or promised) + terms.forget_after, _forget)]
    if (bound := _next_bound(row)) is not None:
        owed.append((promised + bound, lambda row, at, as_of, now: _ask(row, at)))
    if terms.ticket_over is not None and not row.ticket_asked:
        owed.append((promised + terms.ticket_over, lambda row, at, as_of, now: _ask_ticket(row, at)))
    if not facts.customer_id:
        return owed
    if terms.eta_lead is not None and not row.eta_told:
        owed.append(((facts.eta or promised) - terms.eta_lead, _tell_eta))
    if (delay := _delay(row, promised)) is not None:
        owed.append(delay)
    return owed


def _delay(row: m.Watched, promised: datetime) -> tuple[datetime, _Act] | None:
    facts, terms = row.facts, row.terms
    window = promised - terms.warn_ahead
    if facts.eta is not None and facts.eta - promised >= terms.minimum:
        said = [told.eta for told in row.told if told.cause == "eta" and told.eta is not None]
        if said and abs(facts.eta - said[-1]) <= terms.eta_step:
            return None
        return window, _tell("eta")
    if row.told:
        return None
    if row.risk is not None and terms.risk_above is not None and row.risk.probability >= terms.risk_above:
        return window, _tell("risk")
    return promised + terms.minimum, _tell("overdue")


def _tell(cause: m.Cause) -> _Act:
    def tell(row: m.Watched, at: datetime, as_of: datetime, now: datetime) -> tuple[m.Watched | None, list[m.Effect]]:
        facts, promised = row.facts, row.facts.promised_at
        assert promised is not None
        why: m.Cause = "overdue" if cause == "risk" and as_of >= promised else cause
        number = 1 + sum(told.cause == why for told in row.told)
        told = m.Told(why, number, facts.eta if why == "eta" else None)
        risk = row.risk or m.Risk(0.0, "")
        reason = risk.reason if why == "risk" else facts.eta_reason
        effect = m.DelayTold(_id("delay", facts, why, number), facts, now, told, reason, risk.probability)
        # The planned word would say the same again.
        eta_told = row.eta_told or (why == "eta" and _eta_is_due(row, as_of))
        return replace(row, told=(*row.told, told), eta_told=eta_told), [effect]

    return tell


def _eta_is_due(row: m.Watched, as_of: datetime) -> bool:
    eta, lead = row.facts.eta, row.terms.eta_lead
    return eta is not None and lead is not None and eta - lead <= as_of


def _tell_eta(row: m.Watched, at: datetime, as_of: datetime, now: datetime) -> tuple[m.Watched | None, list[m.Effect]]:
    eta = row.facts.eta or row.facts.promised_at
    assert eta is not None
    after = replace(row, eta_told=True)
    # Found late, by an outage: that it was expected then is no news.
    return after, [] if eta <= as_of else [m.EtaTold(_id("eta", row.facts), row.facts, now, eta)]


def _next_bound(row: m.Watched) -> timedelta | None:
    """The first bound of the compensation that wasn't asked for."""
    return next(iter(row.terms.late_over[row.requested :]), None)


def _ask(row: m.Watched, at: datetime) -> tuple[m.Watched, list[m.Effect]]:
    facts, bound = row.facts, _next_bound(row)
    assert bound is not None
    effect = m.CompensationAsked(request_id(facts, bound), facts, at, bound, row.terms.policy_hash)
    return replace(row, requested=row.requested + 1), [effect]


def _ask_ticket(row: m.Watched, at: datetime) -> tuple[m.Watched, list[m.Effect]]:
    facts, ticket_over = row.facts, row.terms.ticket_over
    assert ticket_over is not None
    effect = m.TicketAsked(
        _id("order-far-too-late", facts), facts, at, ticket_over, delivered=facts.delivered_at is not None
    )
    return replace(row, ticket_asked=True), [effect]


def _forget(row: m.Watched, at: datetime, as_of: datetime, now: datetime) -> tuple[m.Watched | None, list[m.Effect]]:
    return None, []


def _needed(facts: OrderFacts) -> OrderFacts:
    """What decisions are made of; the rest would only make a million rows larger."""
    return replace(facts, courier_id="", station="", products=facts.products[:1], value_minor=0, currency="",
                   identity_hashes=(), distance_km=0.0, weather="", traffic="", picked_up_at=None)  # fmt: skip


def _id(kind: str, facts: OrderFacts, *parts: object) -> str:
    return deterministic_id(kind, facts.brand, facts.order_id, *parts)
