"""What people (and services on their behalf) do with a ticket: commands, and reading."""

import asyncio
import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args
from uuid import uuid4
from weakref import WeakValueDictionary

from common.clock import Clock
from common.errors import FieldProblem, Invalid, NotFound, StaleVersion
from common.ids import deterministic_id
from rules.number import parse
from services.router.commands import Assign, Cause, Command, Reply, Resolve
from services.router.model import Actor, ActorKind, Event, Personal, Ticket, Update
from services.router.policy import apply
from services.router.ports import Filter, Order, Outbox, Position, Tickets, Vault

RESOLUTIONS = ("refund", "reship", "price_difference", "coupon", "apology", "other")
TEXT_MAX = 2000
_NAME_MAX = 100
_KEY_MAX = 255
_IMAGES_MAX = 3
_ATTEMPTS = 50

# From ticket id and message id.
MakeCommand = Callable[[str, str], Command]


@dataclass(frozen=True)
class Head:
    """Common to all commands. `expected_version` 0: whatever it is. Without a key a repeat can't be recognised."""

    ticket_id: str
    expected_version: int
    idempotency_key: str
    actor: Actor
    reason: str = ""
    trace: str | None = None


@dataclass(frozen=True)
class Readable:
    """A ticket with its personal content opened; `texts` by message id."""

    ticket: Ticket
    personal: Personal
    texts: Mapping[str, str]


def ticket_number(text: str) -> str:
    """The canonical number. Raises Invalid for none at all, NotFound for what can't be one."""
    if not text:
        raise Invalid([FieldProblem("ticket_id", "is needed")])
    number = parse(text)
    if number is None:
        raise NotFound("there is no such ticket")
    return number


class Desk:
    """Commands answer with the ticket as it is then; the event follows by the outbox.

    All commands raise Invalid, NotFound, StaleVersion, Refused, Conflict (the idempotency key was used for something
    else) and Unavailable.
    """

    def __init__(self, tickets: Tickets, outbox: Outbox, vault: Vault, clock: Clock) -> None:
        self._tickets = tickets
        self._outbox = outbox
        self._vault = vault
        self._clock = clock
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def assign(self, head: Head, assignee: str) -> Ticket:
        """Makes `assignee` the owner."""
        problems = [*_head_problems(head, "change."), *_text_problems("assignee", assignee, _NAME_MAX)]
        _check(problems)
        return (await self._execute(head, "assign", (assignee,), lambda _, __: Assign(assignee)))[0]

    async def reply(self, head: Head, text: str, images: Sequence[str] = ()) -> tuple[Ticket, Event | None]:
        """A public answer; also the event, None for a repeat."""
        problems = [*_head_problems(head, "change."), *_text_problems("text", text, TEXT_MAX)]
        if len(images) > _IMAGES_MAX:
            problems.append(FieldProblem("images", f"at most {_IMAGES_MAX}"))
        _check(problems)

        def make(ticket_id: str, message_id: str) -> Command:
            return Reply(message_id, self._vault.seal(ticket_id, Personal(text=text)), tuple(images))

        return await self._execute(head, "reply", (text, *images), make)

    async def resolve(
        self, head: Head, text: str, resolution: str, currency: str = "", amount: int = 0
    ) -> tuple[Ticket, Event | None]:
        """The end of the work, with the answer the customer gets; also the event, None for a repeat."""
        problems = [*_head_problems(head, "change."), *_text_problems("text", text, TEXT_MAX)]
        if resolution and resolution not in RESOLUTIONS:
            problems.append(FieldProblem("resolution", "expected one of " + ", ".join(RESOLUTIONS)))
        if amount < 0 or (amount and len(currency) != 3):
            problems.append(FieldProblem("amount", "expected a currency and a positive amount"))
        _check(problems)

        def make(ticket_id: str, message_id: str) -> Command:
            content = self._vault.seal(ticket_id, Personal(text=text))
            return Resolve(message_id, content, resolution or "other", currency, amount)

        return await self._execute(head, "resolve", (text, resolution, currency, amount), make)

    async def read(self, ticket_id: str) -> Readable:
        """One ticket with everything. Raises Invalid, NotFound, Unavailable."""
        ticket = await self._tickets.get(ticket_number(ticket_id))
        if ticket is None:
            raise NotFound("there is no such ticket")
        return self.opened(ticket)

    def opened(self, ticket: Ticket) -> Readable:
        """The ticket with its personal content."""
        personal = self._vault.open(ticket.id, ticket.personal) if ticket.personal else Personal()
        texts = {m.id: self._vault.open(ticket.id, m.content).text for m in ticket.messages if m.content}
        return Readable(ticket, personal, texts)

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
        _check(problems)
        limit = page_size or 50
        rows = await self._tickets.find(which, order, after, limit + 1)  # type: ignore[arg-type]  # checked above
        page = rows[:limit]
        more = len(rows) > limit
        return [ticket for ticket, _ in page], _token(page[-1][1], listing) if more else ""

    async def _execute(
        self, head: Head, kind: str, content: tuple[object, ...], make: MakeCommand
    ) -> tuple[Ticket, Event | None]:
        ticket_id = ticket_number(head.ticket_id)
        # Without a key of the caller's, one of our own still tells whether a write whose answer was lost came through.
        cause_id = "command:" + (head.idempotency_key or uuid4().hex)
        digest = deterministic_id("command", kind, *content)
        command = make(ticket_id, deterministic_id("message", ticket_id, cause_id))
        made: Event | None = None
        # One at a time in this process; against other processes the version decides.
        turn = self._turns.setdefault(ticket_id, asyncio.Lock())
        async with turn:
            for _ in range(_ATTEMPTS):
                ticket = await self._tickets.get(ticket_id)
                if ticket is None:
                    raise NotFound("there is no such ticket")
                cause = Cause(cause_id, self._clock.now(), head.actor, head.reason, digest, head.trace)
                repeated = ticket.entry_of(cause_id) is not None
                if not repeated and head.expected_version not in (0, ticket.version):
                    raise StaleVersion(f"the ticket is at version {ticket.version}, not {head.expected_version}")
                event = apply(ticket, command, cause)
                if event is None:
                    if made is not None:
                        self._outbox.wake(ticket_id)
                    return ticket, made
                made = event
                if await self._tickets.save([Update(ticket.version, (event,))]):
                    self._outbox.wake(ticket_id)
                    return event.ticket, event
        raise StaleVersion("the ticket changes faster than this can follow")


def _head_problems(head: Head, prefix: str) -> list[FieldProblem]:
    problems = []
    if head.expected_version < 0:
        problems.append(FieldProblem(prefix + "expected_version", "is negative"))
    if len(head.idempotency_key) > _KEY_MAX:
        problems.append(FieldProblem(prefix + "idempotency_key", f"has more than {_KEY_MAX} characters"))
    if head.actor.kind is ActorKind.CUSTOMER:
        problems.append(FieldProblem(prefix + "actor", "a customer doesn't work at the desk"))
    if len(head.actor.id) > _NAME_MAX:
        problems.append(FieldProblem(prefix + "actor.id", f"has more than {_NAME_MAX} characters"))
    if len(head.reason) > _KEY_MAX:
        problems.append(FieldProblem(prefix + "reason", f"has more than {_KEY_MAX} characters"))
    return problems


def _text_problems(field: str, text: str, longest: int) -> list[FieldProblem]:
    if not text.strip():
        return [FieldProblem(field, "is needed")]
    if len(text) > longest:
        return [FieldProblem(field, f"has {len(text)} characters, at most {longest}")]
    return []


def _check(problems: Sequence[FieldProblem]) -> None:
    if problems:
        raise Invalid(list(problems))


def _token(position: Position, listing: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([listing, position.value, position.ticket_id]).encode()).decode()


def _position(token: str, listing: str) -> Position | None:
    """None for what isn't a token of this listing."""
    try:
        made_for, value, ticket_id = json.loads(base64.urlsafe_b64decode(token.encode()))
        return Position(int(value), str(ticket_id)) if made_for == listing else None
    except (ValueError, TypeError, binascii.Error):
        return None
