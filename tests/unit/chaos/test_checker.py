"""The checker sees each way in which an invariant can break, and nothing in a run where none did."""

from dataclasses import replace
from typing import Any

import pytest

from chaos.checker import CHECKS, check, summary
from chaos.observation import (
    Budget,
    ChainClosed,
    Changed,
    Copy,
    CourseSeen,
    Credit,
    Lag,
    LedgerRow,
    Met,
    Observation,
    Poisoned,
    Record,
    Request,
    Sent,
    StoredTicket,
)
from tests.unit.chaos.story import ANSWERED, BROKEN, HEALTHY, KEPT, RECORDS, at, record


def without(*ids: str) -> Observation:
    """The story without these records."""
    return replace(HEALTHY, records=tuple(r for r in RECORDS if r.id not in ids))


def changed(of: str, /, **changes: Any) -> Observation:
    """The story with one record different."""
    return replace(HEALTHY, records=tuple(replace(r, **changes) if r.id == of else r for r in RECORDS))


def more(*records: Record) -> Observation:
    """The story with further records at the ends of their partitions."""
    return replace(HEALTHY, records=(*RECORDS, *(replace(r, offset=90 + i) for i, r in enumerate(records))))


def again(of: str, /, **changes: Any) -> Observation:
    """The story with a record once more, in part different."""
    return more(replace(record(of), **changes))


MET_BEFORE = replace(record("t-b1"), id="t-b2", version=2, change="replied", courses=(replace(ANSWERED, met_at=at(2)),))
STORED = (HEALTHY.tickets[0], replace(HEALTHY.tickets[1], version=2))
RETRACTED = Met(
    topic="sla-events.v1", partition=1, offset=5, id="m", ticket=BROKEN, seen_at=at(5), metric="first_response",
    instance=1, retracts="b",
)  # fmt: skip

BROKEN_STORIES: dict[str, tuple[str, Observation]] = {
    "acknowledged, not in the log": ("acknowledged_lost", replace(HEALTHY, records=without("c-a").records)),
    "acknowledged, not stored": ("acknowledged_lost", replace(HEALTHY, tickets=HEALTHY.tickets[1:])),
    "in the log with nobody told, and not stored": (
        "acknowledged_lost",
        again("c-a", ticket="CCCC", order_id="order-c", id="c-c", first_response_by=None, resolve_by=None),
    ),
    "a reply the desk was told of": (
        "command_lost",
        replace(without("t-a2"), tickets=(replace(HEALTHY.tickets[0], version=1), HEALTHY.tickets[1])),
    ),
    "an event still in the outbox": (
        "event_lost",
        replace(HEALTHY, tickets=(HEALTHY.tickets[0], replace(HEALTHY.tickets[1], version=2, uncleared=(2,)))),
    ),
    "an event cleared and never published": ("event_lost", replace(HEALTHY, tickets=STORED)),
    "no confirmation": ("message_missing", replace(HEALTHY, sent=HEALTHY.sent[1:])),
    "two numbers for one key": (
        "two_tickets_for_one_key",
        replace(HEALTHY, requests=(replace(HEALTHY.requests[0], outcome="unknown", tickets=(KEPT, "X")),)),
    ),
    "two tickets of one order": (
        "two_tickets_for_one_key",
        replace(
            again("t-a1", id="t-x", ticket="X", partition=2),
            tickets=(*HEALTHY.tickets, StoredTicket("X", "order-a", 1)),
            sent=(*HEALTHY.sent, Sent("m9", "X", "+86", "confirmation")),
        ),
    ),
    "no breach": (
        "breach_missing",
        replace(without("b", "e-1", "e-2", "v"), ledger=(), budgets=(), credits=(), sent=(
            HEALTHY.sent[0], HEALTHY.sent[1], HEALTHY.sent[5])),
    ),
    "a promise nobody armed": ("breach_missing", replace(without("a-a", "t-a2"), commands=(), tickets=(
        StoredTicket(KEPT, "order-a", 1), HEALTHY.tickets[1]))),
    "stamped with the time of detection": ("breach_stamped_wrong", changed("b", breached_at=at(3.05))),
    "stamped with what was announced, but not promised": (
        "breach_stamped_wrong",
        replace(HEALTHY, records=tuple(
            replace(r, due_at=at(3.04)) if r.id == "a-b" else replace(r, breached_at=at(3.04)) if r.id == "b" else r
            for r in RECORDS
        )),
    ),
    "found before the deadline": ("breach_early", changed("b", detected_at=at(2.9))),
    "read before the deadline": ("breach_early", changed("b", seen_at=at(2.9))),
    "two breaches of one deadline": ("breach_twice", again("b", id="b2")),
    "one breach with two deadlines": ("breach_twice", again("b", breached_at=at(2.5), seen_at=at(9))),
    "two breaches, and no deadline moved": ("breach_twice", again("b", id="b2", n=2)),
    "met in time and left breached": ("met_left_breached", replace(more(MET_BEFORE), tickets=STORED)),
    "a level twice": ("escalation_twice", again("e-1", id="e-9")),
    "nobody told of a breach": ("escalation_missing", replace(without("e-1", "e-2"), sent=tuple(
        s for s in HEALTHY.sent if s.event != "escalation"))),
    "the second level without the first": ("escalation_missing", without("e-1")),
    "a confirmation twice": (
        "message_twice", replace(HEALTHY, sent=(*HEALTHY.sent, Sent("m9", KEPT, "+86", "confirmation")))),
    "an escalation told three times for two levels": (
        "message_twice",
        replace(HEALTHY, sent=(*HEALTHY.sent, Sent("m9", BROKEN, "role:supervisor", "escalation"))),
    ),
    "one key taken twice": ("message_twice", replace(HEALTHY, sent=(*HEALTHY.sent, HEALTHY.sent[5]))),
    "two vouchers for a ticket": (
        "voucher_twice",
        replace(
            again("v", id="v2"),
            ledger=(*HEALTHY.ledger, replace(HEALTHY.ledger[0], id="v2")),
            budgets=(Budget("brand/today", 2000),),
            credits=(*(HEALTHY.credits or ()), Credit("v2", 1000)),
        ),
    ),
    "another amount under the same key": ("voucher_twice", again("v", amount=900)),
    "paid twice": ("voucher_twice", replace(HEALTHY, credits=(Credit("v", 1000), Credit("v", 1000)))),
    "a broken promise that the ledger doesn't know": (
        "voucher_missing",
        replace(without("v"), ledger=(), budgets=(), credits=(), sent=tuple(
            s for s in HEALTHY.sent if s.event != "voucher")),
    ),
    "published in the ledger, no voucher": (
        "ledger_differs",
        replace(without("v"), credits=(), sent=tuple(s for s in HEALTHY.sent if s.event != "voucher")),
    ),
    "a voucher the ledger doesn't know": (
        "ledger_differs",
        replace(HEALTHY, ledger=(LedgerRow("other", BROKEN, "skipped", 1000),), budgets=()),
    ),
    "another amount than in the ledger": ("ledger_differs", changed("v", amount=999)),
    "a row that never settled": (
        "ledger_differs",
        replace(HEALTHY, ledger=(*HEALTHY.ledger, LedgerRow("w", KEPT, "proposed", 1000))),
    ),
    "promised and not paid": ("ledger_differs", replace(HEALTHY, credits=())),
    "a budget gave more than was taken": ("budget_differs", replace(HEALTHY, budgets=(Budget("brand/today", 1001),))),
    "a budget overrun": ("budget_differs", replace(HEALTHY, budgets=(Budget("brand/today", 1000, 999),))),
    "a version left out": ("versions_with_gaps", replace(
        changed("t-a2", version=3), tickets=(replace(HEALTHY.tickets[0], version=3), HEALTHY.tickets[1]))),
    "versions in the wrong order": ("versions_with_gaps", replace(HEALTHY, records=tuple(
        replace(r, offset=1 - r.offset) if r.ticket == KEPT and r.topic == "tickets.v1" else r for r in RECORDS))),
    "a poison nobody buried": (
        "poison_not_buried",
        replace(HEALTHY, poisoned=(*HEALTHY.poisoned, Poisoned("tickets.v1", 0, 7, ("sla",)))),
    ),
    "a good message buried": ("good_message_buried", again("", origin=("tickets.v1", 0, 0), service="sla")),
    "a partition that stands": ("partition_stuck", replace(HEALTHY, lags=(Lag("router", "complaints.v1", 0, 1, 2),))),
    "rebuilt otherwise than live": ("rebuilt_differs", replace(HEALTHY, copies=(Copy("clocks", KEPT, "a", "b"),))),
    "a phone number in a log": ("personal_data_leaked", replace(HEALTHY, leaks=("router.log",))),
}  # fmt: skip


def test_a_run_in_which_nothing_went_wrong_has_no_violation() -> None:
    assert check(HEALTHY) == []


@pytest.mark.parametrize("story", BROKEN_STORIES)
def test_what_breaks_an_invariant_is_named(story: str) -> None:
    name, observation = BROKEN_STORIES[story]
    assert name in {violation.name for violation in check(observation)}


def test_every_check_has_a_story_that_it_finds() -> None:
    assert {name for name, _ in BROKEN_STORIES.values()} == {found.__name__ for found in CHECKS}


def test_every_invariant_is_checked() -> None:
    assert set(CHECKS.values()) == {1, 2, 3, 4, 5, 6, 7, 8, 9}


@pytest.mark.parametrize("id", [r.id for r in RECORDS if r.id])
def test_a_record_that_comes_again_is_no_violation(id: str) -> None:
    assert check(again(id)) == []


def test_a_dead_letter_that_comes_again_is_no_violation() -> None:
    assert check(again("")) == []


def test_a_breach_that_was_taken_back_leaves_nothing_to_complain_of() -> None:
    withdrawn = replace(
        more(MET_BEFORE, RETRACTED),
        tickets=STORED,
        commands=(),
    )
    assert check(withdrawn) == []


def test_a_chain_closed_as_retracted_takes_the_breach_back() -> None:
    closed = ChainClosed(
        topic="escalations.v1", partition=1, offset=9, id="x", ticket=BROKEN, seen_at=at(7), escalation_id="b",
        why="retracted",
    )  # fmt: skip
    assert check(replace(more(MET_BEFORE, closed), tickets=STORED)) == []


def test_a_request_nobody_knows_the_outcome_of_may_have_happened_or_not() -> None:
    landed = replace(
        more(
            replace(
                record("c-a"), ticket="CCCC", order_id="order-c", id="c-c", resolve_by=None, first_response_by=None
            ),
            replace(record("t-a1"), ticket="CCCC", id="t-c1", courses=()),
        ),
        tickets=(*HEALTHY.tickets, StoredTicket("CCCC", "order-c", 1)),
        sent=(*HEALTHY.sent, Sent("m7", "CCCC", "+86", "confirmation")),
    )
    assert check(landed) == []


def test_a_promise_that_is_paused_or_over_may_pass_its_deadline() -> None:
    for course in (
        CourseSeen("first_response", 1, over="merged"),
        CourseSeen("first_response", 1, paused=True),
    ):
        story = replace(
            without("t-a2"),
            commands=(),
            tickets=(StoredTicket(KEPT, "order-a", 1), HEALTHY.tickets[1]),
        )
        records = tuple(
            replace(r, courses=(course,)) if isinstance(r, Changed) and r.id == "t-a1" else r for r in story.records
        )
        assert check(replace(story, records=records)) == []


def test_the_summary_counts_what_the_table_shows() -> None:
    figures = summary(HEALTHY, check(HEALTHY))
    assert (figures.acknowledged, figures.unknown, figures.lost, figures.duplicated, figures.breaches) == (
        3,
        1,
        0,
        0,
        1,
    )
    assert figures.late.total_seconds() == pytest.approx(0.05)
    worse = replace(HEALTHY, sent=HEALTHY.sent[1:], requests=(*HEALTHY.requests, Request("k", "o", "unknown")))
    figures = summary(worse, check(worse))
    assert (figures.lost, figures.unknown) == (1, 2)
