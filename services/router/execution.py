"""How a command of a person is carried out: validated, locked by version, never done twice."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4
from weakref import WeakValueDictionary

from common.clock import Clock
from common.errors import FieldProblem, Invalid, NotFound, StaleVersion
from common.ids import deterministic_id
from rules.number import parse
from services.router.commands import Cause, Command
from services.router.model import ROUTER, Actor, ActorKind, Event, Ticket, Update
from services.router.policy import perform
from services.router.ports import Outbox, Tickets

TEXT_MAX = 2000
NAME_MAX = 100
_KEY_MAX = 255
_ATTEMPTS = 50

# From the ticket as it is and an id for what is said: the command, and what Pingxi does because of it.
MakeCommands = Callable[[Ticket, str], Sequence[Command]]


@dataclass(frozen=True)
class Head:
    """Common to all commands. `expected_version` 0: whatever it is. Without a key a repeat can't be recognised."""

    ticket_id: str
    expected_version: int
    idempotency_key: str
    actor: Actor
    reason: str = ""
    trace: str | None = None

    def cause_id(self) -> str:
        """Names the command in the history. Without a key of the caller's one of our own still tells whether a write
        whose answer was lost came through."""
        return "command:" + (self.idempotency_key or uuid4().hex)


def ticket_number(text: str, field: str = "ticket_id") -> str:
    """The canonical number. Raises Invalid for none at all, NotFound for what can't be one."""
    if not text:
        raise Invalid([FieldProblem(field, "is needed")])
    number = parse(text)
    if number is None:
        raise NotFound("there is no such ticket")
    return number


class Executor:
    """Commands on one ticket. The event follows by the outbox."""

    def __init__(self, tickets: Tickets, outbox: Outbox, clock: Clock) -> None:
        self._tickets = tickets
        self._outbox = outbox
        self._clock = clock
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def ticket(self, ticket_id: str) -> Ticket:
        """Raises NotFound, Unavailable."""
        ticket = await self._tickets.get(ticket_id)
        if ticket is None:
            raise NotFound("there is no such ticket")
        return ticket

    async def execute(
        self, head: Head, kind: str, content: tuple[object, ...], make: MakeCommands, cause_id: str = ""
    ) -> tuple[Ticket, tuple[Event, ...]]:
        """The ticket as it is then, and the events; none for a repeat. `content` is what the caller asked for.

        Raises NotFound, StaleVersion, Refused, Unavailable, Conflict: the key was used for something else.
        """
        ticket_id = ticket_number(head.ticket_id)
        cause_id = cause_id or head.cause_id()
        digest = deterministic_id("command", kind, *content)
        made: tuple[Event, ...] = ()
        # One at a time in this process; against other processes the version decides.
        turn = self._turns.setdefault(ticket_id, asyncio.Lock())
        async with turn:
            for _ in range(_ATTEMPTS):
                ticket = await self.ticket(ticket_id)
                cause = Cause(cause_id, self._clock.now(), head.actor, head.reason, digest, head.trace)
                repeated = ticket.entry_of(cause_id) is not None
                if not repeated and head.expected_version not in (0, ticket.version):
                    raise StaleVersion(f"the ticket is at version {ticket.version}, not {head.expected_version}")
                events = _performed(ticket, make(ticket, deterministic_id("message", ticket_id, cause_id)), cause)
                if not events:
                    if made:
                        self._outbox.wake(ticket_id)
                    return ticket, made
                made = events
                if await self._tickets.save([Update(ticket.version, events)]):
                    self._outbox.wake(ticket_id)
                    return events[-1].ticket, events
        raise StaleVersion("the ticket changes faster than this can follow")


def _performed(ticket: Ticket, commands: Sequence[Command], cause: Cause) -> tuple[Event, ...]:
    """What the first command's cause has made already needs nothing more: all of it was one write."""
    if not commands:
        return ()
    events = perform(ticket, commands[0], cause)
    if not events:
        return ()
    for index, command in enumerate(commands[1:], 1):
        further = Cause(f"{cause.id}:{index}", cause.at, ROUTER, cause.reason, trace=cause.trace)
        events += perform(events[-1].ticket, command, further)
    return events


def head_problems(head: Head, prefix: str = "change.") -> list[FieldProblem]:
    """What is wrong with the common part."""
    problems = []
    if head.expected_version < 0:
        problems.append(FieldProblem(prefix + "expected_version", "is negative"))
    if len(head.idempotency_key) > _KEY_MAX:
        problems.append(FieldProblem(prefix + "idempotency_key", f"has more than {_KEY_MAX} characters"))
    if head.actor.kind is ActorKind.CUSTOMER:
        problems.append(FieldProblem(prefix + "actor", "a customer doesn't work at the desk"))
    if len(head.actor.id) > NAME_MAX:
        problems.append(FieldProblem(prefix + "actor.id", f"has more than {NAME_MAX} characters"))
    if len(head.reason) > _KEY_MAX:
        problems.append(FieldProblem(prefix + "reason", f"has more than {_KEY_MAX} characters"))
    return problems


def text_problems(field: str, text: str, longest: int = TEXT_MAX) -> list[FieldProblem]:
    """A text is needed, and has its bound."""
    if not text.strip():
        return [FieldProblem(field, "is needed")]
    if len(text) > longest:
        return [FieldProblem(field, f"has {len(text)} characters, at most {longest}")]
    return []


def check(problems: Sequence[FieldProblem]) -> None:
    """Raises Invalid where there are any."""
    if problems:
        raise Invalid(list(problems))
