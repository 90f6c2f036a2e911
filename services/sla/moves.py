"""What moves the deadline of a clock that goes on: new terms, an earlier start, the end of a time it stood still."""

from dataclasses import replace
from datetime import datetime

from rules import clock as arithmetic
from rules.courses import Course
from services.sla import effects as make
from services.sla.clocks import segments_of
from services.sla.model import BEFORE, Clock, Effect, InForce, Row


def move(
    row: Row,
    before: Clock,
    clock: Clock,
    course: Course,
    terms: InForce | None,
    at: datetime,
    now: datetime,
    *,
    restated: bool,
) -> tuple[Clock, list[Effect]]:
    """The clock `before` an event and as it is now (`clock`), under the terms of now; what to publish of it.

    `restated`: the router speaks for the first time of what the complaint had promised.
    """
    if course.start < before.start or before.ended == "cancelled":
        # What is past by the new count breaches now, and not in a past in which nobody had promised it.
        moved = _may_breach_again(_counted_anew(clock, course.start, terms or clock.terms[-1], at), at)
        previous = None if before.ended else arithmetic.deadline(segments_of(before))
        return moved, [make.retargeted(row, moved, now, previous, arithmetic.deadline(segments_of(moved)))]
    effects: list[Effect] = []
    if terms is not None:
        clock, effects = _retarget(row, clock, terms, at, now, restated=restated)
    if before.ended == "met" and not effects:
        due = arithmetic.deadline(segments_of(clock))
        effects = [make.retargeted(row, clock, now, arithmetic.deadline(segments_of(before, stopped=False)), due)]
    return clock, effects


def _counted_anew(clock: Clock, start: datetime, terms: InForce, at: datetime) -> Clock:
    """The clock counted from `start`, under terms that take effect at `at` even where they are the same as before."""
    past = tuple(
        replace(each, sla_policy=f"{each.sla_policy}{BEFORE}") if each.terms == terms.terms else each
        for each in clock.terms
    )
    return replace(clock, start=start, terms=(*past, replace(terms, since=at, counted_from=start)), warned=())


def _retarget(
    row: Row, clock: Clock, terms: InForce, at: datetime, now: datetime, *, restated: bool
) -> tuple[Clock, list[Effect]]:
    changed = with_terms(clock, terms)
    if len(changed.terms) == len(clock.terms):
        return changed, []
    previous = arithmetic.deadline(segments_of(clock))
    if restated and arithmetic.computed(segments_of(changed)) == previous:
        # The complaint's promise in the router's words: the same deadline, which stood from the start.
        return _renamed(clock, terms), []
    changed = replace(_may_breach_again(changed, max(at, changed.terms[-1].since)), warned=())
    return changed, [make.retargeted(row, changed, now, previous, arithmetic.deadline(segments_of(changed)))]


def with_terms(clock: Clock, terms: InForce) -> Clock:
    """The clock under `terms` from when they took effect; only other words for them where target and calendar stay."""
    last = clock.terms[-1]
    if (last.target.duration, last.calendar) == (terms.target.duration, terms.calendar):
        return _renamed(clock, terms)
    # While it stood still no terms took effect: those of that time count from its end.
    ends = (gap.end for gap in clock.gaps if gap.end is not None and gap.start <= terms.since <= gap.end)
    since = max(last.since, terms.since, max(ends, default=terms.since))
    return replace(clock, terms=(*clock.terms, replace(terms, since=since)))


def _may_breach_again(clock: Clock, at: datetime) -> Clock:
    """The next deadline version (n + 1) where the one in force was missed and has moved later."""
    missed = next((b for b in clock.breaches if b.n == clock.n and b.closed != "retracted"), None)
    if missed is None or not arithmetic.may_breach_again(segments_of(clock), missed.breached_at, at):
        return clock
    return replace(clock, n=clock.n + 1)


def _renamed(clock: Clock, terms: InForce) -> Clock:
    """Other words for the terms in force, with the people and warning points they have now."""
    last = clock.terms[-1]
    return replace(clock, terms=(*clock.terms[:-1], replace(terms, since=last.since, counted_from=last.counted_from)))
