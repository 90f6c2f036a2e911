"""Hand-written stand-ins for the router's surroundings. They pass the same behaviour tests as the real ones."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from aiokafka.structs import RecordMetadata

from common.clock import Clock
from common.errors import Unavailable
from common.events import Outgoing
from common.policyfiles import load_all
from common.sealing import Sealer
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from rules.model import PolicySet, Promise
from rules.number import from_random
from rules.words import Category
from services.router.answering import OrderNews
from services.router.model import Complaint, Personal, Ticket, Update
from services.router.policy import next_action, next_due
from services.router.ports import Filter, Order, Position
from services.router.search import SearchIndex
from services.router.wire import SealedVault, StoredEvent, stored_event

ROOT = Path(__file__).resolve().parent.parent
START = datetime(2026, 11, 20, 4, 0, 0, 123456, tzinfo=UTC)
INDEX = SearchIndex(b"secret")
VAULT = SealedVault(Sealer("k1", {"k1": b"k" * 32}))


@cache
def policies() -> Mapping[str, PolicySet]:
    """The policies of this repository."""
    return load_all(ROOT / "policies")


def number(n: int) -> str:
    """The ticket number of a small integer."""
    return from_random(n)


def complaint(n: int = 1, text: str = "菜送错了", **changes: Any) -> Complaint:
    """A complaint as intake acknowledges it, sealed for its ticket."""
    ticket_id = changes.pop("ticket_id", number(n))
    sample = Complaint(
        ticket_id=ticket_id,
        brand="default",
        channel="app",
        declared=Category.OTHER,
        customer_ref=f"ref-{n}",
        acknowledged_at=START,
        promise=Promise(START + timedelta(minutes=30), START + timedelta(hours=48)),
        targets=(),
        fingerprint=f"print-{n}",
        personal=VAULT.seal(ticket_id, Personal(contact="+8613800000000", text=text)),
        customer_id=f"customer-{n}",
        order_id=f"order-{n}",
        locale="zh-CN",
    )
    return replace(sample, **changes)


class FakeOrders:
    """The `Orders` of services/router/ports.py: knows what `known` holds, and `asked` counts."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], OrderNews] = {}
        self.asked = 0

    async def order(self, brand: str, order_id: str) -> OrderNews | None:
        self.asked += 1
        return self.known.get((brand, order_id))


class FakeTickets:
    """`MongoTickets` in memory. `down`: answers nothing, and `refused` is set when that was noticed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.down = False
        self.refused = asyncio.Event()
        self.tickets: dict[str, Ticket] = {}
        self._outbox: dict[str, list[StoredEvent]] = {}
        self._waiting: dict[str, datetime] = {}
        self._terms: dict[str, tuple[str, ...]] = {}
        self._claims: dict[str, set[str]] = {}
        self._settled: dict[str, tuple[int, datetime | None]] = {}
        self._listen_at: dict[str, datetime] = {}
        self._listen_version: dict[str, int] = {}
        self.armed: dict[str, int] = {}

    def _answer(self) -> None:
        if self.down:
            self.refused.set()
            raise Unavailable("the ticket database doesn't answer")

    def _put(self, update: Update) -> None:
        ticket = update.ticket
        self.tickets[ticket.id] = ticket
        self._outbox.setdefault(ticket.id, []).extend(map(stored_event, update.events))
        self._waiting[ticket.id] = self._clock.now()
        if ticket.personal is None:
            self._terms[ticket.id] = ()
            self._claims[ticket.id] = set()

    async def add(self, updates: Sequence[Update]) -> set[str]:
        self._answer()
        refused = {update.ticket.id for update in updates} & set(self.tickets)
        for update in updates:
            if update.ticket.id in refused:
                continue
            if set(update.claims) & {claim for held in self._claims.values() for claim in held}:
                refused.add(update.ticket.id)
                continue
            self._put(update)
            self._terms[update.ticket.id] = update.terms
            self._claims[update.ticket.id] = set(update.claims)
            self._listen_at[update.ticket.id] = self._clock.now() + timedelta(seconds=60)
        return refused

    async def holders(self, claims: Sequence[str]) -> dict[str, str]:
        self._answer()
        held = {claim: ticket_id for ticket_id, own in self._claims.items() for claim in own}
        return {claim: held[claim] for claim in claims if claim in held}

    async def release(self, ticket_id: str, claims: Sequence[str]) -> None:
        self._answer()
        self._claims[ticket_id] -= set(claims)

    async def get(self, ticket_id: str) -> Ticket | None:
        self._answer()
        return self.tickets.get(ticket_id)

    async def get_many(self, ticket_ids: Sequence[str]) -> dict[str, Ticket]:
        self._answer()
        return {ticket_id: self.tickets[ticket_id] for ticket_id in ticket_ids if ticket_id in self.tickets}

    async def save(self, updates: Sequence[Update]) -> bool:
        self._answer()
        fitting = [u for u in updates if (t := self.tickets.get(u.ticket.id)) is not None and t.version == u.base]
        for update in fitting:
            self._put(update)
            if awaited := [event.ticket.version for event in update.events if event.moves_clocks]:
                self._listen_at[update.ticket.id] = self._clock.now() + timedelta(seconds=60)
                self._listen_version[update.ticket.id] = awaited[-1]
        return len(fitting) == len(updates)

    async def find(
        self, which: Filter, order: Order, after: Position | None, limit: int
    ) -> list[tuple[Ticket, Position]]:
        self._answer()
        rows = [(_value(t, order), t.id, t) for t in self.tickets.values() if self._fits(which, t)]
        rows.sort(key=lambda row: row[:2], reverse=order.startswith("-"))
        if after is not None:
            place = (after.value, after.ticket_id)
            rows = [row for row in rows if (row[:2] < place if order.startswith("-") else row[:2] > place)]
        return [(ticket, Position(value, ticket_id)) for value, ticket_id, ticket in rows[:limit]]

    def _fits(self, which: Filter, ticket: Ticket) -> bool:
        return _fits(which, ticket) and set(which.terms) <= set(self._terms[ticket.id])

    async def due_actions(self, now: datetime, limit: int) -> list[Ticket]:
        self._answer()
        due = [(at, t.id) for t in self.tickets.values() if (at := self._due_at(t)) and at <= now]
        return [self.tickets[ticket_id] for _, ticket_id in sorted(due)[:limit]]

    def _due_at(self, ticket: Ticket) -> datetime | None:
        version, again_at = self._settled.get(ticket.id, (0, None))
        if version == ticket.version:
            return again_at
        action = next_action(ticket)
        return None if action is None else action.at

    async def settle(self, ticket: Ticket, again_at: datetime | None = None) -> None:
        self._answer()
        self._settled[ticket.id] = (ticket.version, again_at)

    async def unheard(self, now: datetime, limit: int) -> list[Ticket]:
        self._answer()
        due = sorted((at, ticket_id) for ticket_id, at in self._listen_at.items() if at <= now)
        found = [self.tickets[ticket_id] for _, ticket_id in due[:limit]]
        done = {
            t.id
            for t in found
            if self.armed.get(t.id, -1) >= self._listen_version.get(t.id, 0) or t.status in ("resolved", "closed")
        }
        for ticket_id in done:
            del self._listen_at[ticket_id]
        return [ticket for ticket in found if ticket.id not in done]

    async def expect(self, ticket_ids: Sequence[str], by: datetime) -> None:
        self._answer()
        self._listen_at |= dict.fromkeys(ticket_ids, by)

    async def heard(self, armed: Mapping[str, int]) -> None:
        self._answer()
        for ticket_id, version in armed.items():
            self.armed[ticket_id] = max(version, self.armed.get(ticket_id, 0))

    async def uncleared(self, ticket_ids: Sequence[str]) -> list[StoredEvent]:
        self._answer()
        return [event for ticket_id in ticket_ids for event in self._outbox.get(ticket_id, [])]

    async def leftovers(self, unchanged_for: timedelta, limit: int) -> list[str]:
        self._answer()
        before = self._clock.now() - unchanged_for
        waiting = sorted((since, ticket_id) for ticket_id, since in self._waiting.items() if since <= before)
        return [ticket_id for _, ticket_id in waiting[:limit]]

    async def clear(self, published: Mapping[str, int]) -> None:
        self._answer()
        for ticket_id, version in published.items():
            left = [event for event in self._outbox.get(ticket_id, []) if event.version > version]
            self._outbox[ticket_id] = left
            if not left:
                self._waiting.pop(ticket_id, None)

    async def pending(self) -> int:
        self._answer()
        return sum(map(len, self._outbox.values()))

    async def open_by_queue(self) -> dict[tuple[str, str], int]:
        self._answer()
        counts: dict[tuple[str, str], int] = {}
        for ticket in self.tickets.values():
            if ticket.status not in ("resolved", "closed"):
                key = (ticket.queue, ticket.priority.value)
                counts[key] = counts.get(key, 0) + 1
        return counts


def _value(ticket: Ticket, order: Order) -> int:
    instant = next_due(ticket) if order == "due" else ticket.facts.acknowledged_at
    return 2**62 if instant is None else (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _fits(which: Filter, ticket: Ticket) -> bool:
    at = ticket.facts.acknowledged_at
    lists: list[tuple[Sequence[str], str]] = [
        (which.brands, ticket.brand),
        (which.statuses, ticket.status),
        (which.queues, ticket.queue),
        (which.priorities, ticket.priority),
        (which.categories, ticket.category),
        (which.assignees, ticket.assignee),
    ]
    words = ("customer_id", "customer_ref", "order_id", "merchant_id", "region")
    return (
        all(not wanted or value in wanted for wanted, value in lists)
        and all(not getattr(which, name) or getattr(which, name) == getattr(ticket, name) for name in words)
        and (which.acknowledged_from is None or at >= which.acknowledged_from)
        and (which.acknowledged_to is None or at < which.acknowledged_to)
    )


class FakeLog:
    """The message log in memory. `down`: acknowledges nothing; `fails_after`: so many batches come through before."""

    def __init__(self) -> None:
        self.down = False
        self.refused = asyncio.Event()
        self.fails_after: int | None = None
        self.messages: list[Outgoing] = []

    async def publish_all(self, messages: Sequence[Outgoing], timeout: float | None = None) -> list[RecordMetadata]:
        if self.fails_after is not None:
            self.fails_after -= 1
        if self.down or (self.fails_after is not None and self.fails_after < 0):
            self.refused.set()
            raise Unavailable("the message log didn't acknowledge in time")
        self.messages.extend(messages)
        return []

    def events(self, ticket_id: str | None = None) -> list[TicketEvent]:
        """The ticket events, in the order they were published."""
        bodies = [message.body for message in self.messages]
        return [b for b in bodies if isinstance(b, TicketEvent) and ticket_id in (None, b.ticket_id)]


class FakePictures:
    """`MongoPictures` in memory: each picture with the tickets that have it, and when it came. `down` as above."""

    def __init__(self) -> None:
        self.down = False
        self.pictures: dict[str, set[str]] = {}
        self.came: dict[str, datetime] = {}

    def _answer(self) -> None:
        if self.down:
            raise Unavailable("the ticket database doesn't answer")

    def add(self, picture: str, at: datetime) -> None:
        """Somebody uploads it."""
        self.pictures[picture], self.came[picture] = set(), at

    async def claim(self, used: Mapping[str, Sequence[str]]) -> None:
        self._answer()
        for ticket_id, pictures in used.items():
            for picture in pictures:
                if picture in self.pictures:
                    self.pictures[picture].add(ticket_id)

    async def release(self, ticket_id: str, pictures: Sequence[str]) -> int:
        self._answer()
        mine = [each for each, tickets in self.pictures.items() if ticket_id in tickets or each in pictures]
        for each in mine:
            self.pictures[each].discard(ticket_id)
        return self._delete([each for each in mine if not self.pictures[each]])

    async def sweep(self, before: datetime) -> int:
        self._answer()
        return self._delete([p for p, tickets in self.pictures.items() if not tickets and self.came[p] < before])

    def _delete(self, pictures: Sequence[str]) -> int:
        for each in pictures:
            del self.pictures[each]
        return len(pictures)
