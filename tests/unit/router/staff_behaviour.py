"""How a store of staff behaves, whatever it is made of: run over the fake and over the real database."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from common.clock import ManualClock
from rules.staff import Person, Queue, Record, Rota, Shift
from rules.words import Status
from services.router.assignment import Load
from services.router.model import ROUTER
from services.router.staff import Change, Kept, Put, changed
from tests.fakes_router import START, complaint
from tests.unit.router.behaviour import assigned, opened

LI = Person("li", "李鸣", ("default",), ("legal", "logistics"), ("en",), "agent", "office", True, 3)
LEGAL = Queue("default", "legal", "法务部", ("li",), ("logistics",), auto_assign=True)
EMERGENCY = Rota("default", "emergency", (Shift("li", START, START + timedelta(hours=12, microseconds=1)),))


def kept(record: Record, before: Kept | None = None, key: str = "") -> Kept:
    """The record's next version."""
    after = changed(before, Put(record, 0, key, ROUTER), START)
    assert after is not None
    return after


class StaffBehaviour:
    """Subclasses give `staff` and `tickets`, on one database and `clock`."""

    async def test_a_record_comes_back_as_it_was_stored(self, staff: Any) -> None:
        for record in (LI, LEGAL, EMERGENCY):
            assert await staff.save(0, kept(record, key="k"))
            found = await staff.get(record.key)
            assert found.record == replace(record, version=1)
            assert found.changes == (Change(1, START, ROUTER, "k", found.changes[0].content),)
        everybody = await staff.staff()
        assert everybody.person("li") == replace(LI, version=1)
        assert everybody.queue("default", "legal") == replace(LEGAL, version=1)
        assert everybody.rota("default", "emergency") == replace(EMERGENCY, version=1)
        assert await staff.get("person/nobody") is None

    async def test_only_the_version_it_was_made_from_is_replaced(self, staff: Any) -> None:
        first = kept(LI)
        assert await staff.save(0, first)
        assert not await staff.save(0, first)
        assert await staff.save(1, kept(replace(LI, away=False), first))
        assert not await staff.save(1, kept(LI, first))
        assert (await staff.get("person/li")).record == replace(LI, away=False, version=2)

    async def test_a_seed_is_loaded_once_and_changes_nobody_who_is_there(self, staff: Any) -> None:
        await staff.save(0, kept(replace(LI, name="changed")))
        await staff.seed([kept(LI), kept(LEGAL)])
        await staff.seed([kept(EMERGENCY)])
        found = await staff.staff()
        assert found.person("li").name == "changed"
        assert found.queue("default", "legal") is not None
        assert found.rota("default", "emergency") is None

    async def test_what_was_stored_waits_until_it_is_published(self, staff: Any, clock: ManualClock) -> None:
        await staff.save(0, kept(LI))
        clock.advance(timedelta(seconds=1))
        await staff.save(0, kept(LEGAL))
        waiting = await staff.unpublished(9)
        assert [record.key for record in waiting] == [LI.key, LEGAL.key]
        assert await staff.unpublished(1) == waiting[:1]
        await staff.published(waiting[0])
        assert await staff.unpublished(9) == waiting[1:]

    async def test_an_older_version_that_came_out_late_is_followed_by_the_newer_one_again(self, staff: Any) -> None:
        first = kept(LI)
        second = kept(LI, first)
        await staff.save(0, first)
        await staff.save(1, second)
        await staff.published(second.record)
        assert await staff.unpublished(9) == []
        await staff.published(first.record)
        assert await staff.unpublished(9) == [second.record]

    async def test_automatic_queues(self, staff: Any) -> None:
        await staff.save(0, kept(LEGAL))
        await staff.save(0, kept(Queue("default", "logistics")))
        await staff.save(0, kept(Queue("demo", "legal", auto_assign=True, removed=True)))
        assert [queue.key for queue in await staff.automatic_queues()] == [LEGAL.key]

    async def test_a_load_is_the_open_tickets_and_when_one_was_given_last(self, staff: Any, tickets: Any) -> None:
        await staff.save(0, kept(LI))
        rows = [opened(complaint(n)) for n in range(1, 5)]
        await tickets.add(rows)
        await tickets.save([assigned(rows[0].ticket), assigned(rows[1].ticket), assigned(rows[2].ticket, "wang")])
        resolved = assigned(rows[3].ticket)
        event = replace(resolved.events[0], ticket=replace(resolved.ticket, status=Status.RESOLVED))
        await tickets.save([replace(resolved, events=(event,))])
        await staff.note_given("li", START)
        await staff.note_given("li", START - timedelta(seconds=1))
        await staff.note_given("nobody", START)
        assert await staff.loads() == {"li": Load(2, START), "wang": Load(1)}
