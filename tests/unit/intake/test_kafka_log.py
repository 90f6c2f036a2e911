import asyncio
from typing import cast

import pytest

from common.errors import Unavailable
from common.events import Outgoing
from common.publisher import Publisher
from common.sealing import Sealer
from services.intake.kafka_log import HURRY_SECONDS, KafkaLog
from tests.unit.intake.fakes import Bench, submission


class StuckPublisher:
    """Acknowledges nothing until `gate` is set."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.sent: list[Outgoing] = []

    async def publish(self, message: Outgoing) -> None:
        self.sent.append(message)
        await self.gate.wait()


async def test_after_a_stop_a_send_in_flight_and_a_later_one_wait_only_a_moment() -> None:
    bench = Bench()
    await bench.intake.submit(submission(), "app", None)
    (complaint,) = bench.log.complaints
    publisher, stop = StuckPublisher(), asyncio.Event()
    log = KafkaLog(cast(Publisher, publisher), Sealer("k1", {"k1": b"k" * 32}))
    hurrying = asyncio.create_task(log.hurry_after(stop))
    in_flight = asyncio.create_task(log.append(complaint))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not in_flight.done()
    stop.set()
    await hurrying
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(Unavailable, match="stopping"):
        await in_flight
    with pytest.raises(Unavailable, match="stopping"):
        await log.append(complaint)
    assert loop.time() - began < 2 * HURRY_SECONDS


async def test_a_send_that_is_acknowledged_isn_t_hurried() -> None:
    bench = Bench()
    await bench.intake.submit(submission(), "app", None)
    publisher = StuckPublisher()
    publisher.gate.set()
    log = KafkaLog(cast(Publisher, publisher), Sealer("k1", {"k1": b"k" * 32}))
    await log.append(bench.log.complaints[0])
    assert [message.key for message in publisher.sent] == [bench.log.complaints[0].ticket_id]
