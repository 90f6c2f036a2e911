"""Running orders: who is told when, what is asked for, and that nothing is decided early, twice or by an old event."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.policyfiles import load_all
from services.sla.order_facts import OrderFacts
from services.sla.orders import model as m
from services.sla.orders.policy import apply, next_due, terms_of, tick

PROMISED = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
TERMS = m.Terms(
    warn_ahead=HOUR,
    minimum=5 * MINUTE,
    eta_step=10 * MINUTE,
    eta_lead=10 * MINUTE,
    late_over=(HOUR,),
    ticket_over=2 * HOUR,
    risk_above=0.5,
    forget_after=timedelta(days=7),
    policy_hash="h",
)
PLACED = OrderFacts(
    order_id="o1",
    brand="default",
    seq=1,
    customer_id="c1",
    region="r",
    merchant_id="m1",
    courier_id="k1",
    station="s1",
    products=("p1", "p2"),
    value_minor=5000,
    currency="CNY",
    promised_at=PROMISED,
    eta=PROMISED - 5 * MINUTE,
    identity_hashes=("i1",),
    occurred_at=PROMISED - 40 * MINUTE,
    placed_at=PROMISED - 40 * MINUTE,
)


def at(minutes: float) -> datetime:
    """So many minutes after the promised time."""
    return PROMISED + minutes * MINUTE


def eta(seq: int, minutes: float, reason: str = "traffic") -> OrderFacts:
    moved = replace(PLACED, seq=seq, eta=at(minutes), eta_reason=reason, placed_at=None)
    return replace(moved, occurred_at=PLACED.occurred_at + seq * MINUTE)


def delivered(minutes: float, seq: int = 9) -> OrderFacts:
    return replace(PLACED, seq=seq, placed_at=None, delivered_at=at(minutes), occurred_at=at(minutes))


def cancelled(minutes: float, seq: int = 9) -> OrderFacts:
    return replace(PLACED, seq=seq, placed_at=None, cancelled_at=at(minutes), occurred_at=at(minutes))


class Order:
    """One order's row, and everything that was published."""

    def __init__(self, terms: m.Terms = TERMS) -> None:
        self.row: m.Watched | None = None
        self.terms = terms
        self.effects: list[m.Effect] = []

    def told(self, event: OrderFacts, risk: float | None = None, reason: str = "") -> "Order":
        judged = None if risk is None else m.Risk(risk, reason)
        return self._took(apply(self.row, event, self.terms, judged))

    def until(self, minutes: float) -> "Order":
        """Lets time pass: the timer looks whenever something is due, and at the end."""
        while self.row is not None and (due := next_due(self.row)) is not None and due <= at(minutes):
            self._took(tick(self.row, due, due))
        return self

    def late_until(self, minutes: float) -> "Order":
        """The timer was away and looks once, too late."""
        assert self.row is not None
        return self._took(tick(self.row, at(minutes), at(minutes)))

    def _took(self, outcome: m.Outcome) -> "Order":
        self.row = outcome.row
        self.effects += outcome.effects
        return self

    def of(self, kind: type[m.Effect]) -> list[m.Effect]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    @property
    def delays(self) -> list[tuple[str, int, str]]:
        return [(e.told.cause, e.told.number, e.reason) for e in self.effects if isinstance(e, m.DelayTold)]

    @property
    def asked(self) -> list[datetime]:
        return [effect.at for effect in self.of(m.CompensationAsked)]


def test_a_late_order_is_asked_for_when_the_bound_passes_though_nothing_else_happens() -> None:
    order = Order().told(PLACED).until(59)
    assert order.asked == []
    order.until(60)
    assert order.asked == [at(60)]
    assert order.until(300).asked == [at(60)]


def test_found_late_it_is_stamped_with_the_bound_not_with_the_finding() -> None:
    order = Order().told(PLACED).late_until(190)
    assert order.asked == [at(60)]
    assert [e.at for e in order.of(m.TicketAsked)] == [at(120)]


@pytest.mark.parametrize(("minutes", "asked"), [(-3, 0), (0, 0), (60, 0), (60.5, 1), (119, 1)])
def test_what_was_delivered_within_the_bound_is_never_asked_for(minutes: float, asked: int) -> None:
    order = Order().told(PLACED).told(delivered(minutes)).until(600)
    assert len(order.asked) == asked
    assert order.of(m.TicketAsked) == []


def test_an_order_above_two_hours_late_asks_for_one_ticket() -> None:
    order = Order().told(PLACED).until(119)
    assert order.of(m.TicketAsked) == []
    order.until(120).until(900).told(delivered(1000)).until(2000)
    (asked,) = order.of(m.TicketAsked)
    assert isinstance(asked, m.TicketAsked)
    assert (asked.at, asked.late_over, asked.delivered) == (at(120), 2 * HOUR, False)


def test_a_delivery_that_tells_of_itself_late_is_judged_by_its_own_time() -> None:
    order = Order().told(PLACED).told(delivered(150))
    assert order.asked == [at(60)]
    (ticket,) = order.of(m.TicketAsked)
    assert isinstance(ticket, m.TicketAsked)
    assert ticket.delivered


TWO_BOUNDS = replace(TERMS, late_over=(HOUR, 2 * HOUR))


def test_each_bound_that_the_standard_names_is_asked_for_once_when_it_passes() -> None:
    order = Order(TWO_BOUNDS).told(PLACED).until(119)
    assert order.asked == [at(60)]
    order.until(120).told(delivered(130)).until(500)
    assert order.asked == [at(60), at(120)]
    assert len({effect.id for effect in order.of(m.CompensationAsked)}) == 2
    assert Order(TWO_BOUNDS).told(PLACED).told(delivered(130)).asked == [at(60), at(120)]
    assert Order(replace(TERMS, late_over=())).told(PLACED).until(500).asked == []


def test_of_several_bounds_only_those_that_were_not_passed_are_taken_back() -> None:
    order = Order(TWO_BOUNDS).told(PLACED).until(121).told(delivered(90)).told(delivered(90))
    (back,) = order.of(m.CompensationTakenBack)
    assert isinstance(back, m.CompensationTakenBack)
    assert back.request_id == order.of(m.CompensationAsked)[1].id


@pytest.mark.parametrize(("event", "why"), [(delivered(-2), "delivered in time"), (cancelled(-2), "cancelled")])
def test_what_proves_wrong_is_taken_back_once(event: OrderFacts, why: str) -> None:
    order = Order().told(PLACED).until(61).told(event).told(event).until(500)
    (asked,) = order.of(m.CompensationAsked)
    (back,) = order.of(m.CompensationTakenBack)
    assert isinstance(back, m.CompensationTakenBack)
    assert (back.request_id, back.why) == (asked.id, why)


def test_a_delivery_after_the_bound_takes_nothing_back() -> None:
    assert Order().told(PLACED).until(61).told(delivered(60.5)).of(m.CompensationTakenBack) == []


def test_a_cancelled_order_owes_nothing_more() -> None:
    order = Order().told(PLACED).told(cancelled(-10)).until(500)
    assert order.effects == []


def test_an_expected_time_later_than_promised_is_told_with_its_reason() -> None:
    order = Order().told(PLACED).told(eta(2, 30)).until(-35)
    assert order.delays == [("eta", 1, "traffic")]


def test_nobody_is_told_more_than_the_policy_s_time_ahead() -> None:
    early = replace(PLACED, occurred_at=at(-300), placed_at=at(-300))
    order = Order().told(early).told(replace(eta(2, 30), occurred_at=at(-200))).until(-61)
    assert order.delays == []
    assert order.until(-60).delays == [("eta", 1, "traffic")]


@pytest.mark.parametrize(("minutes", "told"), [(4.9, 0), (5, 1)])
def test_a_small_deviation_is_none(minutes: float, told: int) -> None:
    order = Order().told(PLACED).told(eta(2, minutes)).until(-10)
    assert len(order.delays) == told


def test_the_expected_time_is_told_again_only_when_it_moves_by_more_than_the_step() -> None:
    order = Order().told(PLACED).told(eta(2, 30)).until(-35)
    assert len(order.told(eta(3, 40)).until(-30).delays) == 1
    assert order.told(eta(4, 41)).until(-25).delays == [("eta", 1, "traffic"), ("eta", 2, "traffic")]
    assert len(order.told(eta(5, 32)).until(-24).delays) == 2
    assert len(order.told(eta(6, 30)).until(-23).delays) == 3


def test_a_likely_delay_is_told_with_the_circumstance_that_speaks_for_it() -> None:
    order = Order().told(PLACED, risk=0.8, reason="weather").until(-40)
    assert order.delays == [("risk", 1, "weather")]
    (told,) = order.of(m.DelayTold)
    assert isinstance(told, m.DelayTold)
    assert (told.probability, told.told.eta) == (0.8, None)


@pytest.mark.parametrize(("risk", "above"), [(0.49, 0.5), (0.99, None)])
def test_a_delay_that_is_not_likely_enough_or_not_asked_for_is_not_told(risk: float, above: float | None) -> None:
    order = Order(replace(TERMS, risk_above=above)).told(PLACED, risk=risk).until(-1)
    assert order.delays == []


def test_an_older_event_does_not_bring_an_older_risk_back() -> None:
    order = Order().told(replace(PLACED, seq=3), risk=0.2).told(replace(PLACED, seq=2), risk=0.9).until(-20)
    assert order.delays == []


def test_a_promise_that_passed_in_silence_is_told_as_overdue_and_only_then() -> None:
    assert Order().told(PLACED).until(5).delays == [("overdue", 1, "")]
    assert Order().told(PLACED, risk=0.9).until(30).delays == [("risk", 1, "")]
    assert Order().told(PLACED, risk=0.9).late_until(30).delays == [("overdue", 1, "")]
    assert Order().told(PLACED).told(eta(2, 30)).until(20).delays == [("eta", 1, "traffic")]


def test_a_new_cause_is_told_after_another() -> None:
    order = Order().told(PLACED, risk=0.9).until(-38).told(eta(2, 20)).until(-30)
    assert [cause for cause, _, _ in order.delays] == ["risk", "eta"]


def test_the_planned_word_comes_once_before_the_order() -> None:
    order = Order().told(PLACED).until(-16)
    assert order.of(m.EtaTold) == []
    order.until(-15).told(eta(2, -4)).until(-5)
    (told,) = order.of(m.EtaTold)
    assert isinstance(told, m.EtaTold)
    assert (told.at, told.eta) == (at(-15), at(-5))


def test_the_planned_word_is_not_said_when_the_order_should_be_there_already() -> None:
    assert Order().told(PLACED).late_until(-4).of(m.EtaTold) == []


def test_one_message_says_what_two_would() -> None:
    order = Order().told(PLACED).told(eta(2, 8)).late_until(-1)
    assert len(order.of(m.DelayTold) + order.of(m.EtaTold)) == 1


def test_who_is_not_known_is_not_told_but_the_ticket_is_asked_for() -> None:
    order = Order().told(replace(PLACED, customer_id=""), risk=0.9).until(200)
    assert order.delays == []
    assert order.of(m.EtaTold) == []
    assert len(order.of(m.TicketAsked)) == len(order.asked) == 1


def test_an_order_without_a_promised_time_owes_nothing_and_is_forgotten() -> None:
    order = Order().told(replace(PLACED, promised_at=None, eta=None)).until(60 * 24 * 8)
    assert (order.effects, order.row) == ([], None)


@pytest.mark.parametrize("events", [(PLACED,), (PLACED, delivered(1)), (PLACED, cancelled(-1))])
def test_every_order_is_forgotten_in_the_end(events: tuple[OrderFacts, ...]) -> None:
    order = Order()
    for event in events:
        order.told(event)
    assert order.until(60 * 24 * 6).row is not None
    assert order.until(60 * 24 * 8).row is None


def test_what_was_done_is_done_again_with_the_same_ids_when_history_is_replayed() -> None:
    def life() -> list[str]:
        order = Order().told(PLACED, risk=0.9).until(-38).told(eta(2, 20)).until(-30).told(eta(3, 40)).until(130)
        return [effect.id for effect in order.told(delivered(140)).effects]

    first = life()
    assert first == life()
    assert len(set(first)) == len(first)


EVENTS = st.lists(
    st.sampled_from([PLACED, eta(2, 8), eta(3, 30), eta(4, -2), delivered(-3, 7), delivered(70, 8), cancelled(10, 9)]),
    min_size=1,
    max_size=8,
)


@given(EVENTS, st.lists(st.integers(-60, 400), max_size=6))
def test_nothing_is_done_twice_or_left_due(events: list[OrderFacts], looks: list[int]) -> None:
    order = Order()
    for event, look in zip(events, [*sorted(looks), *[400] * len(events)], strict=False):
        order.told(event, risk=0.6)
        order.until(look)
        if order.row is not None and (due := next_due(order.row)) is not None:
            assert due > at(look)
    ids = [effect.id for effect in order.effects]
    assert len(ids) == len(set(ids))
    assert all(effect.at >= at(60) for effect in order.of(m.CompensationAsked))


def test_the_terms_are_the_brand_s_policies() -> None:
    policies = load_all(Path("policies"))
    terms, demo = terms_of(policies["default"]), terms_of(policies["demo"])
    assert (terms.late_over, terms.ticket_over, terms.warn_ahead) == ((HOUR,), 2 * HOUR, HOUR)
    assert (demo.late_over, demo.ticket_over) == ((timedelta(seconds=5),), timedelta(seconds=10))
    assert (terms.risk_above, demo.risk_above) == (0.5, None)
