"""A run in which nothing went wrong, by hand: one red complaint nobody answered, one that was answered in time."""

from datetime import UTC, datetime, timedelta
from typing import Any

from chaos.observation import (
    Armed,
    Breached,
    Budget,
    Changed,
    Command,
    Complained,
    Copy,
    CourseSeen,
    Credit,
    DeadLetter,
    Escalated,
    Lag,
    LedgerRow,
    Observation,
    Poisoned,
    Request,
    Sent,
    StoredTicket,
    Voucher,
)

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def at(second: float) -> datetime:
    """That many seconds after the start."""
    return START + timedelta(seconds=second)


# Kept and broken promise: answered at 2, promised by 6; promised by 3, never answered.
KEPT, BROKEN = "AAAA", "BBBB"
WAITS = CourseSeen("first_response", 1)
ANSWERED = CourseSeen("first_response", 1, met_at=at(2))

RECORDS: tuple[Any, ...] = (
    Complained(
        topic="complaints.v1", partition=0, offset=0, id="c-a", ticket=KEPT, seen_at=at(0),
        order_id="order-a", red=False, first_response_by=at(6), resolve_by=at(60),
    ),
    Complained(
        topic="complaints.v1", partition=1, offset=0, id="c-b", ticket=BROKEN, seen_at=at(0),
        order_id="order-b", red=True, first_response_by=at(3), resolve_by=at(60),
    ),
    Changed(
        topic="tickets.v1", partition=0, offset=0, id="t-a1", ticket=KEPT, seen_at=at(1),
        version=1, change="opened", status="received", courses=(WAITS,),
    ),
    Changed(
        topic="tickets.v1", partition=0, offset=1, id="t-a2", ticket=KEPT, seen_at=at(2),
        version=2, change="replied", status="in_progress", courses=(ANSWERED,),
    ),
    Changed(
        topic="tickets.v1", partition=1, offset=0, id="t-b1", ticket=BROKEN, seen_at=at(1),
        version=1, change="opened", status="received", courses=(WAITS,),
    ),
    Armed(
        topic="sla-events.v1", partition=0, offset=0, id="a-a", ticket=KEPT, seen_at=at(0),
        metric="first_response", instance=1, due_at=at(6),
    ),
    Armed(
        topic="sla-events.v1", partition=1, offset=0, id="a-b", ticket=BROKEN, seen_at=at(0),
        metric="first_response", instance=1, due_at=at(3),
    ),
    Breached(
        topic="sla-events.v1", partition=1, offset=1, id="b", ticket=BROKEN, seen_at=at(3.1),
        metric="first_response", instance=1, n=1, breached_at=at(3), detected_at=at(3.05), cause="deadline",
    ),
    Escalated(
        topic="escalations.v1", partition=1, offset=0, id="e-1", ticket=BROKEN, seen_at=at(3.1),
        escalation_id="b", metric="first_response", level=1,
    ),
    Escalated(
        topic="escalations.v1", partition=1, offset=1, id="e-2", ticket=BROKEN, seen_at=at(6.1),
        escalation_id="b", metric="first_response", level=2,
    ),
    Voucher(topic="vouchers.v1", partition=0, offset=0, id="v", ticket=BROKEN, seen_at=at(4.2), amount=1000),
    DeadLetter(
        topic="dead-letters.v1", partition=0, offset=0, id="", ticket="", seen_at=at(5),
        origin=("complaints.v1", 0, 1), service="router", reason="no_type",
    ),
)  # fmt: skip

HEALTHY = Observation(
    settled_at=at(30),
    requests=(
        Request("key-a", "order-a", "ok", (KEPT, KEPT), at(6), 2),
        Request("key-b", "order-b", "ok", (BROKEN,), at(3)),
        Request("key-c", "order-c", "unknown", ()),
    ),
    commands=(Command("reply-a", KEPT, "replied", "ok"),),
    records=RECORDS,
    poisoned=(Poisoned("complaints.v1", 0, 1, ("router",)),),
    tickets=(StoredTicket(KEPT, "order-a", 2), StoredTicket(BROKEN, "order-b", 1)),
    ledger=(LedgerRow("v", BROKEN, "published", 1000, ("brand/today",)),),
    budgets=(Budget("brand/today", 1000, 50_000),),
    credits=(Credit("v", 1000),),
    sent=(
        Sent("m1", KEPT, "+86", "confirmation"),
        Sent("m2", BROKEN, "+86", "confirmation"),
        Sent("m3", BROKEN, "role:supervisor", "escalation"),
        Sent("m4", BROKEN, "role:supervisor", "escalation"),
        Sent("m5", BROKEN, "+86", "voucher"),
        Sent("m6", KEPT, "+86", "reply"),
    ),
    copies=(Copy("clocks", BROKEN, "breached", "breached"),),
    lags=(Lag("router", "complaints.v1", 0, 2, 2),),
    pays=frozenset({(True, "first_response")}),
)


def record(id: str) -> Any:
    """The record of the story with that id."""
    return next(each for each in RECORDS if each.id == id)
