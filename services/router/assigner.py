"""Chooses owners: for a call that names none, and by itself for queues that are set so."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Protocol

from common.clock import Clock
from common.errors import Refused, Unavailable
from rules.staff import Calendars, Queue, Staff
from rules.words import Status
from services.router.assignment import Load, choose
from services.router.commands import Assign, Cause
from services.router.model import ROUTER, Ticket, Update
from services.router.policy import apply
from services.router.ports import Assigner, Filter, Order, Position

log = logging.getLogger(__name__)
_EVERY_SECONDS = 1.0
_AT_ONCE = 50
# A ticket that waits for its customer needs nobody yet.
_WANTING = (Status.RECEIVED, Status.IN_PROGRESS)


class Chosen(Protocol):
    """What a choice is made from. Every call raises Unavailable where the database doesn't answer."""

    async def staff(self) -> Staff:
        """Everybody, removed ones too."""
        ...

    async def loads(self) -> Mapping[str, Load]:
        """What everybody has, by person's id."""
        ...

    async def note_given(self, person_id: str, at: datetime) -> None:
        """The person was given a ticket."""
        ...

    async def automatic_queues(self) -> list[Queue]:
        """The queues whose tickets find their owner by themselves."""
        ...


class Ownerless(Protocol):
    """The tickets, as far as they are needed here: see `Tickets` of ports.py."""

    async def find(
        self, which: Filter, order: Order, after: Position | None, limit: int
    ) -> list[tuple[Ticket, Position]]: ...

    async def save(self, updates: Sequence[Update]) -> bool: ...


class StaffAssigner:
    """The `Assigner` of ports.py. One choice at a time in this process; with several processes a person may get one
    ticket above his capacity."""

    def __init__(self, chosen: Chosen, calendars: Calendars, clock: Clock) -> None:
        self._chosen = chosen
        self._calendars = calendars
        self._clock = clock
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def choosing(self, ticket: Ticket) -> AsyncIterator[str]:
        """Gives the chosen person's id; whoever chooses next sees what was stored inside."""
        async with self._turn:
            staff, loads, now = await self._chosen.staff(), await self._chosen.loads(), self._clock.now()
            person = choose(ticket, staff, loads, self._calendars, now)
            if person is None:
                raise Refused(f"nobody of {ticket.queue} is at work with room for another ticket")
            yield person.id
            await self._chosen.note_given(person.id, now)


class AutoAssignment:
    """Gives tickets without an owner to somebody, in queues with `auto_assign`: those that were just opened, and those
    for which nobody had room before."""

    def __init__(
        self, chosen: Chosen, assigner: Assigner, tickets: Ownerless, wake: Callable[[str], None], clock: Clock
    ) -> None:
        self._chosen = chosen
        self._assigner = assigner
        self._tickets = tickets
        self._wake = wake
        self._clock = clock

    async def run(self) -> None:
        """Looks every second."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                log.warning("no automatic assignment", extra={"reason": str(error)})
            await self._clock.sleep(_EVERY_SECONDS)

    async def look(self) -> None:
        """Once over all queues; within a queue the ticket that is due first comes first. Raises Unavailable."""
        for queue in await self._chosen.automatic_queues():
            which = Filter(brands=(queue.brand,), statuses=_WANTING, queues=(queue.name,), assignees=("",))
            for ticket, _ in await self._tickets.find(which, "due", None, _AT_ONCE):
                try:
                    await self._give(ticket)
                except Refused:
                    break

    async def _give(self, ticket: Ticket) -> None:
        async with self._assigner.choosing(ticket) as person:
            # Of two processes one comes first; the other's write finds a newer version and does nothing.
            cause = Cause(f"auto-assign:{ticket.version}", self._clock.now(), ROUTER, "by load and skill", person)
            event = apply(ticket, Assign(person), cause)
            if event is not None and await self._tickets.save([Update(ticket.version, (event,))]):
                self._wake(ticket.id)
