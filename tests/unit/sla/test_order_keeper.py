"""An order's event from the wire to what is published, and a row to the table's bytes and back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.clock import ManualClock
from common.errors import Poison
from common.events import Outgoing, encode
from common.policyfiles import load_all
from common.words import to_timestamp
from gen.pingxi.v1 import order_event_pb2, order_pb2
from services.sla.orders import model as m
from services.sla.orders.opener import complaint_of
from services.sla.orders.policy import terms_of
from services.sla.orders.risk import risk_of
from services.sla.orders.stream import ORDERS, OrderKeeper
from services.sla.orders.wire import late_order_of, outgoing, row_from_bytes, row_to_bytes
from services.sla.risk.model import load_risk_model
from services.sla.timers import Timers

POLICIES = load_all(Path("policies"))
MODEL = load_risk_model()
SHANGHAI = ZoneInfo("Asia/Shanghai")
# 19:10 on a Sunday in Shanghai.
NOW = datetime(2026, 11, 22, 11, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def keeper() -> OrderKeeper:
    given: Any = {
        "table": None,
        "timers": Timers(),
        "publisher": None,
        "clock": ManualClock(NOW),
        "topic_prefix": "",
        "fail": lambda error: None,
    }
    return OrderKeeper(policies=POLICIES, risk=MODEL, **given)


def order(**changed: Any) -> order_pb2.OrderFacts:
    given: dict[str, Any] = {
        "order_id": "o1",
        "brand": "default",
        "customer_id": "c1",
        "seq": 1,
        "region": "hz",
        "merchant_id": "m1",
        "products": ["p1", "p2"],
        "promised_at": to_timestamp(NOW + 25 * MINUTE),
        "occurred_at": to_timestamp(NOW),
        "distance_km": 9.4,
        "traffic": "jam",
        "weather": "fog",
        **changed,
    }
    return order_pb2.OrderFacts(**given)


def placed(**changed: Any) -> tuple[m.Watched, tuple[m.Effect, ...]]:
    row, effects = keeper().judge(None, order_pb2.OrderPlaced(order=order(**changed)))
    assert row is not None
    return row, tuple(effects)


def test_an_order_that_is_placed_is_judged_by_its_circumstances_and_nothing_is_said_yet() -> None:
    row, effects = placed(courier_orders=3, courier_rating=4.1)
    assert effects == ()
    assert row.risk is not None
    easy, _ = placed(traffic="low", weather="sunny", courier_orders=0, courier_rating=4.9)
    assert easy.risk is not None
    assert easy.risk.probability < row.risk.probability
    assert row.risk.probability > 0.5


def test_the_circumstance_without_which_it_would_be_in_time_is_the_reason() -> None:
    facts = order(courier_orders=3, courier_rating=4.8, traffic="low", weather="sunny")
    busy = risk_of(MODEL, facts, NOW, NOW + 25 * MINUTE, NOW, SHANGHAI)
    assert busy.reason == "busy"
    nothing = risk_of(MODEL, order(traffic="", weather=""), NOW, NOW + 25 * MINUTE, NOW, SHANGHAI)
    assert nothing.reason == ""


def test_the_longer_it_is_on_its_way_the_likelier_it_is_late() -> None:
    said = [
        risk_of(MODEL, order(), NOW, NOW + 25 * MINUTE, NOW + minutes * MINUTE, SHANGHAI).probability
        for minutes in (0, 10, 20, 24, 26)
    ]
    assert said == sorted(said)
    assert said[-1] == 1


@pytest.mark.parametrize(
    "changed",
    [{"brand": "demo"}, {"promised_at": None}, {"promised_at": to_timestamp(NOW - MINUTE)}],
)
def test_what_cannot_be_judged_or_nobody_would_be_told_is_not(changed: dict[str, Any]) -> None:
    row, _ = placed(**changed)
    assert row.risk is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (order_pb2.OrderPlaced(order=order(brand="nobody")), "unknown_brand"),
        (order_pb2.OrderPlaced(order=order(brand="")), "missing_field"),
        (order_pb2.EtaChanged(order=order(occurred_at=None)), "missing_field"),
    ],
)
def test_an_order_that_makes_no_sense_is_poison(body: order_pb2.OrderPlaced, reason: str) -> None:
    with pytest.raises(Poison) as poison:
        keeper().judge(None, body)
    assert poison.value.reason == reason


def test_an_order_of_another_brand_under_the_same_number_is_poison() -> None:
    row, _ = placed()
    with pytest.raises(Poison):
        keeper().judge(row, order_pb2.OrderPlaced(order=order(brand="demo", seq=2)))


def test_a_key_that_is_not_the_order_is_poison() -> None:
    body = order_pb2.OrderPlaced(order=order())
    key, value, headers = encode(Outgoing(ORDERS, "o1", "e1", "o1", NOW, body), "test")
    assert keeper().read(ORDERS, 0, 0, key, value, headers) == body
    with pytest.raises(Poison, match="key"):
        keeper().read(ORDERS, 0, 0, b"o2", value, headers)


def _ticket(row: m.Watched) -> m.TicketAsked:
    return m.TicketAsked("id", row.facts, NOW, timedelta(hours=2), delivered=False)


def test_the_complaint_of_an_order_far_too_late_is_always_the_same() -> None:
    row, _ = placed()
    body = outgoing(_ticket(row)).body
    assert isinstance(body, order_event_pb2.OrderFarTooLate)
    complaint = complaint_of(late_order_of(body), POLICIES["default"])
    body.delivered = True
    assert complaint_of(late_order_of(body), POLICIES["default"]) == complaint
    assert complaint.idempotency_key == "late/default/o1"
    assert (complaint.channel, complaint.type, complaint.contact) == ("system", "delivery", "")
    assert complaint.description == "系统自动建单：订单送达晚于承诺时间 2小时 以上。"
    assert complaint.order_late.ToTimedelta() > timedelta(hours=2)


@pytest.mark.parametrize("field", ["order_id", "brand", "customer_id", "promised_at"])
def test_a_ticket_for_nobody_is_poison(field: str) -> None:
    body = outgoing(_ticket(placed()[0])).body
    body.ClearField(field)
    with pytest.raises(Poison, match=field):
        late_order_of(body)  # type: ignore[arg-type]


@given(
    st.lists(st.sampled_from(["eta", "risk", "overdue"]), max_size=3),
    st.none() | st.floats(0, 1).map(lambda p: m.Risk(round(p, 6), "weather")),
    st.tuples(st.booleans(), st.integers(0, 2), st.booleans(), st.booleans()),
    st.booleans(),
)
def test_a_row_survives_the_table(
    told: list[m.Cause], risk: m.Risk | None, flags: tuple[bool, int, bool, bool], never: bool
) -> None:
    row, _ = placed()
    terms = terms_of(POLICIES["default"])
    if never:
        terms = replace(terms, eta_lead=None, ticket_over=None, risk_above=None, late_over=())
    row = m.Watched(
        row.facts, terms, risk, tuple(m.Told(c, n, NOW if c == "eta" else None) for n, c in enumerate(told, 1)), *flags
    )
    assert row_from_bytes("o1", row_to_bytes(row)) == row
