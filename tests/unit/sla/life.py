"""A ticket's life told in minutes, for the watchdog's tests: what happens, and when the watchdog looks."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from rules import courses
from rules.courses import Courses
from rules.model import Calendar, EscalationLevel, Metric, Priority, Promise, Target, Way
from services.sla import watchdog
from services.sla.clocks import due_at
from services.sla.model import Acknowledgement, Effect, InForce, Row, TicketState
from services.sla.rows import row_from_bytes, row_to_bytes

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ALWAYS = Calendar("always", always=True)


def at(minute: float) -> datetime:
    """That many minutes after the complaint was acknowledged (12:00 UTC on a Monday)."""
    return START + timedelta(minutes=minute)


def chain(*after: float) -> tuple[EscalationLevel, ...]:
    """Levels after these minutes, each telling its own people."""
    return tuple(
        EscalationLevel(number, timedelta(minutes=minutes), (f"role:level{number}",), (Way.SMS,))
        for number, minutes in enumerate(after, 1)
    )


def target(
    metric: Metric,
    minutes: float,
    levels: tuple[EscalationLevel, ...] = (),
    back: float = 0,
    warn: tuple[int, ...] = (),
) -> InForce:
    """A target that counts from the start."""
    return InForce(
        START,
        Target(
            metric,
            timedelta(minutes=minutes),
            "always",
            "",
            warn_percent=warn,
            chain=levels,
            return_after=timedelta(minutes=back) or None,
        ),
        ALWAYS,
        "ordinary",
        "0123456789abcdef",
    )


class NoCalendars:
    """Every target of these tests is round the clock."""

    def calendar(self, calendar_hash: str) -> Calendar | None:
        return None


@dataclass
class Life:
    """One ticket under the watchdog. Every step also sends the row through its bytes, as the table does."""

    in_force: tuple[InForce, ...]
    courses: Courses = field(default_factory=lambda: courses.opened(START))
    version: int = 0
    row: Row | None = None
    published: list[Effect] = field(default_factory=list)
    promise: Promise = field(default_factory=lambda: Promise(None, None))

    def state(self, minute: float) -> TicketState:
        return TicketState(
            ticket_id="7K3M-9QXZ-4TPC-5",
            version=self.version,
            at=at(minute),
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

    def _take(self, outcome: watchdog.Outcome) -> list[Effect]:
        row = outcome.row
        if row is not None:
            assert row_from_bytes(row.ticket_id, row_to_bytes(row), NoCalendars()) == row
        self.row = row
        self.published += outcome.effects
        return list(outcome.effects)

    def complaint(self) -> list[Effect]:
        """Version 0: acknowledged at 12:00."""
        return self._take(watchdog.apply(self.row, self.state(0), at(0)))

    def event(self, minute: float, seen: float | None = None) -> list[Effect]:
        """The next version of the ticket, which happened at `minute` and is seen at `seen` (at once by default)."""
        self.version += 1
        return self._take(watchdog.apply(self.row, self.state(minute), at(minute if seen is None else seen)))

    def routed(self, minute: float) -> list[Effect]:
        self.courses = courses.routed(self.courses, at(minute))
        return self.event(minute)

    def owned(self, minute: float) -> list[Effect]:
        self.courses = courses.owned(self.courses, at(minute))
        return self.event(minute)

    def disowned(self, minute: float) -> list[Effect]:
        self.courses = courses.disowned(self.courses, at(minute))
        return self.event(minute)

    def answered(self, minute: float, seen: float | None = None, *, automatic: bool = False) -> list[Effect]:
        self.courses = courses.answered(self.courses, at(minute), automatic=automatic)
        return self.event(minute, seen)

    def customer_wrote(self, minute: float) -> list[Effect]:
        self.courses = courses.customer_wrote(self.courses, at(minute))
        return self.event(minute)

    def resolved(self, minute: float, seen: float | None = None) -> list[Effect]:
        self.courses = courses.resolved(self.courses, at(minute))
        return self.event(minute, seen)

    def reopened(self, minute: float) -> list[Effect]:
        self.courses = courses.reopened(self.courses, at(minute))
        return self.event(minute)

    def closed(self, minute: float) -> list[Effect]:
        self.courses = courses.closed(self.courses, at(minute))
        return self.event(minute)

    def merged_away(self, minute: float) -> list[Effect]:
        self.courses = courses.merged_away(self.courses, at(minute))
        return self.event(minute)

    def rated(self, minute: float) -> list[Effect]:
        self.courses = courses.rated(self.courses, at(minute))
        return self.event(minute)

    def paused(self, minute: float) -> list[Effect]:
        self.courses = courses.waiting(self.courses, at(minute))
        return self.event(minute)

    def resumed(self, minute: float) -> list[Effect]:
        self.courses = courses.resumed(self.courses, at(minute))
        return self.event(minute)

    def retargeted(self, minute: float, *in_force: InForce, seen: float | None = None) -> list[Effect]:
        self.in_force = tuple(replace(each, since=at(minute)) for each in in_force)
        return self.event(minute, seen)

    def tick(self, minute: float) -> list[Effect]:
        """The watchdog looks."""
        assert self.row is not None
        return self._take(watchdog.tick(self.row, at(minute), at(minute)))

    def run_until(self, minute: float) -> list[Effect]:
        """Lets every timer fire on time up to `minute`."""
        effects: list[Effect] = []
        for _ in range(100):
            assert self.row is not None
            due = watchdog.next_due(self.row)
            if due is None or due > at(minute):
                return effects
            effects += self._take(watchdog.tick(self.row, due, due))
        raise AssertionError("the timers never come to rest")

    def acknowledged(self, escalation_id: str, minute: float) -> list[Effect]:
        assert self.row is not None
        return self._take(watchdog.acknowledge(self.row, Acknowledgement(escalation_id, 0, 0, "li", at(minute))))

    def due(self, metric: Metric) -> datetime | None:
        """The deadline of the metric's latest instance."""
        assert self.row is not None
        return due_at(max((c for c in self.row.clocks if c.metric is metric), key=lambda c: c.instance))


def kinds(effects: list[Effect]) -> list[str]:
    """Names of the effects, in order."""
    return [type(effect).__name__ for effect in effects]
