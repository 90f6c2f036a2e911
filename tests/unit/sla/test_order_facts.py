"""What is known of an order, whatever the order and number of its events."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Poison
from common.words import to_timestamp
from gen.pingxi.v1 import order_pb2 as pb
from gen.pingxi.v1.common_pb2 import Money
from services.sla.order_facts import OrderFacts, fold, forget_at
from services.sla.order_wire import OrderEvent, facts_of

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def order(seq: int, minutes: int, **more: object) -> pb.OrderFacts:
    return pb.OrderFacts(
        order_id="o1",
        brand="default",
        customer_id="c1",
        seq=seq,
        merchant_id="m1",
        value=Money(currency="CNY", amount_minor=3000),
        promised_at=to_timestamp(START + timedelta(minutes=40)),
        eta=to_timestamp(START + timedelta(minutes=35 + seq)),
        identity_hashes=["h1"],
        occurred_at=to_timestamp(START + timedelta(minutes=minutes)),
    )


EVENTS: list[OrderEvent] = [
    pb.OrderPlaced(order=order(1, 0)),
    pb.EtaChanged(order=order(2, 5), reason="rain"),
    pb.OrderPickedUp(order=order(3, 20)),
    pb.OrderDelivered(order=order(4, 50), delivered_at=to_timestamp(START + timedelta(minutes=49))),
]
FACTS = [facts_of(event) for event in EVENTS]


def folded(facts: list[OrderFacts]) -> OrderFacts:
    found = reduce(fold, facts, None)
    assert found is not None
    return found


def test_the_state_follows_from_what_happened() -> None:
    assert [folded(FACTS[: n + 1]).state for n in range(4)] == ["placed", "placed", "picked_up", "delivered"]
    cancelled = facts_of(pb.OrderCancelled(order=order(5, 55)))
    assert fold(FACTS[0], cancelled).state == "cancelled"
    assert fold(FACTS[0], cancelled).over


def test_an_order_delivered_is_known_with_every_instant() -> None:
    known = folded(FACTS)
    assert known.placed_at == START
    assert known.picked_up_at == START + timedelta(minutes=20)
    assert known.delivered_at == START + timedelta(minutes=49)
    assert (known.seq, known.value_minor, known.currency) == (4, 3000, "CNY")


def test_the_order_of_events_does_not_matter() -> None:
    expected = folded(FACTS)
    for shuffled in permutations(FACTS):
        assert folded(list(shuffled)) == expected


@given(st.lists(st.sampled_from(FACTS), min_size=1, max_size=12))
def test_repeats_change_nothing(facts: list[OrderFacts]) -> None:
    assert folded([*facts, *facts]) == folded(facts)


def test_the_newest_event_says_why_the_time_moved() -> None:
    assert folded(FACTS[:2]).eta_reason == "rain"


@pytest.mark.parametrize("field", ["order_id", "brand", "occurred_at"])
def test_an_event_without_what_names_it_is_refused(field: str) -> None:
    event = pb.OrderPlaced(order=order(1, 0))
    event.order.ClearField(field)  # type: ignore[arg-type]
    with pytest.raises(Poison, match=field):
        facts_of(event)


def test_a_time_out_of_range_is_refused() -> None:
    event = pb.OrderPlaced(order=order(1, 0))
    event.order.occurred_at.seconds = 10**15
    with pytest.raises(Poison, match="bad_time"):
        facts_of(event)


def test_facts_are_kept_from_the_last_instant_that_is_known_of_an_order() -> None:
    month = timedelta(days=30)
    placed = replace(FACTS[0], promised_at=None, eta=None)
    assert forget_at(placed, month) == START + month
    assert forget_at(replace(placed, promised_at=START + timedelta(days=3)), month) == START + timedelta(days=33)
    assert forget_at(folded(FACTS), month) == START + timedelta(minutes=50) + month


def test_a_nonsense_promise_is_no_overflow() -> None:
    never = replace(FACTS[0], promised_at=datetime.max.replace(tzinfo=UTC))
    assert forget_at(never, timedelta(days=90)).year == 9999
