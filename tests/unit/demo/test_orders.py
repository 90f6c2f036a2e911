"""The day's orders: whose they are, when they are told, and which one is late."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from common.words import from_timestamp
from deploy.demo.day import SURGE_AT, load_rows, plan_day
from deploy.demo.orders import LATE_BY, PROMISED, about, events_of, message_of, plan_orders
from deploy.demo.sighting import OUTBOX, Sighting
from deploy.demo.steps import LATE_ORDER
from deploy.demo.story import Story
from gen.pingxi.v1 import compensation_pb2, order_event_pb2, order_pb2, ticket_pb2

COMPLAINTS = plan_day(load_rows(), "r1", 60.0)
ORDERS = plan_orders(COMPLAINTS, "r1", 60.0)
LATE = next(order for order in ORDERS if order.late)
START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_every_order_of_the_surge_is_placed_by_who_complains_about_it() -> None:
    placed = {order.id: order.customer_id for order in ORDERS}
    shop = [each for each in COMPLAINTS if each.fields.get("merchantId") == SURGE_AT]
    complained = {str(c.fields["orderId"]): c.customer_id for c in shop if "orderId" in c.fields}
    assert complained
    assert complained.items() <= placed.items()
    assert len(placed) == len(ORDERS)


def test_all_orders_come_in_time_but_one_that_nobody_complains_about() -> None:
    late = [order for order in ORDERS if order.late]
    assert len(late) == 1
    assert late[0].customer_id not in {complaint.customer_id for complaint in COMPLAINTS}
    for event in events_of(ORDERS):
        body = message_of(event, START).body
        if isinstance(body, order_pb2.OrderDelivered):
            delivered, promised = from_timestamp(body.delivered_at), from_timestamp(body.order.promised_at)
            assert delivered is not None
            assert promised is not None
            assert delivered < promised
    ended = Counter(event.order.id for event in events_of(ORDERS) if event.kind == "OrderDelivered")
    assert ended == Counter(order.id for order in ORDERS if not order.late)


def test_events_are_told_in_their_order_each_with_an_id_of_its_own() -> None:
    events = events_of(ORDERS)
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert len({message_of(event, START).id for event in events}) == len(events)
    by_order: dict[str, list[int]] = {}
    for event in events:
        by_order.setdefault(event.order.id, []).append(event.seq)
    assert all(numbers == [1, 2, 3] for numbers in by_order.values())


def test_the_late_one_is_seen_to_be_late_before_its_promised_time_with_the_reason() -> None:
    (event,) = [event for event in events_of(ORDERS) if event.kind == "EtaChanged"]
    body = message_of(event, START).body
    assert isinstance(body, order_pb2.EtaChanged)
    assert (event.order, body.reason) == (LATE, "weather")
    promised = START + timedelta(seconds=LATE.placed_at + PROMISED)
    assert START + timedelta(seconds=event.at) < promised
    assert from_timestamp(body.order.eta) == promised + timedelta(seconds=LATE_BY)


def test_the_story_is_told_from_what_concerns_the_late_order_only() -> None:
    story = Story("D", "late", LATE_ORDER)
    story.accept(LATE.id, "", START, START)

    def see(place: str, kind: str, ticket: str, body: object) -> list[str]:
        return [seen.step.name for seen in story.observe(about(Sighting(START, place, kind, ticket, "1", body), LATE))]

    opened = ticket_pb2.TicketEvent(
        ticket_id="T", opened=ticket_pb2.TicketOpened(), snapshot=ticket_pb2.TicketSnapshot(order_id=LATE.id, red=True)
    )
    push = {"recipient": f"customer:{LATE.customer_id}", "channel": "push", "text": "晚到"}
    asked = compensation_pb2.CompensationRequested(order_id=LATE.id)
    assert see("tickets.v1", "TicketEvent", "T", opened) == ["ticket by itself"]
    assert see(OUTBOX, "delay", "", {**push, "recipient": "customer:another"}) == []
    assert see(OUTBOX, "delay", "", push) == ["customer told ahead"]
    assert see("compensation-requests", "CompensationRequested", LATE.id, asked) == ["owed"]
    assert see("order-events.v1", "DelayExpected", LATE.id, order_event_pb2.DelayExpected()) == ["delay expected"]
