"""The relay: in order, acknowledged before the next, cleared only then."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

import pytest
from aiokafka.structs import RecordMetadata

from common.clock import ManualClock, SystemClock
from common.errors import Unavailable
from common.events import Outgoing
from services.router.relay import Relay
from tests.fakes_router import START, FakeLog, FakeTickets, complaint
from tests.unit.router.behaviour import assigned, opened


@pytest.fixture
def store() -> FakeTickets:
    return FakeTickets(ManualClock(START))


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest.fixture
def relay(store: FakeTickets, log: FakeLog) -> Relay:
    return Relay(store, log, SystemClock())


async def two_tickets(store: FakeTickets) -> list[str]:
    """The first with two events, the second with one."""
    first, second = opened(complaint(1)), opened(complaint(2))
    await store.add([first, second])
    await store.save([assigned(first.ticket)])
    return [first.ticket.id, second.ticket.id]


async def test_events_of_a_ticket_go_out_in_order_with_their_ids(
    store: FakeTickets, log: FakeLog, relay: Relay
) -> None:
    ids = await two_tickets(store)
    await relay.deliver(ids)
    assert [event.version for event in log.events(ids[0])] == [1, 2]
    assert [event.version for event in log.events(ids[1])] == [1]
    assert [m.id for m in log.messages] == [event.event_id for event in log.events()]
    assert {m.topic for m in log.messages} == {"tickets.v1"}
    assert log.messages[0].traceparent == "00-" + "a" * 32
    await relay.deliver(ids)
    assert len(log.messages) == 3, "what waits for being cleared isn't published again"
    await relay.clear()
    assert await store.pending() == 0


async def test_only_what_was_acknowledged_is_cleared(store: FakeTickets, log: FakeLog, relay: Relay) -> None:
    ids = await two_tickets(store)
    log.fails_after = 1
    with pytest.raises(Unavailable):
        await relay.deliver(ids)
    await relay.clear()
    assert [(e.ticket_id, e.version) for e in await store.uncleared(ids)] == [(ids[0], 2)]


async def test_a_crash_between_publishing_and_clearing_repeats_with_the_same_ids(
    store: FakeTickets, log: FakeLog, relay: Relay
) -> None:
    ids = await two_tickets(store)
    await relay.deliver(ids)
    await Relay(store, log, SystemClock()).deliver(await store.leftovers(timedelta(), 10))
    seen = [event.event_id for event in log.events(ids[0])]
    assert [event.version for event in log.events(ids[0])] == [1, 2, 1, 2]
    assert seen[:2] == seen[2:]


class SlowLog(FakeLog):
    """Acknowledges when told."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.asked = asyncio.Event()

    async def publish_all(self, messages: Sequence[Outgoing], timeout: float | None = None) -> list[RecordMetadata]:
        self.asked.set()
        await self.go.wait()
        return await super().publish_all(messages, timeout)


async def test_a_ticket_is_published_by_one_at_a_time_and_nothing_goes_out_twice(store: FakeTickets) -> None:
    log = SlowLog()
    relay = Relay(store, log, SystemClock())
    ids = await two_tickets(store)
    first = asyncio.ensure_future(relay.deliver(ids))
    await log.asked.wait()
    second = asyncio.ensure_future(relay.deliver(ids))
    log.go.set()
    await asyncio.gather(first, second)
    assert len(log.messages) == 3


async def until(store: FakeTickets) -> None:
    """Returns once nothing waits in the outbox."""
    while await store.pending():  # noqa: ASYNC110  the store has no event to wait for
        await asyncio.sleep(0)


async def test_run_delivers_leftovers_at_its_start_and_what_it_is_woken_for(store: FakeTickets, log: FakeLog) -> None:
    relay = Relay(store, log, SystemClock())
    ids = await two_tickets(store)
    running = asyncio.ensure_future(relay.run())
    async with asyncio.timeout(5):
        await until(store)
        await store.save([assigned(store.tickets[ids[1]])])
        relay.wake(ids[1])
        await until(store)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert [event.version for event in log.events(ids[1])] == [1, 2]


async def test_what_comes_while_it_is_cleared_stays_and_goes_out_once(store: FakeTickets, log: FakeLog) -> None:
    relay = Relay(store, log, SystemClock())
    first, _ = await two_tickets(store)
    await relay.deliver([first])
    clear = store.clear

    async def meanwhile(published: Mapping[str, int]) -> None:
        if store.tickets[first].version == 2:
            await store.save([assigned(store.tickets[first], cause="command:2")])
            await relay.deliver([first])
        await clear(published)

    store.clear = meanwhile  # type: ignore[method-assign]
    await relay.clear()
    assert [event.version for event in log.events(first)] == [1, 2, 3]
    assert await store.uncleared([first]) == []


async def test_ending_clears_what_was_published(store: FakeTickets, log: FakeLog) -> None:
    relay = Relay(store, log, SystemClock())
    ids = await two_tickets(store)
    await relay.deliver(ids)
    store.down = True
    running = asyncio.ensure_future(relay.run())
    async with asyncio.timeout(5):
        await store.refused.wait()
    store.down = False
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert await store.pending() == 0


async def test_run_keeps_trying_while_the_log_or_the_database_is_away(store: FakeTickets, log: FakeLog) -> None:
    relay = Relay(store, log, SystemClock())
    await two_tickets(store)
    log.down = True
    running = asyncio.ensure_future(relay.run())
    async with asyncio.timeout(10):
        await log.refused.wait()
        store.down = True
        log.down = False
        await store.refused.wait()
        assert not running.done()
        store.down = False
        await until(store)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
