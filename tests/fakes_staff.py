"""The router's staff in memory. It passes the same behaviour tests as `MongoStaff`."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from common.errors import Unavailable
from rules.staff import Queue, Record, Staff, staff_of
from services.router.assignment import Load
from services.router.staff import Kept
from tests.fakes_router import FakeTickets

_OPEN = ("received", "in_progress", "pending")


class FakeStaff:
    """`down`: answers nothing. Loads are counted over the tickets of `tickets`."""

    def __init__(self, tickets: FakeTickets) -> None:
        self._tickets = tickets
        self._records: dict[str, Kept] = {}
        self._waiting: list[str] = []
        self._given: dict[str, datetime] = {}
        self._seeded = False
        self.down = False

    def _answer(self) -> None:
        if self.down:
            raise Unavailable("the ticket database doesn't answer")

    async def get(self, key: str) -> Kept | None:
        self._answer()
        return self._records.get(key)

    async def save(self, base: int, kept: Kept) -> bool:
        self._answer()
        present = self._records.get(kept.record.key)
        if (present.record.version if present else 0) != base:
            return False
        self._put(kept)
        return True

    async def seed(self, records: Sequence[Kept]) -> None:
        self._answer()
        if not self._seeded:
            for kept in records:
                if kept.record.key not in self._records:
                    self._put(kept)
        self._seeded = True

    async def staff(self) -> Staff:
        self._answer()
        return staff_of(kept.record for kept in self._records.values())

    async def automatic_queues(self) -> list[Queue]:
        self._answer()
        found = [kept.record for kept in self._records.values()]
        return [each for each in found if isinstance(each, Queue) and each.auto_assign and not each.removed]

    async def loads(self) -> dict[str, Load]:
        self._answer()
        loads = {person: Load(0, at) for person, at in self._given.items()}
        for ticket in self._tickets.tickets.values():
            if ticket.assignee and ticket.status in _OPEN:
                before = loads.get(ticket.assignee, Load())
                loads[ticket.assignee] = replace(before, open=before.open + 1)
        return loads

    async def note_given(self, person_id: str, at: datetime) -> None:
        self._answer()
        if f"person/{person_id}" in self._records:
            self._given[person_id] = max(at, self._given.get(person_id, at))

    async def unpublished(self, limit: int) -> list[Record]:
        self._answer()
        return [self._records[key].record for key in self._waiting[:limit]]

    async def published(self, record: Record) -> None:
        self._answer()
        if self._records[record.key].record.version == record.version:
            self._waiting = [key for key in self._waiting if key != record.key]
        elif record.key not in self._waiting:
            self._waiting.append(record.key)

    def _put(self, kept: Kept) -> None:
        key = kept.record.key
        self._records[key] = kept
        self._waiting = [*(each for each in self._waiting if each != key), key]
