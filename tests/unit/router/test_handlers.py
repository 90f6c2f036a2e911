"""Batches of messages to tickets."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from common.clock import ManualClock
from common.errors import Poison, Unavailable
from rules.model import PolicySet
from rules.words import Metric
from services.router.commands import Arrival, Cause, NoteEscalation, ReceiveMessage, Submitted, Told
from services.router.handlers import ComplaintHandler, HistoryHandler
from services.router.model import Actor, ActorKind, Personal
from services.router.reading import Reader
from services.router.relay import Relay
from tests.fakes_router import (
    INDEX,
    START,
    VAULT,
    FakeLog,
    FakeOrders,
    FakePictures,
    FakeTickets,
    complaint,
    number,
    policies,
)

CUSTOMER = Actor(ActorKind.CUSTOMER)
SLA = Actor(ActorKind.SYSTEM, "sla")


class Book:
    """Remembers what was announced."""

    def __init__(self, log: FakeLog) -> None:
        self.log = log
        self.announced_before: dict[str, int] = {}

    def of(self, brand: str) -> PolicySet | None:
        return policies().get(brand)

    async def announce(self, hashes: Sequence[str]) -> None:
        for each in hashes:
            self.announced_before.setdefault(each, len(self.log.messages))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START + timedelta(seconds=1))


@pytest.fixture
def store(clock: ManualClock) -> FakeTickets:
    return FakeTickets(clock)


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest.fixture
def book(log: FakeLog) -> Book:
    return Book(log)


@pytest.fixture
def relay(store: FakeTickets, log: FakeLog, clock: ManualClock) -> Relay:
    return Relay(store, log, clock)


@pytest.fixture
def complaints(store: FakeTickets, relay: Relay, book: Book, clock: ManualClock) -> ComplaintHandler:
    return ComplaintHandler(store, relay, book, VAULT, clock, INDEX, Reader(), FakePictures(), FakeOrders())


@pytest.fixture
def history(store: FakeTickets, relay: Relay, clock: ManualClock) -> HistoryHandler:
    return HistoryHandler(store, relay, clock)


def said(n: int, message: str) -> Told:
    content = VAULT.seal(number(n), Personal(text="还没到"))
    cause = Cause(f"message:{message}", START + timedelta(minutes=1), CUSTOMER)
    return Told(number(n), ReceiveMessage(message, "app", content), cause)


def escalated(n: int, event: str = "e1") -> Told:
    note = NoteEscalation("b1", Metric.FIRST_RESPONSE, 1, "escalated")
    return Told(number(n), note, Cause(f"event:{event}", START + timedelta(minutes=10), SLA))


async def test_a_complaint_becomes_a_ticket_and_an_event_of_version_1(
    complaints: ComplaintHandler, store: FakeTickets, log: FakeLog, relay: Relay
) -> None:
    await complaints.handle([Submitted(complaint(n)) for n in (1, 2, 3)])
    assert set(store.tickets) == {number(1), number(2), number(3)}
    assert [event.version for event in log.events()] == [1, 1, 1]
    await relay.clear()
    assert await store.pending() == 0


async def test_a_policy_version_is_announced_before_the_first_event_that_uses_it(
    complaints: ComplaintHandler, book: Book, log: FakeLog
) -> None:
    await complaints.handle([Submitted(complaint(1)), Submitted(complaint(2, brand="demo"))])
    used = {event.snapshot.policy_hash for event in log.events()}
    assert book.announced_before == dict.fromkeys(used, 0)


async def test_the_same_complaint_again_is_ignored_within_a_batch_and_later(
    complaints: ComplaintHandler, store: FakeTickets, log: FakeLog
) -> None:
    await complaints.handle([Submitted(complaint(1)), Submitted(complaint(1))])
    await complaints.handle([Submitted(complaint(1)), Submitted(complaint(2))])
    assert store.tickets[number(1)].version == 1
    assert len(log.messages) == 2


async def test_another_complaint_under_the_same_id_is_poison(
    complaints: ComplaintHandler, store: FakeTickets, log: FakeLog
) -> None:
    await complaints.handle([Submitted(complaint(1))])
    with pytest.raises(Poison) as caught:
        await complaints.handle([Submitted(complaint(1, text="别的", fingerprint="other"))])
    assert caught.value.reason == "idempotency_conflict"
    assert store.tickets[number(1)].fingerprint == "print-1"
    assert len(log.messages) == 1


async def test_messages_of_the_same_batch_are_folded_in_order(
    complaints: ComplaintHandler, store: FakeTickets, log: FakeLog
) -> None:
    batch: list[Arrival] = [
        Submitted(complaint(1)),
        said(1, "m1"),
        Submitted(complaint(2)),
        said(1, "m2"),
        said(1, "m1"),
    ]
    await complaints.handle(batch)
    await complaints.handle(batch)
    assert [message.id for message in store.tickets[number(1)].messages] == ["m1", "m2"]
    assert [event.version for event in log.events(number(1))] == [1, 2, 3]


async def test_a_message_to_a_ticket_that_exists_is_added(complaints: ComplaintHandler, log: FakeLog) -> None:
    await complaints.handle([Submitted(complaint(1))])
    await complaints.handle([said(1, "m1")])
    assert [event.version for event in log.events(number(1))] == [1, 2]


@pytest.mark.parametrize(
    ("arrival", "reason"),
    [
        (said(9, "m1"), "unknown_ticket"),
        (Submitted(complaint(1, brand="nobody")), "unknown_brand"),
        (Submitted(complaint(1, personal=complaint(2).personal)), "seal_broken"),
    ],
)
async def test_what_can_never_be_processed_is_poison(
    complaints: ComplaintHandler, arrival: Submitted | Told, reason: str
) -> None:
    with pytest.raises(Poison) as caught:
        await complaints.handle([arrival])
    assert caught.value.reason == reason


async def test_what_was_stored_but_not_published_is_published_by_the_repeat(
    complaints: ComplaintHandler, store: FakeTickets, log: FakeLog, relay: Relay
) -> None:
    log.down = True
    batch: list[Arrival] = [Submitted(complaint(1)), said(1, "m1")]
    with pytest.raises(Unavailable):
        await complaints.handle(batch)
    assert await store.pending() == 2
    log.down = False
    await complaints.handle(batch)
    assert [event.version for event in log.events()] == [1, 2]
    await relay.clear()
    assert await store.pending() == 0


async def test_a_database_that_is_away_loses_nothing(complaints: ComplaintHandler, store: FakeTickets) -> None:
    store.down = True
    with pytest.raises(Unavailable):
        await complaints.handle([Submitted(complaint(1))])
    store.down = False
    await complaints.handle([Submitted(complaint(1))])
    assert number(1) in store.tickets


async def test_what_others_did_is_noted_once(
    complaints: ComplaintHandler, history: HistoryHandler, store: FakeTickets, log: FakeLog
) -> None:
    await complaints.handle([Submitted(complaint(1))])
    await history.handle([escalated(1), escalated(1)])
    await history.handle([escalated(1), escalated(1, "e2")])
    assert [entry.cause for entry in store.tickets[number(1)].history] == ["complaint", "event:e1", "event:e2"]
    assert [event.version for event in log.events()] == [1, 2, 3]


async def test_a_note_waits_for_its_ticket_but_does_not_hold_up_the_others(
    complaints: ComplaintHandler, history: HistoryHandler, store: FakeTickets
) -> None:
    await complaints.handle([Submitted(complaint(1))])
    with pytest.raises(Unavailable):
        await history.handle([escalated(2), escalated(1)])
    assert store.tickets[number(1)].version == 2
    await complaints.handle([Submitted(complaint(2))])
    await history.handle([escalated(2), escalated(1)])
    assert store.tickets[number(2)].version == 2
    assert store.tickets[number(1)].version == 2


async def test_a_note_for_a_ticket_that_never_comes_is_given_up(history: HistoryHandler, clock: ManualClock) -> None:
    with pytest.raises(Unavailable):
        await history.handle([escalated(2)])
    clock.advance(timedelta(minutes=5))
    with pytest.raises(Poison) as caught:
        await history.handle([escalated(2)])
    assert caught.value.reason == "unknown_ticket"


async def test_the_time_a_database_was_away_does_not_count_as_waiting(
    history: HistoryHandler, store: FakeTickets, clock: ManualClock
) -> None:
    store.down = True
    with pytest.raises(Unavailable):
        await history.handle([escalated(2)])
    clock.advance(timedelta(hours=1))
    store.down = False
    with pytest.raises(Unavailable):
        await history.handle([escalated(2)])
