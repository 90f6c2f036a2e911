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
_AT_MOST = 100


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
        # Brand and status are looked at here: together with them the embedded database would use no index.
        ways = [Filter(terms=(one.contact,))] if one.contact else []
        if one.customer_id and one.brand:
            ways.append(Filter(customer_id=one.customer_id))
        rows = [row for way in ways for row in await self._tickets.find(way, "-acknowledged_at", None, _AT_MOST)]
        tickets = {ticket.id: ticket for ticket, _ in rows if _may_talk(ticket, one)}
        return sorted(tickets.values(), key=lambda t: (_rank(t), -t.facts.acknowledged_at.timestamp(), t.id))

    def _is_of(self, ticket: Ticket | None, one: Traits) -> bool:
        """Whether a ticket is this customer's: by his id, the name we have for him, or his contact."""
        if ticket is None:
            return False
        # Ids are a brand's own; a contact is the same person's everywhere.
        known = ticket.customer_ref == one.customer_ref or (one.customer_id and ticket.customer_id == one.customer_id)
        if known and ticket.brand == one.brand:
            return True
        if ticket.personal is None:
            return False
        try:
            contact = self._vault.open(ticket.id, ticket.personal).contact
        except Poison:
            return False
        return bool(one.contact) and self._index.contact(contact) == one.contact


def _may_talk(ticket: Ticket, one: Traits) -> bool:
    ended = ticket.status is Status.CLOSED and not one.thanks
    return one.brand in ("", ticket.brand) and not (ended or ticket.merged_into or ticket.id == one.ticket_id)


def _rank(ticket: Ticket) -> int:
    return 0 if ticket.status in _OPEN else 1 if ticket.status is Status.RESOLVED else 2
