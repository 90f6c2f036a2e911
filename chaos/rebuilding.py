"""Invariant 8: what is rebuilt from the topics, beside what is live."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from chaos.observation import Copy
from chaos.records import Raw, mark_of
from common.words import to_timestamp
from gen.pingxi.v1.complaint_pb2 import ComplaintSubmitted
from gen.pingxi.v1.internal_pb2 import DueCame
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from rules.model import Calendar, PolicySet
from services.sla.judge import due_of, judge
from services.sla.model import Row
from services.sla.rows import row_from_bytes
from services.sla.watchdog import tick


class Calendars:
    """All there are in these policies."""

    def __init__(self, policies: Mapping[str, PolicySet]) -> None:
        self._policies = policies

    def calendar(self, calendar_hash: str) -> Calendar | None:
        """By its hash."""
        return next((found for p in self._policies.values() if (found := p.calendar_by_hash(calendar_hash))), None)


class HasTicket(Protocol):
    """What both the document of a ticket and the snapshot in its events say."""

    version: int
    assignee: str
    queue: str


def clock_copies(raw: Sequence[Raw], table: Mapping[str, bytes], calendars: Calendars, now: datetime) -> list[Copy]:
    """The watchdog's rows against those an empty watchdog comes to from the topics."""
    own: dict[str, list[Raw]] = {}
    for record in raw:
        if record.topic in ("complaints.v1", "tickets.v1") and not mark_of(record) and record.key:
            own.setdefault(record.key.decode("utf-8", "replace"), []).append(record)
    found = []
    for ticket in sorted(own.keys() | table.keys()):
        again = _replayed(own.get(ticket, []), ticket, calendars, now)
        live = facts_of(row_from_bytes(ticket, table[ticket], calendars)) if ticket in table else "none"
        found.append(Copy("clocks, and a replay of the topics", ticket, live, facts_of(again) if again else "none"))
    return found


def _replayed(records: Sequence[Raw], ticket: str, calendars: Calendars, now: datetime) -> Row | None:
    row: Row | None = None
    for record in sorted(records, key=lambda r: (r.topic, r.offset)):
        kind = ComplaintSubmitted if record.topic == "complaints.v1" else TicketEvent
        row = judge(row, kind.FromString(record.value or b""), calendars, now).row
    if row is None:
        return None
    due = DueCame(ticket_ids=[ticket], as_of=to_timestamp(now))
    return tick(row, due_of(due, {})[1], now).row


def facts_of(row: Row) -> str:
    """What a replay gives again: the clocks and how many breaches of each stand. Levels depend on when they fired."""
    clocks = [
        (
            clock.metric.value,
            clock.instance,
            clock.start.isoformat(),
            clock.met_at.isoformat() if clock.met_at else "",
            [(span.start.isoformat(), span.end.isoformat() if span.end else "") for span in clock.pauses],
            clock.ended,
            sum(breach.closed != "retracted" for breach in clock.breaches),
        )
        for clock in row.clocks
    ]
    return str((row.version, clocks))


def ticket_copies(raw: Sequence[Raw], tickets: Mapping[str, HasTicket]) -> list[Copy]:
    """The stored tickets against the snapshots of their last events."""
    last: dict[str, TicketEvent] = {}
    for record in raw:
        if record.topic == "tickets.v1" and not mark_of(record) and record.value:
            event = TicketEvent.FromString(record.value)
            if event.ticket_id not in last or event.version > last[event.ticket_id].version:
                last[event.ticket_id] = event
    found = []
    for ticket_id, ticket in tickets.items():
        event = last.get(ticket_id, TicketEvent())
        live = (ticket.version, ticket.assignee, ticket.queue)
        rebuilt = (event.version, event.snapshot.assignee, event.snapshot.queue)
        found.append(Copy("ticket, and its last event", ticket_id, str(live), str(rebuilt)))
    return found
