"""The watchdog's decisions, pure: a row, what happened, the time → the new row and what to publish.

Rules are those of `sla.md` ("Clock", "Warning, breach, escalation") and `mechanisms.md` ("Watchdog"). All functions
give the same effects (the same ids) for the same history, whenever it is seen, so that a replay repeats itself.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from rules import clock as arithmetic
from rules.courses import Course
from rules.model import Metric, Priority, Promise
from services.sla import effects as make
from services.sla.clocks import due_at, is_recorded, kept, promised_by, segments_of, warnings_ahead
from services.sla.escalation import after_early, after_level, close_chains, has_come, next_level_at, take
from services.sla.model import Acknowledgement, Breach, Clock, Effect, InForce, Row, TicketState
from services.sla.moves import move, with_terms

# More than anybody has reason to send; whoever makes up numbers doesn't make the row grow.
MOST_EARLY = 20


@dataclass(frozen=True)
class Outcome:
    """The row to write (None: nothing to keep) and the effects to publish before it."""

    row: Row | None
    effects: tuple[Effect, ...] = ()


def nothing_known(ticket_id: str) -> Row:
    """A row for what is said of a ticket before the ticket itself."""
    return Row(ticket_id, -1, "", Priority.NORMAL, "", "", "", "", "", False, "", Promise(None, None))


def next_due(row: Row) -> datetime | None:
    """When the watchdog has to look at the ticket next; None: only when something happens."""
    instants: list[datetime] = []
    for clock in row.clocks:
        for breach in clock.breaches:
            if (at := next_level_at(breach)) is not None:
                instants.append(at)
        if clock.ended:
            continue
        segments = segments_of(clock)
        deadline = arithmetic.deadline(segments)
        if deadline is not None and not is_recorded(clock):
            instants.append(deadline)
        instants += [at for percent, at in warnings_ahead(clock, segments)]
    return min(instants, default=None)


def apply(row: Row | None, state: TicketState, now: datetime) -> Outcome:
    """A version of the ticket: clocks start, move, pause, are met or end.

    A version the row has seen already changes nothing; a row at version ≥ 1 ignores version 0 (the complaint).
    """
    early = () if row is None else row.early
    if row is not None and row.version < 0:
        row = None
    if row is not None and (state.version <= row.version if state.version else True):
        return Outcome(row)
    known = {(c.metric, c.instance): c for c in row.clocks} if row else {}
    base = Row(
        ticket_id=state.ticket_id,
        version=state.version,
        brand=state.brand,
        priority=state.priority,
        queue=state.queue,
        assignee=state.assignee,
        customer_ref=state.customer_ref,
        customer_id=state.customer_id,
        order_id=state.order_id,
        red=state.red,
        policy_hash=state.policy_hash,
        promise=state.promise,
        early=early,
    )
    clocks: list[Clock] = []
    effects: list[Effect] = []
    in_force = {terms.target.metric: terms for terms in state.in_force}
    for course in state.courses:
        terms = in_force.get(course.metric)
        before = known.pop((course.metric, course.instance), None)
        if terms is None and before is None:
            continue
        told = promised_by(state.promise, course.metric)
        if terms is not None:
            terms = kept(terms, course.start, told)
        elif told is None and course.is_open:
            # The policy in force promises nothing here any more, and the customer was told nothing.
            course = replace(course, over="no target")
        clock, more = _advance(
            base, before, course, terms, state.at, now, restated=row is not None and row.version == 0
        )
        clocks.append(clock)
        effects += more
    for clock in known.values():
        # The ticket no longer speaks of this instance. Once it has ended there is nothing to keep of it; if it hasn't,
        # the version that ended it was missed, and later instances have taken its place.
        if not clock.ended:
            effects += _cancel(base, clock, clock, "superseded", state.at, now)[1]
    row = replace(base, clocks=tuple(sorted(clocks, key=lambda c: (list(Metric).index(c.metric), c.instance))))
    return Outcome(row, tuple(replace(effect, row=row) for effect in effects))


def _advance(
    row: Row,
    before: Clock | None,
    course: Course,
    terms: InForce | None,
    at: datetime,
    now: datetime,
    *,
    restated: bool,
) -> tuple[Clock, list[Effect]]:
    """One clock under the ticket's new facts: judged under the terms so far, then moved to the new ones.

    `restated`: the router speaks for the first time of what the complaint had promised.
    """
    effects: list[Effect] = []
    if before is None:
        assert terms is not None
        first = replace(terms, since=course.start)
        clock = Clock(course.metric, course.instance, 1, course.start, None, "", (), (), (first,))
    elif before.ended == "cancelled" and (course.over or (course.met_at is not None and terms is None)):
        # What nobody promises any more is neither kept nor broken by what happens later.
        return before, []
    else:
        clock = before
    clock = replace(clock, met_at=course.met_at, pauses=course.pauses, gaps=course.gaps)
    if before is None:
        effects.append(make.armed(row, clock, now, arithmetic.deadline(segments_of(clock, stopped=False))))
    else:
        clock = replace(clock, ended="")

    clock, more = _retract_disproved(row, clock, course, terms, at, now)
    effects += more
    # Judged under the terms that were in force until now: a promise that was broken before this change stays broken.
    if before is None or before.ended != "cancelled":
        # The opening is dated at the acknowledgement, and its routing may be later than that.
        until = course.met_at or at
        clock, more = _judge(row, clock, until, now, stopped=False)
        effects += more
    if before is not None and course.is_open:
        clock, more = move(row, before, clock, course, terms, at, now, restated=restated)
        effects += more
    if not course.over:
        effects += _pause_effects(row, before, clock, now)
    if course.met_at is not None:
        clock, more = _meet(row, before, clock, course.met_at, now)
        effects += more
    elif course.over:
        clock, more = _cancel(row, before, clock, course.over, at, now)
        effects += more
    return clock, effects


def _judge(
    row: Row, clock: Clock, until: datetime, now: datetime, *, stopped: bool = True
) -> tuple[Clock, list[Effect]]:
    """Records the breach of a deadline that is not after `until`, once per deadline version."""
    if clock.ended or is_recorded(clock):
        return clock, []
    segments = segments_of(clock, stopped=stopped)
    deadline = arithmetic.deadline(segments)
    if deadline is None or deadline > until:
        return clock, []
    if any(breach.n == clock.n for breach in clock.breaches):
        # The one of this version was retracted: its id is used up.
        clock = replace(clock, n=clock.n + 1)
    last = clock.terms[-1]
    breach = Breach(
        id=arithmetic.breach_id(row.ticket_id, clock.metric, clock.instance, clock.n),
        n=clock.n,
        breached_at=deadline,
        detected_at=max(now, deadline),
        retarget=arithmetic.by_retarget(segments),
        chain=last.target.chain,
        return_after=last.target.return_after,
    )
    clock = replace(clock, breaches=(*clock.breaches, breach))
    effects: list[Effect] = [make.breached(row, clock, breach, arithmetic.reason(clock.metric, segments, deadline))]
    if not breach.retarget:
        effects.append(make.compensation_asked(row, clock, breach))
    return clock, effects


def _pause_effects(row: Row, before: Clock | None, clock: Clock, now: datetime) -> list[Effect]:
    was = before is not None and arithmetic.is_paused(segments_of(before))
    segments = segments_of(clock)
    if arithmetic.is_paused(segments) and not was:
        return [make.paused(row, clock, now)]
    if was and arithmetic.is_running(segments):
        return [make.resumed(row, clock, now, arithmetic.deadline(segments))]
    return []


def _meet(row: Row, before: Clock | None, clock: Clock, met_at: datetime, now: datetime) -> tuple[Clock, list[Effect]]:
    """Met in time wins: a breach recorded though the target had been met before it is taken back."""
    already = before is not None and before.ended == "met" and before.met_at == met_at
    deadline = arithmetic.deadline(segments_of(clock, stopped=False))
    in_time = deadline is None or met_at < deadline
    wrong = next((b for b in clock.breaches if in_time and _stands(b, clock) and met_at < b.breached_at), None)
    clock, effects = _retract(row, clock, wrong, now)
    closed, more = close_chains(row, clock, now, "met")
    clock = replace(closed, ended="met")
    effects += more
    if not already or wrong is not None:
        retracts = "" if wrong is None else wrong.id
        effects.append(make.met(row, clock, met_at, deadline, not is_recorded(clock), retracts, now))
    return clock, effects


def _retract_disproved(
    row: Row, clock: Clock, course: Course, terms: InForce | None, at: datetime, now: datetime
) -> tuple[Clock, list[Effect]]:
    """Takes back a breach that an event from before it, learnt late, proves wrong: a pause, other terms, an end.

    (mechanisms.md: "If a breach still proves wrong (an event delayed before Kafka), it is retracted".)
    """
    found = next((b for b in clock.breaches if _stands(b, clock) and at < b.breached_at), None)
    if found is None or course.met_at is not None:
        return clock, []
    if not course.over:
        changed = clock if terms is None else with_terms(clock, terms)
        deadline = arithmetic.deadline(segments_of(changed))
        if changed.terms[-1].since >= found.breached_at or (deadline is not None and deadline <= found.breached_at):
            return clock, []
    return _retract(row, clock, found, now)


def _stands(breach: Breach, clock: Clock) -> bool:
    return breach.n == clock.n and breach.closed != "retracted"


def _retract(row: Row, clock: Clock, wrong: Breach | None, now: datetime) -> tuple[Clock, list[Effect]]:
    if wrong is None:
        return clock, []
    effects: list[Effect] = []
    if not wrong.retarget:
        effects.append(make.compensation_withdrawn(row, clock, wrong, now))
    if wrong.level and not wrong.closed:
        effects.append(make.escalation_closed(row, clock, wrong, now, "retracted"))
    breaches = tuple(replace(b, closed="retracted") if b is wrong else b for b in clock.breaches)
    return replace(clock, breaches=breaches), effects


def _cancel(
    row: Row, before: Clock | None, clock: Clock, why: str, at: datetime, now: datetime
) -> tuple[Clock, list[Effect]]:
    if before is not None and before.ended:
        return replace(clock, ended=before.ended), []
    closed, effects = close_chains(row, clock, now, "cancelled")
    return replace(closed, ended="cancelled"), [*effects, make.cancelled(row, closed, at, why)]


def tick(row: Row, as_of: datetime, now: datetime) -> Outcome:
    """What is due at `as_of`: warnings, breaches, and the levels of open chains. `now` stamps what is published."""
    clocks: list[Clock] = []
    effects: list[Effect] = []
    for clock in row.clocks:
        if not clock.ended:
            # Only if still running: a warning point that was passed together with the deadline says nothing new.
            clock, more = _judge(row, clock, as_of, now)
            effects += more
            for percent, at in warnings_ahead(clock, segments_of(clock)):
                if at <= as_of:
                    clock = replace(clock, warned=(*clock.warned, percent))
                    effects.append(make.at_risk(row, clock, percent, at, due_at(clock)))
        breaches: list[Breach] = []
        for breach in clock.breaches:
            breach, more = after_level(row, clock, breach, as_of, now)
            effects += more
            breach, taken, early = after_early(row, clock, breach)
            effects += early
            row = replace(row, early=tuple(each for each in row.early if each not in taken))
            breaches.append(breach)
        clocks.append(replace(clock, breaches=tuple(breaches)))
    row = replace(row, clocks=tuple(clocks))
    return Outcome(row, tuple(replace(effect, row=row) for effect in effects))


def acknowledge(row: Row, asked: Acknowledgement) -> Outcome:
    """Somebody takes an escalation on. One that has ended or is taken on stays as it is.

    What isn't there yet is kept for later: in a replay the acknowledgement is read before the timer that escalates.
    """
    for index, clock in enumerate(row.clocks):
        for place, breach in enumerate(clock.breaches):
            if breach.id != asked.escalation_id:
                continue
            if not has_come(breach, asked):
                return _keep(row, asked)
            if breach.closed or breach.acknowledged_at is not None:
                return Outcome(row)
            taken, effects = take(row, clock, breach, asked)
            breaches = (*clock.breaches[:place], taken, *clock.breaches[place + 1 :])
            changed = replace(clock, breaches=breaches)
            return Outcome(replace(row, clocks=(*row.clocks[:index], changed, *row.clocks[index + 1 :])), effects)
    return _keep(row, asked)


def _keep(row: Row, asked: Acknowledgement) -> Outcome:
    return Outcome(row if asked in row.early else replace(row, early=(*row.early, asked)[-MOST_EARLY:]))
