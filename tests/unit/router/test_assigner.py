"""Choosing owners, for a call and by itself."""

import asyncio
from datetime import timedelta

import pytest

from common.clock import ManualClock
from common.errors import Refused
from rules.model import Calendar
from rules.staff import Person, Queue
from rules.words import Status
from services.router.assigner import AutoAssignment, StaffAssigner
from services.router.model import Ticket
from tests.fakes_router import START, FakeTickets, complaint, number
from tests.fakes_staff import FakeStaff
from tests.unit.router.behaviour import assigned, opened
from tests.unit.router.staff_behaviour import kept


def no_calendar(brand: str, name: str) -> Calendar | None:
    return None


class Office:
    """Staff, tickets, and what chooses."""

    def __init__(self) -> None:
        self.clock = clock = ManualClock(START)
        self.tickets = FakeTickets(clock)
        self.staff = FakeStaff(self.tickets)
        self.assigner = StaffAssigner(self.staff, no_calendar, clock)
        self.woken: list[str] = []
        self.automatic = AutoAssignment(self.staff, self.assigner, self.tickets, self.woken.append, clock)

    async def ticket(self, n: int) -> Ticket:
        """A ticket for customer_service."""
        update = opened(complaint(n, "买的时候说有优惠券"))
        await self.tickets.add([update])
        assert update.ticket.queue == "customer_service"
        return update.ticket

    async def has(self, *people: Person, automatic: bool = True) -> None:
        """Puts people, and the queue."""
        for person in people:
            await self.staff.save(0, kept(person))
        await self.staff.save(0, kept(Queue("default", "customer_service", auto_assign=automatic)))

    def owners(self) -> list[str]:
        return [ticket.assignee for ticket in self.tickets.tickets.values()]


@pytest.fixture
def office() -> Office:
    return Office()


def agent(name: str, capacity: int = 0) -> Person:
    return Person(name, queues=("customer_service",), capacity=capacity)


async def test_many_choices_at_once_keep_within_capacity(office: Office) -> None:
    await office.has(agent("a", 2), agent("b", 3))
    rows = [await office.ticket(n) for n in range(1, 8)]

    async def give(ticket: Ticket) -> str:
        async with office.assigner.choosing(ticket) as person:
            await asyncio.sleep(0)
            await office.tickets.save([assigned(ticket, person)])
            return person

    results = await asyncio.gather(*map(give, rows), return_exceptions=True)
    assert sorted(result for result in results if isinstance(result, str)) == ["a", "a", "b", "b", "b"]
    assert [type(result) for result in results if not isinstance(result, str)] == [Refused, Refused]


async def test_equals_take_turns(office: Office) -> None:
    await office.has(agent("a"), agent("b"), agent("c"))
    ticket = await office.ticket(1)
    chosen = []
    for _ in range(4):
        async with office.assigner.choosing(ticket) as person:
            chosen.append(person)
        office.clock.advance(timedelta(seconds=1))
    assert chosen == ["a", "b", "c", "a"]


async def test_in_an_automatic_queue_tickets_find_their_owner_by_themselves(office: Office) -> None:
    await office.has(agent("a"), agent("b"))
    first, second = await office.ticket(1), await office.ticket(2)
    await office.automatic.look()
    assert sorted(office.owners()) == ["a", "b"]
    assert sorted(office.woken) == sorted([first.id, second.id])
    after = office.tickets.tickets[number(1)]
    assert after.status is Status.IN_PROGRESS
    entry = after.history[-1]
    assert (entry.kind, entry.actor.id, entry.reason) == ("assigned", "router", "by load and skill")
    await office.automatic.look()
    assert {ticket.version for ticket in office.tickets.tickets.values()} == {2}


async def test_other_queues_wait_for_a_person(office: Office) -> None:
    await office.has(agent("a"), automatic=False)
    await office.ticket(1)
    await office.automatic.look()
    assert office.owners() == [""]


async def test_where_nobody_has_room_tickets_wait_and_are_given_when_somebody_comes(office: Office) -> None:
    await office.has(agent("a", 1))
    await office.ticket(1)
    await office.ticket(2)
    await office.automatic.look()
    assert sorted(office.owners()) == ["", "a"]
    await office.staff.save(0, kept(agent("b")))
    await office.automatic.look()
    assert sorted(office.owners()) == ["a", "b"]
