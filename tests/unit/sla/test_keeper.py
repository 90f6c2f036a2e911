"""What a keeper does when it dies, and what comes twice comes in another order: on the keeper of orders."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.message import Message as Proto

from common.clock import ManualClock
from common.events import Outgoing, encode
from common.policyfiles import load_all
from common.words import to_timestamp
from gen.pingxi.v1 import order_pb2
from gen.pingxi.v1.internal_pb2 import DueCame
from services.sla.orders.stream import DUE, ORDERS, OrderKeeper
from services.sla.risk.model import load_risk_model
from services.sla.timers import Timers
from services.sla.unpublished import unpublished_of

POLICIES = load_all(Path("policies"))
NOW = datetime(2026, 11, 22, 11, 10, tzinfo=UTC)
PROMISED = NOW + timedelta(minutes=25)
# Past every bound of the default policy.
LATE = PROMISED + timedelta(hours=3)


class Killed(BaseException):
    """The process ends here."""


class Table(dict[bytes, bytes]):
    """The rows, and how often they were made sure of."""

    @contextmanager
    def during(self, event: Any) -> Iterator[None]:
        yield

    async def changelog_acknowledged(self) -> None:
        pass


class Log:
    """A publisher; `dies` after so many messages."""

    def __init__(self) -> None:
        self.messages: list[Outgoing] = []
        self.dies: int | None = None

    async def publish_all(self, messages: Sequence[Outgoing], timeout: float) -> None:
        for message in messages:
            if self.dies == 0:
                raise Killed
            if self.dies is not None:
                self.dies -= 1
            self.messages.append(message)

    def kinds(self) -> list[str]:
        """Of each message once, as consumers see it."""
        return [message.body.DESCRIPTOR.name for message in {m.id: m for m in self.messages}.values()]


def keeper(table: Table, log: Log, clock: ManualClock) -> OrderKeeper:
    """A process that has just started on what the table holds."""
    given: Any = {"table": table, "timers": Timers(), "publisher": log, "clock": clock, "topic_prefix": ""}
    return OrderKeeper(policies=POLICIES, risk=load_risk_model(), fail=lambda error: None, **given)


def event(topic: str, offset: int, body: Proto) -> Any:
    key, value, headers = encode(Outgoing(topic, "o1" if topic == ORDERS else "", "e", "o1", NOW, body), "test")
    fields: Mapping[str, Any] = {"key": key, "value": value, "headers": headers, "offset": offset, "partition": 0}
    return SimpleNamespace(message=SimpleNamespace(topic=topic, **fields))


def order(seq: int, at: datetime) -> order_pb2.OrderFacts:
    return order_pb2.OrderFacts(
        order_id="o1",
        brand="default",
        customer_id="c1",
        seq=seq,
        promised_at=to_timestamp(PROMISED),
        occurred_at=to_timestamp(at),
    )


PLACED = event(ORDERS, 0, order_pb2.OrderPlaced(order=order(1, NOW)))
DELIVERED = event(ORDERS, 1, order_pb2.OrderDelivered(order=order(2, PROMISED)))
TIMER = event(DUE, 0, DueCame(as_of=to_timestamp(LATE), ticket_ids=["o1"]))


@pytest.mark.parametrize("published", range(3))
@pytest.mark.parametrize("together", [False, True], ids=["chunk by chunk", "in one chunk"])
async def test_a_delivery_that_is_read_before_the_repeated_timer_takes_back_what_was_published_before_the_death(
    published: int, together: bool
) -> None:
    table, log, clock = Table(), Log(), ManualClock(LATE)
    first = [PLACED, TIMER] if together else [TIMER]
    if not together:
        await keeper(table, log, clock)._process([PLACED])
    log.dies = published
    with pytest.raises(Killed):
        await keeper(table, log, clock)._process(first)
    asked = [m for m in log.messages if m.body.DESCRIPTOR.name == "CompensationRequested"]
    log.dies = None
    # Offsets of different topics say nothing of each other: the delivery first this time, and the timer after it.
    again = keeper(table, log, clock)
    for each in [PLACED, DELIVERED, TIMER] if together else [DELIVERED, TIMER]:
        await again._process([each])
    kinds = log.kinds()
    assert len(asked) <= 1
    assert kinds.count("CompensationRequested") == kinds.count("CompensationWithdrawn") == 1
    assert kinds.index("CompensationRequested") < kinds.index("CompensationWithdrawn")
    assert unpublished_of(table[b"o1"]) == []


async def test_what_was_published_to_the_end_is_not_kept() -> None:
    table, log, clock = Table(), Log(), ManualClock(LATE)
    await keeper(table, log, clock)._process([PLACED, TIMER])
    assert log.kinds()
    assert unpublished_of(table[b"o1"]) == []
    count = len(log.messages)
    await keeper(table, log, clock)._process([TIMER])
    assert len(log.messages) == count
