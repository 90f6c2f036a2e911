"""Plays a story: the real rules and the real watchdog, with timers that fire when they are due."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from rules import courses as course
from rules.calendar import add_working_time
from rules.courses import Courses
from rules.model import Calendar, Metric, Priority, Promise, Target
from services.sla import watchdog
from services.sla.model import (
    Acknowledgement,
    Armed,
    AtRisk,
    Breached,
    Cancelled,
    CompensationAsked,
    CompensationWithdrawn,
    Effect,
    Escalated,
    EscalationAcknowledged,
    EscalationClosed,
    InForce,
    Met,
    Paused,
    Resumed,
    Retargeted,
    Row,
    TicketState,
)
from services.sla.rows import row_from_bytes, row_to_bytes
from tests.unit.sla.scenarios.story import CALENDARS, Line, Promised, Story, duration, promised

FOREVER = datetime.max.replace(tzinfo=UTC)

HAPPENINGS: dict[str, Callable[[Courses, datetime], Courses]] = {
    "routed": course.routed,
    "taken by an agent": course.owned,
    "back in the queue": course.disowned,
    "answered": course.answered,
    "customer writes": course.customer_wrote,
    "waits for the customer": course.waiting,
    "resolved": course.resolved,
    "reopened": course.reopened,
    "closed": course.closed,
    "merged into another": course.merged_away,
    "rated": course.rated,
    "called back": course.called_back,
    "changed in nothing": lambda courses, at: courses,
}
"""What a line of a story may say besides those that `Player` knows itself."""


class StoryCalendars:
    """The calendars of the stories by hash, as the table's rows name them."""

    def calendar(self, calendar_hash: str) -> Calendar | None:
        """None for a calendar no story uses."""
        return next((each for each in CALENDARS.values() if each.hash == calendar_hash), None)


@dataclass
class Player:
    """One ticket of one story. `published` is everything the watchdog made, in order."""

    story: Story
    row: Row | None = None
    version: int = 0
    courses: Courses = ()
    in_force: tuple[InForce, ...] = ()
    promise: Promise = field(default_factory=lambda: Promise(None, None))
    published: list[Effect] = field(default_factory=list)
    last: TicketState | None = None
    away: bool = False
    back_at: datetime | None = None

    def play(self) -> list[str]:
        """Lets everything happen, then waits until no timer is left; all that was said."""
        for line in self.story.lines():
            self.run_until(line.seen, inclusive=False)
            self._happen(line)
        self.run_until(FOREVER)
        assert not self.away
        ids = [effect.id for effect in self.published]
        assert len(ids) == len(set(ids)), "every effect has an id of its own"
        asked = {e.breach.id for e in self.published if isinstance(e, CompensationAsked)}
        owed = {e.breach.id for e in self.published if isinstance(e, Breached) and not e.breach.retarget}
        assert asked == owed, "every breach asks for compensation but those that a change of terms made"
        return [text for effect in self.published if (text := say(self.story, effect))]

    def run_until(self, instant: datetime, *, inclusive: bool = True) -> None:
        """Fires the timers that are due, each at its time or when the watchdog is back."""
        for _ in range(1000):
            due = watchdog.next_due(self.row) if self.row and not self.away else None
            if due is None:
                return
            moment = max(due, self.back_at or due)
            if moment > instant or (moment == instant and not inclusive):
                return
            assert self.row is not None
            self._take(watchdog.tick(self.row, moment, moment))
        raise AssertionError("the timers never come to rest")

    def _take(self, outcome: watchdog.Outcome) -> None:
        if outcome.row is not None:
            stored = row_from_bytes(outcome.row.ticket_id, row_to_bytes(outcome.row), StoryCalendars())
            assert stored == outcome.row
        self.row = outcome.row
        self.published += outcome.effects

    def _happen(self, line: Line) -> None:
        what = line.what
        if what == "acknowledged":
            self.courses = course.opened(line.at)
            self._promise(line.at, promised(self.story.promises))
            self.promise = _told(self.in_force, line.at)
            self._learn(line)
        elif what == "the same complaint again":
            assert self.last is not None
            self._take(watchdog.apply(self.row, replace(self.last, version=0), line.seen))
        elif what == "the same event again":
            assert self.last is not None
            self._take(watchdog.apply(self.row, self.last, line.seen))
        elif what == "watchdog dies":
            self.away = True
        elif what == "watchdog is back":
            self.away, self.back_at = False, line.at
        elif found := re.fullmatch(r"(\w+) takes on (\w+)", what):
            assert self.row is not None
            asked = Acknowledgement(self._escalation(Metric(found[2])), 0, 0, found[1], line.seen)
            self._take(watchdog.acknowledge(self.row, asked))
        else:
            self._change(line)
            self.version += 1
            self._learn(line)

    def _change(self, line: Line) -> None:
        if line.what == "answered by a machine":
            counts = self.story.machines_count
            self.courses = course.answered(self.courses, line.at, automatic=True, automatic_counts=counts)
        elif found := re.fullmatch(r"takes in a ticket acknowledged (.+)", line.what):
            self.courses = course.merged_in(self.courses, course.opened(self.story.instant(found[1])))
        elif found := re.fullmatch(r"(supervisor )?promises (.+)", line.what):
            self._promise(line.at, promised(found[2]))
            if found[1]:
                self.promise = _told(self.in_force, self.courses[0].start)
        else:
            self.courses = HAPPENINGS[line.what](self.courses, line.at)

    def _promise(self, at: datetime, targets: tuple[Promised, ...]) -> None:
        self.in_force = tuple(
            InForce(
                at,
                Target(
                    each.metric,
                    each.target,
                    each.calendar.name,
                    "" if each.calendar.always else each.calendar.hash,
                    warn_percent=self.story.warn,
                    chain=self.story.chain(),
                    return_after=duration(self.story.back) if self.story.back else None,
                ),
                each.calendar,
                "ordinary",
                "0123456789abcdef",
            )
            for each in targets
        )

    def _learn(self, line: Line) -> None:
        self.last = TicketState(
            ticket_id="7K3M-9QXZ-4TPC-5",
            version=self.version,
            at=line.at,
            brand="default",
            priority=Priority.NORMAL,
            queue="customer_service",
            assignee="",
            customer_ref="c1",
            customer_id="c1",
            order_id="",
            red=False,
            policy_hash="0123456789abcdef",
            promise=self.promise,
            courses=self.courses,
            in_force=self.in_force,
        )
        self._take(watchdog.apply(self.row, self.last, line.seen))

    def _escalation(self, metric: Metric) -> str:
        assert self.row is not None
        return next(b.id for c in reversed(self.row.clocks) if c.metric is metric for b in reversed(c.breaches))


def _told(in_force: tuple[InForce, ...], start: datetime) -> Promise:
    """What the customer is told of these targets."""
    by = {
        each.target.metric: add_working_time(each.calendar, start, each.target.duration)
        for each in in_force
        if each.target.metric in (Metric.FIRST_RESPONSE, Metric.RESOLUTION)
    }
    return Promise(by.get(Metric.FIRST_RESPONSE), by.get(Metric.RESOLUTION))


def say(story: Story, effect: Effect) -> str:
    """One effect in the words of the stories; "" for a request for compensation, which `Player.play` checks."""
    w, metric = story.written, effect.clock.metric
    name = str(metric) if effect.clock.instance == 1 else f"{metric} {effect.clock.instance}"
    match effect:
        case Armed(due_at=due):
            text = f"{name} due {w(due)}"
        case Retargeted(due_at=due):
            text = f"{name} now due {w(due)}"
        case Paused():
            text = f"{name} paused"
        case Resumed(due_at=due):
            text = f"{name} runs again, due {w(due)}"
        case AtRisk(percent=percent):
            text = f"{name} at risk, {percent}% used"
        case Breached(breach=breach):
            text = f"{name} BROKEN"
            text += f" at {w(breach.breached_at)}" if breach.breached_at != effect.at else ""
            text += " by the change of terms" if breach.retarget else ""
        case Met(met_at=met_at, in_time=in_time, retracts=retracts):
            text = f"{name} {'met' if in_time else 'met too late'}"
            text += f" at {w(met_at)}" if met_at != effect.at else ""
            text += ", the breach is taken back" if retracts else ""
        case Cancelled(why=why):
            text = f"{name} ends, {why}"
        case Escalated(breach=breach, level=level):
            text = f"level {breach.level} of {name} {'again ' if breach.returned else ''}tells {' '.join(level.notify)}"
        case EscalationAcknowledged(by=by):
            text = f"{by} took on {name}"
        case EscalationClosed(why=why):
            text = f"escalation of {name} ends, {why}"
        case CompensationWithdrawn():
            text = f"compensation for {name} withdrawn"
        case CompensationAsked():
            return ""
        case _:
            raise TypeError(type(effect).__name__)
    return f"{w(effect.at)} {text}"
