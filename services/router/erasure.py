"""A customer wants to be forgotten: contact, texts and images leave every ticket of his at once; the log's copies go
with its retention (mechanisms.md, "Personal data"). Parts of a text that wait for others become a ticket first."""

from common.errors import FieldProblem
from common.ids import deterministic_id
from services.router.commands import EraseCustomer
from services.router.execution import Executor, Head, check, head_problems
from services.router.joining import BRAND_ASSUMED
from services.router.model import Actor, Complaint, Personal
from services.router.ports import Filter, Pictures, Position, Tickets, Waiting
from services.router.search import SearchIndex

_PAGE = 100


class Erasure:
    """Finds the customer's tickets by his id and by his contact."""

    def __init__(
        self, executor: Executor, tickets: Tickets, index: SearchIndex, pictures: Pictures, waiting: Waiting
    ) -> None:
        self._executor = executor
        self._tickets = tickets
        self._index = index
        self._pictures = pictures
        self._waiting = waiting

    async def erase(
        self, brand: str, customer_id: str, contact: str, idempotency_key: str, actor: Actor, reason: str = ""
    ) -> tuple[int, int]:
        """(tickets, pictures) that were erased now; what was erased before isn't counted again. An interrupted call
        may be repeated. Raises Invalid, Unavailable."""
        problems = [] if brand else [FieldProblem("brand", "is needed")]
        term = self._index.contact(contact)
        if contact and not term:
            problems.append(FieldProblem("contact", "expected a phone number or mail address"))
        if not customer_id and not contact:
            problems.append(FieldProblem("customer_id", "this or a contact is needed"))
        check([*problems, *head_problems(Head("", 0, idempotency_key, actor, reason), "")])
        ways = []
        if customer_id:
            ways.append(Filter(brands=(brand,), customer_id=customer_id))
        if term:
            ways.append(Filter(brands=(brand,), terms=(term,)))

        def his(complaint: Complaint, personal: Personal) -> bool:
            # Of a text whose brand nobody named only its ticket tells the brand.
            if complaint.brand != brand and not complaint.channel_facts.get(BRAND_ASSUMED):
                return False
            by_id = bool(customer_id) and complaint.customer_id == customer_id
            return by_id or (bool(term) and self._index.contact(personal.contact) == term)

        await self._waiting.hasten(his)
        tickets = images = 0
        for which in ways:
            for ticket_id in await self._found(which):
                gone = await self._erase(ticket_id, idempotency_key, actor, reason)
                tickets, images = tickets + (gone is not None), images + (gone or 0)
        return tickets, images

    async def _found(self, which: Filter) -> list[str]:
        found: list[str] = []
        after: Position | None = None
        # All are found before the first is erased: erasing takes a ticket out of the search.
        while rows := await self._tickets.find(which, "acknowledged_at", after, _PAGE):
            found += [ticket.id for ticket, _ in rows]
            after = rows[-1][1]
        return found

    async def _erase(self, ticket_id: str, key: str, actor: Actor, reason: str) -> int | None:
        ticket = await self._executor.ticket(ticket_id)
        # Before the ticket: where this breaks off, it is still found by the contact.
        images = await self._pictures.release(ticket.id, ticket.pictures)
        if not ticket.has_personal:
            return images or None
        head = Head(ticket_id, 0, "", actor, reason)
        # Said again after a later message, it erases again.
        cause = f"erase:{deterministic_id('erase', key, ticket.version)}"
        _, events = await self._executor.execute(head, "erase", (), lambda _, __: [EraseCustomer()], cause)
        return images if events or images else None
