"""Finds the ticket a complaint belongs to: reads what `joining.py` decides on, and lets go of claims of the ended."""

from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import Poison
from rules.words import Status
from services.router.joining import Placement, Traits, last, place
from services.router.model import Ticket
from services.router.ports import Filter, Tickets, Vault
from services.router.search import SearchIndex
from services.router.threads import with_successors

_OPEN = (Status.RECEIVED, Status.IN_PROGRESS, Status.PENDING)
_TALKING = (*_OPEN, Status.RESOLVED)
_AT_MOST = 20


@dataclass(frozen=True)
class Found:
    """Where a complaint belongs; `into`: the ticket it joins."""

    placement: Placement
    into: Ticket | None


class Joiner:
    """Looks up what complaints are recognised by."""

    def __init__(self, tickets: Tickets, vault: Vault, index: SearchIndex) -> None:
        self._tickets = tickets
        self._vault = vault
        self._index = index

    async def find(self, ones: Sequence[Traits]) -> dict[str, Found]:
        """By ticket id, the place of each. Stale claims are free when it returns. Raises Unavailable, Poison."""
        claims = list(dict.fromkeys(claim for one in ones for claim in one.seek))
        holders = await self._tickets.holders(claims) if claims else {}
        wanted = {*holders.values(), *(one.named for one in ones if one.named)}
        known = await with_successors(self._tickets, sorted(wanted))
        found: dict[str, Found] = {}
        for one in ones:
            mine = bool(one.named) and self._is_of(known.get(one.named), one)
            placement = place(one, holders, known, (), mine)
            if one.talks and not placement.into:
                talking = await self._talking(one)
                known |= {ticket.id: ticket for ticket in talking}
                placement = place(one, holders, known, talking, mine)
            for holder, claim in placement.stale:
                await self._tickets.release(holder, [claim])
            found[one.ticket_id] = Found(placement, last(known, placement.into))
        return found

    async def _talking(self, one: Traits) -> list[Ticket]:
        """The customer's tickets, open ones first, then the newest. His thanks may belong to a closed one."""
        brands = (one.brand,) if one.brand else ()
        statuses = () if one.thanks else _TALKING
        ways = [Filter(brands=brands, statuses=statuses, terms=(one.contact,))] if one.contact else []
        if one.customer_id and one.brand:
            ways.append(Filter(brands=brands, statuses=statuses, customer_id=one.customer_id))
        rows = [row for way in ways for row in await self._tickets.find(way, "-acknowledged_at", None, _AT_MOST)]
        tickets = {ticket.id: ticket for ticket, _ in rows if ticket.id != one.ticket_id and not ticket.merged_into}
        return sorted(tickets.values(), key=lambda t: (_rank(t), -t.facts.acknowledged_at.timestamp(), t.id))

    def _is_of(self, ticket: Ticket | None, one: Traits) -> bool:
        """Whether a ticket is this customer's: by his id, the name we have for him, or his contact."""
        if ticket is None:
            return False
        if ticket.customer_ref == one.customer_ref or (one.customer_id and ticket.customer_id == one.customer_id):
            return True
        if ticket.personal is None:
            return False
        try:
            contact = self._vault.open(ticket.id, ticket.personal).contact
        except Poison:
            return False
        return bool(one.contact) and self._index.contact(contact) == one.contact


def _rank(ticket: Ticket) -> int:
    return 0 if ticket.status in _OPEN else 1 if ticket.status is Status.RESOLVED else 2
