"""`MongoParts` in memory: passes the same behaviour tests."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime

from services.router.model import Complaint
from services.router.parts import Part, Parts


class FakeParts:
    """The `PartTexts` of ports.py."""

    def __init__(self) -> None:
        self._parts: dict[str, Parts] = {}
        self._since: dict[str, datetime] = {}

    async def add(self, complaint: Complaint, part: Part, now: datetime) -> Parts:
        key = complaint.ticket_id
        await self.reserve(complaint, part.of, now)
        known = self._parts[key]
        if not known.settled and part.place not in known.messages:
            known = replace(
                known,
                messages={**known.messages, part.place: part.message_id},
                texts={**known.texts, part.place: complaint.personal},
            )
            self._parts[key] = known
        return known

    async def reserve(self, complaint: Complaint, of: int, now: datetime) -> None:
        """The first of the two writes of `add`."""
        key = complaint.ticket_id
        if key not in self._parts:
            self._parts[key] = Parts(key, of, {}, {}, (), complaint)
            self._since[key] = now

    async def open_with(self, ticket_id: str, places: Sequence[int]) -> Parts:
        known = self._parts[ticket_id]
        if not known.opened:
            self._parts[ticket_id] = replace(known, opened=tuple(places))
        return self._parts[ticket_id]

    async def settle(self, ticket_id: str) -> None:
        self._parts[ticket_id] = replace(self._parts[ticket_id], texts={}, complaint=None)
        self._since.pop(ticket_id, None)

    async def overdue(self, since: datetime, limit: int) -> list[Parts]:
        due = sorted((at, ticket_id) for ticket_id, at in self._since.items() if at <= since)
        return [self._parts[ticket_id] for _, ticket_id in due[:limit]]

    async def waiting(self) -> AsyncIterator[Parts]:
        for ticket_id in sorted(self._since):
            if ticket_id in self._since:
                yield self._parts[ticket_id]
