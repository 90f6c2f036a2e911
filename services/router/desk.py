"""What people (and services on their behalf) do with a ticket: commands, and reading."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from common.clock import Clock
from common.errors import FieldProblem, Refused
from common.ids import deterministic_id
from rules.number import parse
from services.router.commands import (
    AddNote,
    Assign,
    Close,
    Command,
    RecordCallBack,
    Reopen,
    Reply,
    RequestInformation,
    Resolve,
)
from services.router.execution import NAME_MAX, Executor, Head, check, head_problems, text_problems, ticket_number
from services.router.model import Event, Personal, Remedy, Ticket
from services.router.ports import Assigner, Filter, Order, Outbox, Pictures, Position, Tickets, Vault
from services.router.search import SearchIndex

RESOLUTIONS = ("refund", "reship", "price_difference", "coupon", "apology", "suggestion_adopted", "other")
_IMAGES_MAX = 3
_QUERY_MAX = 200


@dataclass(frozen=True)
class Readable:
    """A ticket with its personal content opened; `texts` by message id."""

    ticket: Ticket
    personal: Personal
    texts: Mapping[str, str]


class Desk:
    """Commands answer with the ticket as it is then; the event follows by the outbox.

    All commands raise Invalid, NotFound, StaleVersion, Refused, Conflict (the idempotency key was used for something
    else) and Unavailable.
    """

    def __init__(
        self,
        tickets: Tickets,
        outbox: Outbox,
        vault: Vault,
        clock: Clock,
        index: SearchIndex,
        assigner: Assigner | None = None,
        pictures: Pictures | None = None,
    ) -> None:
        self._tickets = tickets
        self._vault = vault
        self._index = index
        self._assigner = assigner
        self._pictures = pictures
        self.executor = Executor(tickets, outbox, clock)

    async def assign(self, head: Head, assignee: str) -> Ticket:
        """Makes `assignee` the owner; an empty one is found by load and skill within the queue."""
        check([*head_problems(head), *(text_problems("assignee", assignee, NAME_MAX) if assignee else ())])
        if assignee:
            return (await self.executor.execute(head, "assign", (assignee,), lambda _, __: [Assign(assignee)]))[0]
        ticket = await self.executor.ticket(ticket_number(head.ticket_id))
        if head.idempotency_key and ticket.entry_of(head.cause_id()):
            return (await self.executor.execute(head, "assign", ("",), lambda _, __: [Assign("")]))[0]
        if self._assigner is None:
            raise Refused("nobody can be chosen: name an assignee")
        async with self._assigner.choosing(ticket) as person:
            return (await self.executor.execute(head, "assign", ("",), lambda _, __: [Assign(person)]))[0]

    async def reply(self, head: Head, text: str, images: Sequence[str] = ()) -> tuple[Ticket, Event | None]:
        """A public answer; also the event, None for a repeat."""
        problems = [*head_problems(head), *text_problems("text", text)]
        if len(images) > _IMAGES_MAX:
            problems.append(FieldProblem("images", f"at most {_IMAGES_MAX}"))
        check(problems)

        def make(ticket: Ticket, message_id: str) -> list[Command]:
            return [Reply(message_id, self._vault.seal(ticket.id, Personal(text=text)), tuple(images))]

        if images and self._pictures is not None:
            # Before the reply is there: what it shows must not go.
            await self._pictures.claim({ticket_number(head.ticket_id): images})
        return _first(await self.executor.execute(head, "reply", (text, *images), make))

    async def add_note(self, head: Head, text: str, call_back: bool = False) -> Ticket:
        """Among colleagues, in every status; the customer never sees it. `call_back`: he was called about the result,
        so that there must be one, else Refused."""
        check([*head_problems(head), *text_problems("text", text)])

        def make(ticket: Ticket, note_id: str) -> list[Command]:
            kind = RecordCallBack if call_back else AddNote
            return [kind(note_id, self._vault.seal(ticket.id, Personal(text=text)))]

        return (await self.executor.execute(head, "call_back" if call_back else "note", (text,), make))[0]

    async def request_information(self, head: Head, text: str) -> tuple[Ticket, Event | None]:
        """A public question; what may wait for the customer does. Also the event, None for a repeat."""
        check([*head_problems(head), *text_problems("text", text)])

        def make(ticket: Ticket, message_id: str) -> list[Command]:
            return [RequestInformation(message_id, self._vault.seal(ticket.id, Personal(text=text)))]

        return _first(await self.executor.execute(head, "request", (text,), make))

    async def resolve(
        self, head: Head, text: str, resolution: str, currency: str = "", amount: int = 0
    ) -> tuple[Ticket, Event | None]:
        """The end of the work, with the answer the customer gets; also the event, None for a repeat.

        A re-shipment, and a refund or price difference with an amount, is asked of the order platform: the ticket needs
        an order, else Refused.
        """
        problems = [*head_problems(head), *text_problems("text", text)]
        if resolution and resolution not in RESOLUTIONS:
            problems.append(FieldProblem("resolution", "expected one of " + ", ".join(RESOLUTIONS)))
        if amount < 0 or (amount and len(currency) != 3):
            problems.append(FieldProblem("amount", "expected a currency and a positive amount"))
        check(problems)

        def make(ticket: Ticket, message_id: str) -> list[Command]:
            content = self._vault.seal(ticket.id, Personal(text=text))
            remedy = _remedy(ticket.id, message_id, resolution, currency, amount)
            return [Resolve(message_id, content, resolution or "other", currency, amount, remedy)]

        return _first(await self.executor.execute(head, "resolve", (text, resolution, currency, amount), make))

    async def close(self, head: Head) -> Ticket:
        """The end of a resolved ticket, or of one whose customer never answered."""
        check(head_problems(head))
        return (await self.executor.execute(head, "close", (), lambda _, __: [Close(head.reason or "done")]))[0]

    async def reopen(self, head: Head) -> Ticket:
        """Work goes on on a resolved ticket."""
        check(head_problems(head))
        return (await self.executor.execute(head, "reopen", (), lambda _, __: [Reopen(head.reason or "desk")]))[0]

    async def read(self, ticket_id: str) -> Readable:
        """One ticket with everything. Raises Invalid, NotFound, Unavailable."""
        return self.opened(await self.executor.ticket(ticket_number(ticket_id)))

    def opened(self, ticket: Ticket) -> Readable:
        """The ticket with its personal content."""
        personal = self._vault.open(ticket.id, ticket.personal) if ticket.personal else Personal()
        texts = {m.id: self._vault.open(ticket.id, m.content).text for m in ticket.messages if m.content}
        return Readable(ticket, personal, texts)

    async def search(self, query: str, which: Filter, page_size: int, page_token: str) -> tuple[list[Ticket], str]:
        """Tickets by number, order id, phone number or mail address, else by all words of the description; the newest
        first, pages as in `list`. Raises Invalid, Unavailable."""
        query = query.strip()
        check(text_problems("query", query, _QUERY_MAX))
        number = parse(query)
        if number is not None and (ticket := await self._tickets.get(number)) is not None:
            return [ticket], ""
        by_order = replace(which, order_id=query)
        if await self._tickets.find(by_order, "-acknowledged_at", None, 1):
            return await self.list(by_order, "-acknowledged_at", page_size, page_token)
        contact = self._index.contact(query)
        terms = (contact,) if contact else self._index.words(query)
        if not terms:
            check([FieldProblem("query", "has nothing to look for")])
        return await self.list(replace(which, terms=terms), "-acknowledged_at", page_size, page_token)

    async def list(self, which: Filter, order: str, page_size: int, page_token: str) -> tuple[list[Ticket], str]:
        """One page and the token of the next ("" at the end): every ticket that stays in the list comes exactly once.

        Raises Invalid, Unavailable.
        """
        problems = []
        order = order or "acknowledged_at"
        if order not in get_args(Order):
            problems.append(FieldProblem("order_by", "expected one of " + ", ".join(get_args(Order))))
        if not 0 <= page_size <= 200:
            problems.append(FieldProblem("page_size", "expected 1 to 200, or 0 for 50"))
        listing = deterministic_id("listing", order, which)
        after = _position(page_token, listing)
        if page_token and after is None:
            problems.append(FieldProblem("page_token", "isn't one of this listing"))
        check(problems)
        limit = page_size or 50
        rows = await self._tickets.find(which, order, after, limit + 1)  # type: ignore[arg-type]  # checked above
        page = rows[:limit]
        more = len(rows) > limit
        return [ticket for ticket, _ in page], _token(page[-1][1], listing) if more else ""


def _first(result: tuple[Ticket, tuple[Event, ...]]) -> tuple[Ticket, Event | None]:
    ticket, events = result
    return ticket, events[0] if events else None


def _remedy(ticket_id: str, message_id: str, resolution: str, currency: str, amount: int) -> Remedy | None:
    kind: Literal["refund", "reship"] = "reship" if resolution == "reship" else "refund"
    if kind == "refund" and not (amount and resolution in ("refund", "price_difference")):
        return None
    remedy_id = deterministic_id("remedy", ticket_id, message_id)
    if kind == "reship":
        return Remedy(remedy_id, kind)
    return Remedy(remedy_id, kind, currency, amount, original_payment=resolution == "refund")


def _token(position: Position, listing: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([listing, position.value, position.ticket_id]).encode()).decode()


def _position(token: str, listing: str) -> Position | None:
    """None for what isn't a token of this listing."""
    try:
        made_for, value, ticket_id = json.loads(base64.urlsafe_b64decode(token.encode()))
        return Position(int(value), str(ticket_id)) if made_for == listing else None
    except (ValueError, TypeError, binascii.Error):
        return None
