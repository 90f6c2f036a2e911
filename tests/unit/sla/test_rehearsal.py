"""A changed policy on history: what would have differed, counted by the same watchdog."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from common.words import to_timestamp
from gen.pingxi.v1 import order_pb2
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from rules.model import Calendar, CompensationRule, ComplaintFacts, Metric, PolicySet, SlaPolicy, Target, TriggerKind
from rules.rehearsal import Comparison, Tally, table
from rules.routing import decide
from services.router.commands import Assign, Cause, Command, NoteEscalation, ReceiveRating, Reply, Resolve
from services.router.model import Actor, ActorKind, Personal
from services.router.policy import apply, open_ticket
from services.router.wire import event_to_proto
from services.sla.rehearsal import Rehearsal
from services.sla.rehearsal_orders import LateOrders, owed
from tests.fakes_router import START, VAULT, complaint, number, policies

LI = Actor(ActorKind.AGENT, "li")
FOOD = "牛奶变质了"
REPLY = Reply("m1", VAULT.seal(number(1), Personal(text="马上处理")))


class AllCalendars:
    """Those of the present files."""

    def calendar(self, calendar_hash: str) -> Calendar | None:
        return policies()["default"].calendar_by_hash(calendar_hash)


def at(minutes: float) -> datetime:
    """After the acknowledgement."""
    return START + timedelta(minutes=minutes)


def story(n: int, text: str, *steps: tuple[float, Command], brand: str = "default") -> list[TicketEvent]:
    """A ticket's events: opened a second after it was acknowledged, then the steps at their minutes."""
    of = complaint(n, text, brand=brand)
    decision = decide(policies()[brand], ComplaintFacts(of.declared, text, brand, "app"))
    events = [open_ticket(of, decision, policies()[brand], START + timedelta(seconds=1))]
    for index, (minutes, command) in enumerate(steps):
        event = apply(events[-1].ticket, command, Cause(f"c{index}", at(minutes), LI))
        assert event is not None
        events.append(event)
    return [event_to_proto(event) for event in events]


def with_target(found: PolicySet, name: str, metric: Metric, duration: timedelta) -> PolicySet:
    """The policies with one duration changed."""

    def target(each: Target) -> Target:
        return replace(each, duration=duration) if each.metric is metric else each

    def policy(each: SlaPolicy) -> SlaPolicy:
        if each.name != name:
            return each
        return replace(each, targets={p: tuple(map(target, targets)) for p, targets in each.targets.items()})

    return replace(found, sla=tuple(map(policy, found.sla)))


def rehearse(
    changed: PolicySet, events: Sequence[TicketEvent], end: float, start: datetime | None = None
) -> dict[str, tuple[Tally, Tally]]:
    """Before and after, by queue; the clocks run until `end` minutes."""
    known = {p.hash: p for p in policies().values()}
    rehearsal = Rehearsal(
        {changed.brand.key: changed}, lambda brand, hash: known.get(hash), AllCalendars(), start, at(end)
    )
    for event in events:
        rehearsal.event(event)
    assert rehearsal.unreadable == 0
    rows = rehearsal.result()
    assert rehearsal.tickets == sum(row.tickets for row in rows)
    return {row.queue: (row.before, row.after) for row in rows}


@pytest.fixture
def default() -> PolicySet:
    return policies()["default"]


def test_the_same_policy_would_have_changed_nothing(default: PolicySet) -> None:
    events = story(1, FOOD, (12, REPLY)) + story(2, "送错了", (20, REPLY))
    for before, after in rehearse(default, events, 60 * 80).values():
        assert before == after


def test_a_longer_target_would_have_spared_the_breach_its_escalation_and_its_voucher(default: PolicySet) -> None:
    longer = with_target(default, "red", Metric.FIRST_RESPONSE, timedelta(minutes=15))
    found = rehearse(longer, story(1, FOOD, (12, REPLY)), 20)
    assert found == {"quality_control": (Tally(1, 1, 1, 1000), Tally())}


def test_a_shorter_target_would_have_been_broken(default: PolicySet) -> None:
    shorter = with_target(default, "ordinary", Metric.FIRST_RESPONSE, timedelta(minutes=15))
    found = rehearse(shorter, story(1, "送错了", (20, REPLY)), 30)
    assert list(found.values()) == [(Tally(), Tally(breaches=1, escalations=1))]


def test_timers_fire_where_nothing_happens(default: PolicySet) -> None:
    """First response at 30 min, level 2 half an hour later; resolution at 48 h, which the change brings to 50 min."""
    shorter = with_target(default, "ordinary", Metric.RESOLUTION, timedelta(minutes=50))
    found = rehearse(shorter, story(1, "送错了"), 70)
    assert list(found.values()) == [(Tally(1, 2), Tally(2, 3))]


def test_an_acknowledgement_stops_the_levels_as_it_did(default: PolicySet) -> None:
    quiet = story(1, "送错了")
    [before] = rehearse(default, quiet, 100).values()
    assert before[0] == Tally(1, 2)
    escalation = breach_of(quiet, default)
    taken = NoteEscalation(escalation, Metric.FIRST_RESPONSE, 1, "acknowledged")
    [after] = rehearse(default, story(1, "送错了", (31, taken)), 100).values()
    assert after == (Tally(1, 1), Tally(1, 1))


def test_another_amount_is_seen_and_one_ticket_gets_one_voucher(default: PolicySet) -> None:
    rules = tuple(replace(rule, amount=1500) for rule in default.compensation.rules)
    dearer = replace(default, compensation=replace(default.compensation, rules=rules))
    found = rehearse(dearer, story(1, FOOD) + story(2, FOOD), 60)
    assert found == {"quality_control": (Tally(2, 4, 2, 2000), Tally(2, 4, 2, 3000))}


def test_a_policy_that_asks_for_other_tickets_is_matched_anew(default: PolicySet) -> None:
    """Without the row of the red channel the ticket would have been ordinary."""
    plain = replace(default, sla=tuple(policy for policy in default.sla if policy.name != "red"))
    found = rehearse(plain, story(1, FOOD, (12, REPLY)), 20)
    assert found == {"quality_control": (Tally(1, 1, 1, 1000), Tally())}


def test_the_coupon_of_a_resolution_is_owed_by_the_rule_there_is(default: PolicySet) -> None:
    """Points are no vouchers, and a standard without the rule owes nothing."""
    coupon = Resolve("m1", REPLY.content, "coupon", "CNY", 1500)
    rules = tuple(rule for rule in default.compensation.rules if rule.trigger.kind is not TriggerKind.RESOLUTION)
    without = replace(default, compensation=replace(default.compensation, rules=rules))
    events = story(1, "送错了", (5, coupon), (9, ReceiveRating("r1", 5, True, None)))
    assert list(rehearse(without, events + events, 20).values()) == [(Tally(vouchers=1, amount=1500), Tally())]


def test_repeats_other_brands_and_other_times_do_not_count(default: PolicySet) -> None:
    events = story(1, FOOD, (12, REPLY), (13, Assign("li")))
    again = rehearse(default, [*events, *events], 20)
    assert again == rehearse(default, events, 20)
    assert rehearse(default, story(1, FOOD, brand="demo"), 20) == {}
    assert rehearse(default, events, 20, start=at(1)) == {}
    assert rehearse(default, events, 0) == {}


def test_what_came_after_the_end_is_not_told(default: PolicySet) -> None:
    [found] = rehearse(default, story(1, FOOD, (12, REPLY)), 11).values()
    assert found[0] == Tally(1, 1, 1, 1000)


def test_events_that_cannot_be_replayed_are_counted(default: PolicySet) -> None:
    event = story(1, FOOD)[0]
    event.snapshot.clock_facts.ClearField("acknowledged_at")
    rehearsal = Rehearsal({"default": default}, lambda brand, hash: default, AllCalendars(), None, at(10))
    rehearsal.event(event)
    assert (rehearsal.unreadable, rehearsal.tickets) == (1, 0)


def test_late_orders_are_owed_what_the_rules_say(default: PolicySet) -> None:
    """¥5 above an hour; changed: ¥8. Not arrived counts as late as it is now, cancelled isn't late."""
    rules = tuple(
        replace(rule, amount=800, trigger=replace(rule.trigger, late_over=timedelta(minutes=30)))
        if rule.name == "order-late"
        else rule
        for rule in default.compensation.rules
    )
    dearer = replace(default, compensation=replace(default.compensation, rules=rules))
    orders = LateOrders({"default": dearer}, policies(), START, at(120))

    def facts(order: str, brand: str = "default", promised: float = 0) -> order_pb2.OrderFacts:
        return order_pb2.OrderFacts(order_id=order, brand=brand, promised_at=to_timestamp(at(promised)))

    def delivered(order: str, minutes: float) -> order_pb2.OrderDelivered:
        return order_pb2.OrderDelivered(order=facts(order), delivered_at=to_timestamp(at(minutes)))

    for event in (
        *(delivered("just", 60), delivered("late", 61), delivered("late", 61), delivered("soon", 30)),
        order_pb2.OrderPlaced(order=facts("away")),
        order_pb2.OrderCancelled(order=facts("cancelled")),
        order_pb2.OrderPlaced(order=facts("cancelled")),
        order_pb2.OrderPlaced(order=facts("other", brand="demo")),
        order_pb2.OrderPlaced(order=facts("before", promised=-1)),
        order_pb2.OrderPlaced(order=facts("after", promised=120)),
    ):
        orders.event(event)
    before, after = Tally(vouchers=2, amount=1000), Tally(vouchers=3, amount=2400)
    assert orders.result() == [Comparison("default", "(late orders)", 0, before, after, "CNY")]


def test_a_late_order_asks_at_every_bound_it_passes_as_it_did_when_it_ran(default: PolicySet) -> None:
    """¥5 above an hour; changed: topped up to ¥12 above two hours, and ¥3 besides above three."""
    [usual] = [rule for rule in default.compensation.rules if rule.name == "order-late"]

    def further(name: str, hours: float, amount: int, *, stack: bool = False) -> CompensationRule:
        trigger = replace(usual.trigger, late_over=timedelta(hours=hours))
        return replace(usual, name=name, reason=name, amount=amount, stack=stack, trigger=trigger)

    more = (further("besides", 3, 300, stack=True), further("far-too-late", 2, 1200), *default.compensation.rules)
    changed = replace(default, compensation=replace(default.compensation, rules=more))
    assert [owed(changed, "default", "o", timedelta(hours=h)) for h in (1, 1.5, 2, 2.5, 3.5)] == [
        Tally(),
        Tally(vouchers=1, amount=500),
        Tally(vouchers=1, amount=500),
        Tally(vouchers=2, amount=1200),
        Tally(vouchers=3, amount=1500),
    ]
    # Another bound for the same reason is paid already; a smaller amount is no top-up.
    same = (replace(further("again", 2, 1200), reason=usual.reason), further("less", 3, 100))
    again = replace(default, compensation=replace(default.compensation, rules=(*same, *default.compensation.rules)))
    assert owed(again, "default", "o", timedelta(hours=4)) == Tally(vouchers=1, amount=500)


def test_the_table_says_before_and_after_and_the_sum_of_a_brand() -> None:
    rows = [
        Comparison("default", "logistics", 12, Tally(3, 4, 0, 0), Tally(1, 1, 0, 0), "CNY"),
        Comparison("default", "quality_control", 5, Tally(1, 1, 1, 1000), Tally(1, 1, 1, 1500), "CNY"),
    ]
    assert table(rows).splitlines() == [
        "brand    queue            tickets  breaches    escalations  vouchers  amount",
        "default  logistics        12       3 → 1 (-2)  4 → 1 (-3)   0 → 0     CNY 0.00 → 0.00",
        "default  quality_control  5        1 → 1       1 → 1        1 → 1     CNY 10.00 → 15.00",
        "default  all              17       4 → 2 (-2)  5 → 2 (-3)   1 → 1     CNY 10.00 → 15.00",
    ]


def breach_of(events: Sequence[TicketEvent], found: PolicySet) -> str:
    """The id of the first response's breach, which is its escalation's."""
    rehearsal = Rehearsal({"default": found}, lambda brand, hash: found, AllCalendars(), None, at(40))
    for event in events:
        rehearsal.event(event)
    rehearsal.result()
    [(life, _)] = rehearsal._lives.values()
    return next(iter(life.breaches))
