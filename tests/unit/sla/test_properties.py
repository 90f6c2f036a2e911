"""Random lives: the watchdog against a slow minute-by-minute model, and what must hold whatever happens."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import accumulate

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rules import courses as course
from rules.courses import Courses
from rules.model import Calendar, Metric, Target
from services.sla import watchdog
from services.sla.model import Breached, Clock, Effect, Escalated, InForce, Met
from tests.unit.rules import slow_model
from tests.unit.rules.calendars import ALWAYS, BERLIN, BRAND, NIGHT, OFFICE, utc
from tests.unit.sla.life import Life, chain

MINUTE = timedelta(minutes=1)
CALENDARS: list[Calendar] = [ALWAYS, ALWAYS, OFFICE, NIGHT, BERLIN, BRAND]
STARTS = [utc("2026-03-02 03:00"), utc("2026-03-28 20:00"), utc("2026-10-24 22:00"), utc("2026-02-13 09:00")]
patient = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
LONGEST = 2500


@dataclass(frozen=True)
class Step:
    """Something that happens `minute` minutes after the start. `terms`: the new target and calendar, if it is that."""

    minute: int
    what: str
    terms: tuple[int, Calendar] | None = None


terms_of = st.tuples(st.integers(1, 400), st.sampled_from(CALENDARS))
HAPPENINGS = ("waiting", "customer_wrote", "answered", "retarget", "resolved", "reopened", "owned", "disowned")


@st.composite
def steps(draw: st.DrawFn, what: tuple[str, ...] = HAPPENINGS, ends: tuple[str, ...] = ()) -> list[Step]:
    """Up to eight things in the order of time, no two in one minute, and perhaps an end."""
    found = draw(st.lists(st.tuples(st.integers(1, 200), st.sampled_from(what), terms_of), max_size=8))
    minutes = accumulate(gap for gap, _, _ in found)
    lived = [Step(m, w, t if w == "retarget" else None) for m, (_, w, t) in zip(minutes, found, strict=True)]
    if len(ends) > 0 and draw(st.booleans()):
        lived.append(Step(lived[-1].minute + 7 if lived else 7, draw(st.sampled_from(list(ends)))))
    return lived


def in_force(terms: tuple[int, Calendar], since: datetime, metrics: Sequence[Metric]) -> tuple[InForce, ...]:
    minutes, calendar = terms
    return tuple(
        InForce(
            since,
            Target(metric, minutes * MINUTE, calendar.name, "" if calendar.always else calendar.hash, (), chain(0, 5)),
            calendar,
            "ordinary",
            "0123456789abcdef",
        )
        for metric in metrics
    )


_COURSES = {
    "waiting": course.waiting,
    "customer_wrote": course.customer_wrote,
    "answered": course.answered,
    "resolved": course.resolved,
    "reopened": course.reopened,
    "owned": course.owned,
    "disowned": course.disowned,
    "closed": course.closed,
    "merged_away": course.merged_away,
    "rated": course.rated,
}


@dataclass
class Watched:
    """A ticket under the watchdog, whose timers fire when due (`eager`) or only when somebody looks."""

    start: datetime
    terms: tuple[int, Calendar]
    metrics: Sequence[Metric] = tuple(Metric)
    eager: bool = True
    life: Life = field(init=False)

    def __post_init__(self) -> None:
        first = in_force(self.terms, self.start, self.metrics)
        self.life = Life(first, course.opened(self.start))
        self._apply(self.start, self.start)
        # The router's first word on it: nothing new.
        self.life.version = 1
        self._apply(self.start, self.start)

    @property
    def clocks(self) -> tuple[Clock, ...]:
        assert self.life.row is not None
        return self.life.row.clocks

    def happen(self, step: Step, late: int = 0) -> None:
        """At its minute, and seen `late` minutes after."""
        at = self.start + step.minute * MINUTE
        if self.eager:
            self.run_until(at + late * MINUTE, inclusive=False)
        self.life.courses = self.after(step, at)
        if step.terms is not None:
            self.life.in_force = in_force(step.terms, at, self.metrics)
        self.life.version += 1
        self._apply(at, at + late * MINUTE)

    def after(self, step: Step, at: datetime) -> Courses:
        return _COURSES[step.what](self.life.courses, at) if step.terms is None else self.life.courses

    def _apply(self, at: datetime, seen: datetime) -> None:
        state = replace(self.life.state(0), at=at)
        outcome = watchdog.apply(self.life.row, state, seen)
        self.life.row = outcome.row
        self.life.published += outcome.effects

    def run_until(self, instant: datetime, *, inclusive: bool = True) -> None:
        """Every timer at its time."""
        for _ in range(300):
            assert self.life.row is not None
            due = watchdog.next_due(self.life.row)
            if due is None or due > instant or (due == instant and not inclusive):
                return
            before = len(self.life.published)
            self._tick(due)
            assert len(self.life.published) > before, "a timer that says nothing would fire for ever"
        raise AssertionError("the timers never come to rest")

    def look(self, instant: datetime) -> None:
        self._tick(instant)

    def _tick(self, instant: datetime) -> None:
        assert self.life.row is not None
        outcome = watchdog.tick(self.life.row, instant, instant)
        self.life.row = outcome.row
        self.life.published += outcome.effects

    def of(self, kind: type[Effect]) -> list[Effect]:
        return [effect for effect in self.life.published if type(effect) is kind]

    def breaches(self) -> list[Breached]:
        return [effect for effect in self.life.published if isinstance(effect, Breached)]


def model_of_resolution(
    start: datetime, terms: tuple[int, Calendar], lived: Sequence[Step]
) -> list[tuple[datetime, bool]]:
    """The breaches of the resolution, counted minute by minute: when, and whether a change of terms made them.

    It knows nothing of segments: a minute counts if the ticket is open, nobody waits for the customer and the calendar
    of that minute is open.
    """
    by_minute = {step.minute: step for step in lived}
    (target, calendar), coming = terms, terms
    waiting = resolved = missed = False
    used = [0]
    found: list[tuple[datetime, bool]] = []
    for minute in range(LONGEST):
        now = start + minute * MINUTE
        if not missed and not resolved and used[-1] >= target:
            found.append((now, False))
            missed = True
        step = by_minute.get(minute)
        what = step.what if step else ""
        if step and step.terms:
            coming = step.terms
        if what == "waiting" and not resolved:
            waiting = True
        elif what == "customer_wrote":
            waiting = False
        elif what == "resolved":
            resolved, waiting = True, False
        elif what == "reopened":
            resolved = False
        if not resolved and coming != (target, calendar):
            changed, (target, calendar) = coming[0] != target or coming[1] != calendar, coming
            if missed and changed and used[-1] < target:
                missed = False
            elif not missed and used[-1] >= target:
                reached = next(index for index, amount in enumerate(used) if amount >= target)
                found.append((now, reached < minute))
                missed = True
        counts = not resolved and not waiting and slow_model.is_open(calendar, now)
        used.append(used[-1] + (1 if counts else 0))
    return found


@patient
@given(
    start=st.sampled_from(STARTS),
    terms=terms_of,
    lived=steps(("waiting", "customer_wrote", "retarget", "retarget", "resolved", "reopened")),
    eager=st.booleans(),
)
def test_the_breaches_of_a_resolution_equal_the_minute_by_minute_model(
    start: datetime, terms: tuple[int, Calendar], lived: list[Step], eager: bool
) -> None:
    watched = Watched(start, terms, (Metric.RESOLUTION,), eager)
    for step in lived:
        watched.happen(step)
    end = start + (LONGEST - 1) * MINUTE
    watched.run_until(end) if eager else watched.look(end)
    told = [(e.breach.breached_at, e.breach.retarget) for e in watched.breaches()]
    assert told == model_of_resolution(start, terms, lived)


@patient
@given(start=st.sampled_from(STARTS), terms=terms_of, lived=steps(ends=("closed", "merged_away", "rated")))
def test_at_most_one_breach_for_each_deadline_version_and_one_escalation_for_each_level(
    start: datetime, terms: tuple[int, Calendar], lived: list[Step]
) -> None:
    watched = Watched(start, terms)
    for step in lived:
        watched.happen(step)
    watched.run_until(start + timedelta(days=40))
    named = [(e.clock.metric, e.clock.instance, e.breach.n) for e in watched.breaches()]
    assert len(named) == len(set(named))
    levels = [
        (e.breach.id, e.breach.level, e.breach.returned) for e in watched.of(Escalated) if isinstance(e, Escalated)
    ]
    assert len(levels) == len(set(levels))
    ids = [effect.id for effect in watched.life.published]
    assert len(ids) == len(set(ids))


@patient
@given(start=st.sampled_from(STARTS), terms=terms_of, lived=steps(), early=st.integers(1, 50))
def test_nothing_fires_early_and_every_breach_is_stamped_with_its_deadline(
    start: datetime, terms: tuple[int, Calendar], lived: list[Step], early: int
) -> None:
    watched = Watched(start, terms)
    for step in lived:
        watched.happen(step)
        assert watched.life.row is not None
        due = watchdog.next_due(watched.life.row)
        if due is not None:
            just_before = due - early * timedelta(milliseconds=1)
            assert watchdog.tick(watched.life.row, just_before, just_before).effects == ()
    watched.run_until(start + timedelta(days=40))
    for effect in watched.breaches():
        assert effect.breach.breached_at <= effect.breach.detected_at
        assert effect.breach.breached_at == effect.at, "the timers fired on time"


@patient
@given(start=st.sampled_from(STARTS), terms=terms_of, lived=steps(), late=st.lists(st.integers(0, 300), max_size=9))
def test_events_known_late_leave_the_breaches_that_punctual_ones_leave(
    start: datetime, terms: tuple[int, Calendar], lived: list[Step], late: list[int]
) -> None:
    watched, seen = Watched(start, terms), 0
    for step, delay in zip(lived, late + [0] * len(lived), strict=False):
        # The log keeps its order: what comes later is seen later.
        seen = max(seen, step.minute + delay)
        watched.happen(step, seen - step.minute)
    punctual = Watched(start, terms)
    for step in lived:
        punctual.happen(step)
    for each in (watched, punctual):
        each.run_until(start + timedelta(days=40))
    for mine, theirs in zip(watched.clocks, punctual.clocks, strict=True):
        assert (mine.metric, mine.instance, mine.ended, mine.met_at) == (
            theirs.metric, theirs.instance, theirs.ended, theirs.met_at,
        )  # fmt: skip
        standing = [b.breached_at for b in mine.breaches if b.closed != "retracted"]
        punctually = [b.breached_at for b in theirs.breaches if b.closed != "retracted"]
        # A tighter target known late: the breach of the old one, found meanwhile, stays.
        assert len(standing) == len(punctually)
        assert all(mine_at >= at for mine_at, at in zip(standing, punctually, strict=True))
    for met in watched.of(Met):
        assert isinstance(met, Met)
        assert met.due_at is None or not met.in_time or met.met_at < met.due_at


@patient
@given(
    start=st.sampled_from(STARTS),
    terms=terms_of,
    lived=steps(ends=("closed", "merged_away", "rated")),
    late=st.lists(st.integers(0, 120), max_size=9),
)
def test_a_replay_publishes_no_new_id_and_ends_with_the_same_clocks(
    start: datetime, terms: tuple[int, Calendar], lived: list[Step], late: list[int]
) -> None:
    live, seen = Watched(start, terms), 0
    for step, delay in zip(lived, late + [0] * len(lived), strict=False):
        seen = max(seen, step.minute + delay)
        live.happen(step, seen - step.minute)
    end = start + timedelta(days=40)
    live.run_until(end)
    replayed = Watched(start, terms, eager=False)
    for step in lived:
        replayed.happen(step, late=int((end - start) / MINUTE) - step.minute)
    # A breach after a retracted one has another number than in the replay, which never saw the wrong one.
    assume(not any(b.closed == "retracted" for c in live.clocks for b in c.breaches[:-1]))
    known = {effect.id for effect in live.life.published}
    assert {effect.id for effect in replayed.life.published} <= known
    # Timers fire once the replay is through; nothing is left to find but levels of chains that were told already.
    replayed.run_until(end + timedelta(days=40))
    assert {effect.id for effect in replayed.life.published} <= known
    for mine, theirs in zip(replayed.clocks, live.clocks, strict=True):
        assert (mine.metric, mine.instance, mine.ended, mine.start, mine.met_at, mine.pauses, mine.gaps) == (
            theirs.metric, theirs.instance, theirs.ended, theirs.start, theirs.met_at, theirs.pauses, theirs.gaps,
        )  # fmt: skip
        # A tighter target known late: live, the breach of the old one was found before.
        standing = [b.breached_at for b in theirs.breaches if b.closed != "retracted"]
        assert len(mine.breaches) == len(standing)
        assert all(b.breached_at <= at for b, at in zip(mine.breaches, standing, strict=True))
