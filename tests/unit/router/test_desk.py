"""Commands of people: validated, locked by version, never done twice."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from common.clock import ManualClock
from common.errors import Conflict, Invalid, NotFound, PingxiError, StaleVersion
from rules.words import Status
from services.router.desk import Desk
from services.router.execution import Head
from services.router.model import Actor, ActorKind, Update
from services.router.ports import Filter
from services.router.relay import Relay
from tests.fakes_router import INDEX, START, VAULT, FakeLog, FakeTickets, complaint, number
from tests.unit.router.behaviour import assigned, opened

AGENT = Actor(ActorKind.AGENT, "li")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START + timedelta(minutes=3))


@pytest.fixture
async def store(clock: ManualClock) -> FakeTickets:
    tickets = FakeTickets(clock)
    await tickets.add([opened(complaint(1))])
    return tickets


@pytest.fixture
def desk(store: FakeTickets, clock: ManualClock) -> Desk:
    return Desk(store, Relay(store, FakeLog(), clock), VAULT, clock, INDEX)


def head(ticket_id: str = number(1), version: int = 0, key: str = "", actor: Actor = AGENT) -> Head:
    return Head(ticket_id, version, key, actor)


async def test_answers_are_stamped_by_the_routers_clock_and_readable_again(desk: Desk) -> None:
    ticket, event = await desk.reply(head(), "马上给您补发")
    assert event is not None
    assert ticket.facts.first_answer_at == START + timedelta(minutes=3)
    readable = await desk.read(number(1))
    assert readable.texts[ticket.messages[0].id] == "马上给您补发"
    assert readable.personal.contact == "+8613800000000"


async def test_a_number_is_understood_however_it_is_typed(desk: Desk) -> None:
    typed = number(1).lower().replace("-", " ").replace("0", "o")
    assert (await desk.read(typed)).ticket.id == number(1)


async def test_a_stale_version_is_refused_the_right_one_is_not(desk: Desk) -> None:
    await desk.assign(head(version=1), "li")
    with pytest.raises(StaleVersion):
        await desk.assign(head(version=1), "wang")
    assert (await desk.assign(head(version=2), "wang")).version == 3


async def test_a_repeated_command_returns_the_present_ticket_and_makes_no_event(desk: Desk, store: FakeTickets) -> None:
    await desk.reply(head(version=1, key="k"), "好的")
    await desk.assign(head(), "li")
    ticket, event = await desk.reply(head(version=1, key="k"), "好的")
    assert (ticket.version, event) == (3, None)
    assert len(await store.uncleared([number(1)])) == 3


@pytest.mark.parametrize(
    "other",
    [
        lambda desk: desk.reply(head(key="k"), "别的"),
        lambda desk: desk.assign(head(key="k"), "好的"),
    ],
)
async def test_a_key_used_for_something_else_is_a_conflict(
    desk: Desk, other: Callable[[Desk], Awaitable[object]]
) -> None:
    await desk.reply(head(key="k"), "好的")
    with pytest.raises(Conflict):
        await other(desk)


async def test_one_of_many_at_once_with_the_same_expected_version_wins(desk: Desk) -> None:
    results = await asyncio.gather(
        *(desk.assign(head(version=1), f"agent-{n}") for n in range(10)), return_exceptions=True
    )
    assert sum(isinstance(result, StaleVersion) for result in results) == 9


async def test_another_process_may_come_first(desk: Desk, store: FakeTickets) -> None:
    real_save, first = store.save, opened(complaint(1)).ticket

    async def beaten(updates: list[Update]) -> bool:
        store.save = real_save  # type: ignore[method-assign]
        await real_save([assigned(first, "wang", "command:other")])
        return await real_save(updates)

    store.save = beaten  # type: ignore[method-assign, assignment]
    ticket, _ = await desk.reply(head(), "好的")
    assert (ticket.version, ticket.assignee) == (3, "wang")


async def test_a_write_whose_answer_was_lost_is_not_done_twice(desk: Desk, store: FakeTickets) -> None:
    real_save = store.save

    async def deaf(updates: list[Update]) -> bool:
        store.save = real_save  # type: ignore[method-assign]
        await real_save(updates)
        return False

    store.save = deaf  # type: ignore[method-assign, assignment]
    ticket, event = await desk.reply(head(), "好的")
    assert event is not None
    assert (ticket.version, len(ticket.messages)) == (2, 1)


@pytest.mark.parametrize(
    ("call", "error", "field"),
    [
        (lambda d: d.assign(head(), " "), Invalid, "assignee"),
        (lambda d: d.assign(head(), "x" * 101), Invalid, "assignee"),
        (lambda d: d.reply(head(), ""), Invalid, "text"),
        (lambda d: d.reply(head(), "字" * 2001), Invalid, "text"),
        (lambda d: d.reply(head(), "好", ["i"] * 4), Invalid, "images"),
        (lambda d: d.resolve(head(), " \n", "refund"), Invalid, "text"),
        (lambda d: d.resolve(head(), "好", "magic"), Invalid, "resolution"),
        (lambda d: d.resolve(head(), "好", "refund", "CNY", -1), Invalid, "amount"),
        (lambda d: d.resolve(head(), "好", "refund", "", 5), Invalid, "amount"),
        (lambda d: d.reply(head(version=-1), "好"), Invalid, "expected_version"),
        (lambda d: d.reply(head(key="k" * 256), "好"), Invalid, "idempotency_key"),
        (lambda d: d.reply(head(actor=Actor(ActorKind.CUSTOMER)), "好"), Invalid, "actor"),
        (lambda d: d.reply(head(""), "好"), Invalid, "ticket_id"),
        (lambda d: d.reply(head("nonsense"), "好"), NotFound, "no such ticket"),
        (lambda d: d.reply(head(number(99)), "好"), NotFound, "no such ticket"),
        (lambda d: d.read(number(99)), NotFound, "no such ticket"),
        (lambda d: d.list(Filter(), "colour", 0, ""), Invalid, "order_by"),
        (lambda d: d.list(Filter(), "", 201, ""), Invalid, "page_size"),
        (lambda d: d.list(Filter(), "", 0, "!"), Invalid, "page_token"),
    ],
)
async def test_wrong_requests_name_the_field(
    desk: Desk, store: FakeTickets, call: Callable[[Desk], Awaitable[object]], error: type[PingxiError], field: str
) -> None:
    with pytest.raises(error, match=field):
        await call(desk)
    assert store.tickets[number(1)].version == 1


async def test_text_of_2000_characters_is_taken(desk: Desk) -> None:
    ticket, _ = await desk.resolve(head(), "字" * 2000, "")
    assert ticket.status is Status.RESOLVED
    assert ticket.history[-1].facts["resolution"] == "other"


async def test_pages_follow_each_other_while_tickets_come_and_go(desk: Desk, store: FakeTickets) -> None:
    await store.add([opened(complaint(n, acknowledged_at=START + timedelta(seconds=n))) for n in range(2, 8)])
    first, token = await desk.list(Filter(), "-acknowledged_at", 3, "")
    await store.add([opened(complaint(20, acknowledged_at=START + timedelta(hours=1)))])
    second, token = await desk.list(Filter(), "-acknowledged_at", 3, token)
    third, end = await desk.list(Filter(), "-acknowledged_at", 3, token)
    assert [ticket.id for ticket in (*first, *second, *third)] == [number(n) for n in (7, 6, 5, 4, 3, 2, 1)]
    assert end == ""


async def test_a_token_of_another_listing_is_refused(desk: Desk, store: FakeTickets) -> None:
    await store.add([opened(complaint(n)) for n in range(2, 5)])
    _, token = await desk.list(Filter(), "due", 2, "")
    with pytest.raises(Invalid, match="page_token"):
        await desk.list(Filter(brands=("demo",)), "due", 2, token)
