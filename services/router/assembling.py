"""Puts the parts of long texts together before they are complaints."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from common.clock import Clock
from common.errors import Poison, Unavailable
from services.router.commands import Arrival, Submitted
from services.router.model import Complaint, Personal
from services.router.parts import Part, Parts, late, part_of, whole
from services.router.ports import PartTexts, Policies, Vault

log = logging.getLogger(__name__)

Handle = Callable[[Sequence[Arrival]], Awaitable[None]]
_EVERY_SECONDS = 1.0
_AT_ONCE = 100


class Assembling:
    """In front of `handle` (the ComplaintHandler's). A part waits at most `patience` for the others."""

    def __init__(
        self, parts: PartTexts, handle: Handle, policies: Policies, vault: Vault, clock: Clock, patience: timedelta
    ) -> None:
        self._parts = parts
        self._handle = handle
        self._policies = policies
        self._vault = vault
        self._clock = clock
        self._patience = patience

    async def handle(self, arrivals: Sequence[Arrival]) -> None:
        """When it returns everything is a ticket, or kept as a part of one. Every step may be repeated.

        Raises what `handle` raises.
        """
        ready: list[Arrival] = []
        opening: list[str] = []
        for each in arrivals:
            part = part_of(each.complaint) if isinstance(each, Submitted) else None
            if part is None:
                ready.append(each)
            else:
                assert isinstance(each, Submitted)
                ready += await self._take(each, part, opening)
        await self._handle(ready)
        for ticket_id in opening:
            await self._parts.settle(ticket_id)

    async def _take(self, submitted: Submitted, part: Part, opening: list[str]) -> list[Arrival]:
        complaint = submitted.complaint
        if self._policies.of(complaint.brand) is None:
            raise Poison("unknown_brand", complaint.brand[:50])
        # What doesn't open is refused before it is kept: the others must not wait for it.
        personal = self._vault.open(complaint.ticket_id, complaint.personal)
        parts = await self._parts.add(complaint, part, self._clock.now())
        ready: list[Arrival] = []
        if not parts.settled:
            if not parts.opened and parts.complete:
                parts = await self._parts.open_with(parts.ticket_id, tuple(sorted(parts.texts)))
            if not parts.opened:
                return []
            ready.append(self._whole(parts))
            opening.append(parts.ticket_id)
        if part.place not in parts.opened or parts.messages.get(part.place) != part.message_id:
            # Too late, or a gateway that uses its reference again: it is said all the same.
            content = self._vault.seal(complaint.ticket_id, Personal(text=personal.text))
            ready.append(late(complaint, part, content, submitted.trace))
        return ready

    def _whole(self, parts: Parts) -> Submitted:
        return whole(parts, self._vault.open, self._vault.seal)

    async def run(self) -> None:
        """Until cancelled: opens the tickets of texts whose parts have waited long enough."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                log.warning("parts wait", extra={"reason": str(error)})
            await asyncio.sleep(_EVERY_SECONDS)

    async def look(self) -> None:
        """All that is due now. Raises Unavailable."""
        for parts in await self._parts.overdue(self._clock.now() - self._patience, _AT_ONCE):
            await self._open(parts)

    async def hasten(self, whose: Callable[[Complaint, Personal], bool]) -> None:
        """Keeps `services.router.ports.Waiting`."""
        async for parts in self._parts.waiting():
            if self._is(parts, whose):
                await self._open(parts)

    def _is(self, parts: Parts, whose: Callable[[Complaint, Personal], bool]) -> bool:
        if parts.complaint is None:
            return False
        try:
            return whose(parts.complaint, self._vault.open(parts.ticket_id, parts.complaint.personal))
        except Poison:
            # Its key is gone: nobody can say whose it is, or read it.
            return False

    async def _open(self, parts: Parts) -> None:
        """The ticket, with the parts that came."""
        if not parts.texts:
            # The first part is just being kept.
            return
        decided = await self._parts.open_with(parts.ticket_id, tuple(sorted(parts.texts)))
        if decided.settled:
            return
        try:
            await self._handle([self._whole(decided)])
        except Poison as error:
            # Each part was looked at when it came; its record is in complaints.v1.
            log.error("parts can't be a complaint", extra={"reason": error.reason})
        await self._parts.settle(parts.ticket_id)
