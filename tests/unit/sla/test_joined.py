"""The clocks of a complaint that belongs to another ticket: there is no ghost breach."""

from datetime import timedelta

import pytest

from common.words import to_timestamp
from gen.pingxi.v1.complaint_pb2 import ComplaintSubmitted
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from rules.model import Calendar, ComplaintFacts
from rules.promise import promise
from rules.routing import decide
from services.router.model import Complaint
from services.router.policy import join_ticket, open_ticket
from services.router.wire import event_to_proto
from services.sla import watchdog
from services.sla.model import Row
from services.sla.wire import state_of_complaint, state_of_ticket
from tests.fakes_router import START, complaint, policies
from tests.unit.sla.life import kinds
from wire.promise import promise_to_proto, targets_to_proto

BRAND = policies()["default"]
LATER = START + timedelta(seconds=2)


class Known:
    """The calendars of the policies."""

    def calendar(self, calendar_hash: str) -> Calendar | None:
        return next((each for each in BRAND.calendars.values() if each.hash == calendar_hash), None)


@pytest.fixture
def messages() -> tuple[ComplaintSubmitted, TicketEvent]:
    """The complaint as intake publishes it, and what the router says of it."""
    facts = ComplaintFacts(declared=None, text="菜里有虫子", brand="default", channel="app")
    decision = decide(BRAND, facts)
    sent: Complaint = complaint(2, promise=promise(BRAND, decision, START))
    into = open_ticket(complaint(1), decision, BRAND, LATER).ticket
    joined = join_ticket(open_ticket(sent, decision, BRAND, LATER).ticket, into, LATER)
    submitted = ComplaintSubmitted(
        ticket_id=sent.ticket_id,
        brand="default",
        acknowledged_at=to_timestamp(START),
        promise=promise_to_proto(sent.promise),
        targets=targets_to_proto(decision),
    )
    return submitted, event_to_proto(joined)


def applied(row: Row | None, first: object, second: object) -> tuple[list[str], Row | None]:
    told: list[str] = []
    for message in (first, second):
        known = isinstance(message, ComplaintSubmitted)
        state = state_of_complaint(message, Known()) if known else state_of_ticket(message, Known())  # type: ignore[arg-type]
        outcome = watchdog.apply(row, state, LATER)
        row, told = outcome.row, told + kinds(list(outcome.effects))
    return told, row


def test_clocks_the_complaint_armed_end_when_it_joins(messages: tuple[ComplaintSubmitted, TicketEvent]) -> None:
    told, row = applied(None, *messages)
    assert set(told) == {"Armed", "Cancelled"}
    assert told.count("Armed") == told.count("Cancelled") > 0
    assert row is not None
    assert watchdog.next_due(row) is None


def test_nothing_is_armed_where_the_joining_is_seen_first(messages: tuple[ComplaintSubmitted, TicketEvent]) -> None:
    told, row = applied(None, *reversed(messages))
    assert told == []
    assert row is not None
    assert watchdog.next_due(row) is None
