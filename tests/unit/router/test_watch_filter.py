"""Who watches tickets sees those of his filter, and is sent away where he can't follow."""

from typing import Any

import pytest

from common.errors import Unavailable
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from rules.words import Category, Priority, Status
from services.router.ports import Filter
from services.router.watch import Watch, _Watcher, fits
from services.router.wire import event_to_proto
from tests.fakes_router import START, complaint
from tests.unit.router.behaviour import opened


def event() -> TicketEvent:
    return event_to_proto(opened(complaint(1, "菜里有虫子")).events[0])


async def everything(watcher: _Watcher) -> tuple[list[TicketEvent], str]:
    """All events, and why they ended."""
    seen = []
    try:
        async for each in watcher.events():
            seen.append(each)
    except Unavailable as end:
        return seen, str(end)
    raise AssertionError("the events end with an error only")


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ({}, True),
        ({"brands": ("default", "demo")}, True),
        ({"brands": ("demo",)}, False),
        ({"statuses": (Status.RECEIVED,), "queues": ("quality_control",)}, True),
        ({"statuses": (Status.CLOSED,)}, False),
        ({"priorities": (Priority.URGENT,), "categories": (Category.FOOD_SAFETY,)}, True),
        ({"priorities": (Priority.LOW,)}, False),
        ({"assignees": ("",)}, True),
        ({"assignees": ("li",)}, False),
        ({"customer_id": "customer-1", "order_id": "order-1"}, True),
        ({"order_id": "order-2"}, False),
        ({"acknowledged_from": START}, True),
        ({"acknowledged_to": START}, False),
    ],
)
def test_a_watchers_filter_is_that_of_a_listing(parts: dict[str, Any], wanted: bool) -> None:
    assert fits(Filter(**parts), event()) is wanted


async def test_a_watcher_gets_what_was_offered_then_the_end() -> None:
    watcher = _Watcher(Filter())
    watcher.offer(event())
    watcher.end("over")
    assert await everything(watcher) == ([event()], "over")


async def test_a_watcher_too_far_behind_is_sent_away() -> None:
    watcher, one = _Watcher(Filter()), event()
    for _ in range(10_001):
        watcher.offer(one)
    seen, why = await everything(watcher)
    assert (len(seen), why) == (10_000, "the watcher is too far behind")


async def test_before_the_log_is_read_nobody_can_watch() -> None:
    with pytest.raises(Unavailable), Watch("127.0.0.1:1", "").watching(Filter()):
        pass
