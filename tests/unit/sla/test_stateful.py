"""A ticket and its clocks under random commands: router's policy → bytes → watchdog, with time and timers by hand.

Between them stand an outbox (whose relay may stop) and a log (behind which the worker may lag), as in real life. A
command of the ticket is one line of `COMMANDS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from google.protobuf.message import Message as Proto
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from common.errors import Refused
from common.words import to_timestamp
from gen.pingxi.v1 import common_pb2
from gen.pingxi.v1.complaint_pb2 import ComplaintSubmitted
from gen.pingxi.v1.internal_pb2 import AcknowledgeEscalation, DueCame, EndOffset, SlaCommand
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from rules import clock as arithmetic
from rules import promise as promises
from rules.model import Calendar, ComplaintFacts, Metric, PolicySet, Priority, Target
from rules.routing import decide
from rules.words import Category
from services.router import commands as c
from services.router.model import Actor, ActorKind, Complaint, Event, Personal, Sealed, Ticket
from services.router.policy import open_ticket, perform
from services.router.terms import correction, merging, terms_for
from services.router.transitions import TRANSITIONS
from services.router.wire import event_to_proto
from services.sla.clocks import due_at, is_recorded, segments_of
from services.sla.judge import due_of, judge
from services.sla.model import Breached, Clock, Effect, Escalated, Met, Row
from services.sla.rows import row_from_bytes, row_to_bytes
from services.sla.watchdog import Outcome, next_due, tick
from tests.fakes_router import START, VAULT, complaint, policies
from wire.promise import promise_to_proto, target_to_proto

TOPIC = "tickets.v1"
TEXTS = {"red": "菜里有虫子", "ordinary": "送错地址了", "complex": "你们不给退款"}
CUSTOMER = Actor(ActorKind.CUSTOMER)
AGENT = Actor(ActorKind.AGENT, "li")
SUPERVISOR = Actor(ActorKind.SUPERVISOR, "wang")
BOT = Actor(ActorKind.BOT, "bot")


def _in_office_hours(policies: PolicySet) -> PolicySet:
    """The same promises in working hours, and the next answer promised as well."""
    office = policies.calendars["office"]

    def target(each: Target) -> Target:
        return replace(each, calendar=office.name, calendar_hash=office.hash)

    def targets(old: tuple[Target, ...]) -> tuple[Target, ...]:
        chain = old[0].chain
        return (*map(target, old), Target(Metric.NEXT_RESPONSE, timedelta(hours=1), "always", "", chain=chain))

    sla = tuple(replace(p, targets={k: targets(v) for k, v in p.targets.items()}) for p in policies.sla)
    return replace(policies, sla=sla)


POLICIES: Mapping[str, PolicySet] = {
    "round the clock": policies()["default"],
    "office": _in_office_hours(policies()["default"]),
}


class Calendars:
    """All calendars there are."""

    def calendar(self, calendar_hash: str) -> Calendar | None:
        """By its hash."""
        return next((found for p in POLICIES.values() if (found := p.calendar_by_hash(calendar_hash))), None)


@dataclass
class Log:
    """The worker's view: what is in the topic, how much of it is processed, the row and all that was published."""

    messages: list[bytes] = field(default_factory=list)
    processed: int = 0
    row: Row | None = None
    published: list[Effect] = field(default_factory=list)

    def judge(self, message: Proto, now: datetime) -> bool:
        """False: not yet, messages before it wait."""
        if isinstance(message, DueCame):
            _, as_of, passed = due_of(message, {(TOPIC, 0): self.processed})
            if not passed:
                return False
            outcome = tick(self.row, as_of, now) if self.row is not None else Outcome(None)
        else:
            outcome = judge(self.row, message, Calendars(), now)
        if outcome.row is not None:
            stored = row_from_bytes(outcome.row.ticket_id, row_to_bytes(outcome.row), Calendars())
            assert stored == outcome.row
        self.row = outcome.row
        self.published += outcome.effects
        return True


Make = Callable[["Machine", st.DataObject], c.Command]


def _sealed(machine: "Machine") -> Sealed:
    return VAULT.seal(machine.ticket.id, Personal(text="…"))


def _change_category(machine: "Machine", data: st.DataObject) -> c.Command:
    category = data.draw(st.sampled_from([Category.FOOD_SAFETY, Category.DELIVERY, Category.SYSTEM]))
    loosen = data.draw(st.booleans())
    return correction(machine.ticket, machine.policies, category, (), angry=data.draw(st.booleans()), loosen=loosen)


def _change_priority(machine: "Machine", data: st.DataObject) -> c.Command:
    priority = data.draw(st.sampled_from(list(Priority)))
    return c.ChangePriority(terms_for(machine.ticket, machine.policies, priority, loosen=data.draw(st.booleans())))


def _merge_in(machine: "Machine", data: st.DataObject) -> c.Command:
    older = machine.complaint(2, START + timedelta(minutes=data.draw(st.integers(-90, 30))))
    other = machine.opened(older, machine.now).ticket
    (away,) = perform(other, c.MergeAway(machine.ticket.id), c.Cause("away", machine.now, AGENT))
    calendars = machine.policies.calendars
    return merging(machine.ticket, away.ticket, calendars, machine.fresh("note"), _sealed(machine))


COMMANDS: Mapping[str, tuple[Actor, Make]] = {
    "assign": (AGENT, lambda m, d: c.Assign(d.draw(st.sampled_from(["li", "wang"])))),
    "reply": (AGENT, lambda m, d: c.Reply(m.fresh("m"), _sealed(m))),
    "reply of a machine": (BOT, lambda m, d: c.Reply(m.fresh("m"), _sealed(m))),
    "note": (AGENT, lambda m, d: c.AddNote(m.fresh("n"), _sealed(m))),
    "request information": (AGENT, lambda m, d: c.RequestInformation(m.fresh("m"), _sealed(m))),
    "customer writes": (CUSTOMER, lambda m, d: c.ReceiveMessage(m.fresh("m"), "app", _sealed(m))),
    "customer thanks": (CUSTOMER, lambda m, d: c.ReceiveMessage(m.fresh("m"), "app", _sealed(m), thanks=True)),
    "customer rates": (CUSTOMER, lambda m, d: c.ReceiveRating(m.fresh("r"), d.draw(st.integers(1, 5)), resolved=True)),
    "change priority": (SUPERVISOR, _change_priority),
    "change category": (SUPERVISOR, _change_category),
    "change queue": (AGENT, lambda m, d: c.ChangeQueue(d.draw(st.sampled_from(["legal", "logistics"])), ())),
    "resolve": (AGENT, lambda m, d: c.Resolve(m.fresh("m"), _sealed(m), "explained")),
    "reopen": (AGENT, lambda m, d: c.Reopen("agent")),
    "merge in": (AGENT, _merge_in),
    "repeat the snapshot": (AGENT, lambda m, d: c.RepeatSnapshot()),
}

ENDS: Mapping[str, tuple[Actor, Make]] = {
    "close": (AGENT, lambda m, d: c.Close("done")),
    "merge away": (AGENT, lambda m, d: c.MergeAway("7K3M-9QXZ-4TPC-5")),
}
"""Apart, or most tickets would end before anything happened to them."""

NAMES = st.sampled_from(list(COMMANDS))
DEADLINE_MOVERS = ["reply", "resolve", "assign", "request information", "change priority", "customer writes"]


class Machine(RuleBasedStateMachine):
    """The promises that `docs/architecture.md` numbers 3, 4 and 6, after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.count = 0
        self.outbox: list[bytes] = []
        self.log = Log()
        self.relay_stopped = self.worker_lags = False
        self.done: list[tuple[Ticket, c.Command, c.Cause]] = []
        self.taken: list[SlaCommand] = []

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def complaint(self, number: int, at: object) -> Complaint:
        """A complaint with the promise intake makes."""
        sample = complaint(number, TEXTS[self.kind], acknowledged_at=at)
        decision = decide(self.policies, ComplaintFacts(sample.declared, TEXTS[self.kind], "default", "app"))
        promise = promises.promise(self.policies, decision, sample.acknowledged_at)
        return replace(sample, promise=promise, targets=decision.targets)

    def opened(self, of: Complaint, now: object) -> Event:
        """The first event of its ticket."""
        decision = decide(self.policies, ComplaintFacts(of.declared, TEXTS[self.kind], "default", "app"))
        return open_ticket(of, decision, self.policies, now)  # type: ignore[arg-type]

    @initialize(kind=st.sampled_from(list(TEXTS)), book=st.sampled_from(list(POLICIES)), routed=st.integers(0, 120))
    def submit(self, kind: str, book: str, routed: int) -> None:
        self.kind, self.policies = kind, POLICIES[book]
        submitted = self.complaint(1, START)
        decision = decide(self.policies, ComplaintFacts(submitted.declared, TEXTS[kind], "default", "app"))
        self.first = ComplaintSubmitted(
            ticket_id=submitted.ticket_id,
            brand="default",
            acknowledged_at=to_timestamp(START),
            promise=promise_to_proto(submitted.promise),
            targets=[target_to_proto(t, decision.sla_policy, decision.policy_hash) for t in decision.targets],
            red=decision.red,
        )
        self.log.judge(self.first, self.now)
        self._pass(timedelta(seconds=routed))
        event = self.opened(submitted, self.now)
        self.ticket: Ticket = event.ticket
        self._publish(event)

    def _publish(self, event: object) -> None:
        self.outbox.append(event_to_proto(event).SerializeToString())  # type: ignore[arg-type]
        self._flow()

    def _flow(self) -> None:
        """Outbox → log → worker, as far as they work."""
        if not self.relay_stopped:
            self.log.messages += self.outbox
            self.outbox = []
        while not self.worker_lags and self.log.processed < len(self.log.messages):
            message = TicketEvent.FromString(self.log.messages[self.log.processed])
            assert self.log.judge(message, self.now)
            self.log.processed += 1
        if not self.worker_lags:
            self._pass(timedelta())

    def _pass(self, time: timedelta) -> None:
        """Time goes by; timers fire when they are due, and wait where the worker lags."""
        until = self.now + time
        for _ in range(500):
            due = next_due(self.log.row) if self.log.row else None
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            end = EndOffset(topic=TOPIC, partition=0, offset=len(self.log.messages))
            came = DueCame(ticket_ids=[self.first.ticket_id], as_of=to_timestamp(self.now), end_offsets=[end])
            if not self.log.judge(came, self.now):
                break
        else:
            raise AssertionError("the timers never come to rest")
        self.now = until

    @rule(things=st.lists(st.tuples(NAMES, st.integers(0, 40)), min_size=2, max_size=6), data=st.data())
    def people_work(self, things: list[tuple[str, int]], data: st.DataObject) -> None:
        for name, minutes in things:
            self.command(name, data)
            self._pass(timedelta(minutes=minutes))

    @precondition(lambda self: len(self.done) > 6)
    @rule(name=st.sampled_from(list(ENDS)), data=st.data())
    def somebody_ends_it(self, name: str, data: st.DataObject) -> None:
        self.command(name, data)

    def command(self, name: str, data: st.DataObject) -> None:
        actor, make = {**COMMANDS, **ENDS}[name]
        command = make(self, data)
        cause = c.Cause(self.fresh("cause"), self.now, actor, content=name)
        before = self.ticket
        if before.status not in TRANSITIONS[type(command)]:
            with pytest.raises(Refused, match=r"^a ticket that is "):
                perform(before, command, cause)
            return
        events = perform(before, command, cause)
        assert [event.ticket.version for event in events] == [before.version + 1 + i for i in range(len(events))]
        for event in events:
            self.ticket = event.ticket
            self._publish(event)
        self.done.append((before, command, cause))

    @precondition(lambda self: self.done)
    @rule(data=st.data())
    def the_same_command_again_changes_nothing(self, data: st.DataObject) -> None:
        _, command, cause = data.draw(st.sampled_from(self.done))
        assert perform(self.ticket, command, cause) == ()

    @rule(name=st.sampled_from(DEADLINE_MOVERS), data=st.data(), late=st.integers(1, 20))
    def a_command_just_before_a_deadline_is_published_after_it(self, name: str, data: st.DataObject, late: int) -> None:
        ahead = [due for k in self.clocks() if not is_recorded(k) and (due := due_at(k)) is not None]
        if self.relay_stopped or self.worker_lags or not ahead:
            return
        self._pass(max(min(ahead) - timedelta(seconds=30) - self.now, timedelta()))
        self.relay_stopped = True
        self.command(name, data)
        self._pass(timedelta(minutes=late))
        self.relay_stopped = False
        self._flow()

    @rule(minutes=st.one_of(st.integers(1, 45), st.integers(60, 3000)))
    def time_passes(self, minutes: int) -> None:
        self._pass(timedelta(minutes=minutes))

    @rule()
    def the_relay_stops_or_goes_on(self) -> None:
        self.relay_stopped = not self.relay_stopped
        self._flow()

    @rule()
    def the_worker_lags_or_catches_up(self) -> None:
        self.worker_lags = not self.worker_lags
        self._flow()

    @precondition(lambda self: self.log.processed > 0)
    @rule(data=st.data())
    def an_old_event_comes_again_and_changes_nothing(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, self.log.processed - 1))
        row, published = self.log.row, len(self.log.published)
        self.log.judge(TicketEvent.FromString(self.log.messages[number]), self.now)
        self.log.judge(self.first, self.now)
        assert self.log.row == row
        assert len(self.log.published) == published

    @precondition(lambda self: any(isinstance(e, Escalated) for e in self.log.published))
    @rule()
    def somebody_takes_the_last_escalation_on(self) -> None:
        last = [e for e in self.log.published if isinstance(e, Escalated)][-1]
        breach = last.breach
        taken = AcknowledgeEscalation(escalation_id=breach.id, level=breach.level, returned=breach.returned)
        actor = common_pb2.Actor(kind=common_pb2.Actor.KIND_AGENT, id="li")
        at = to_timestamp(self.now)
        command = SlaCommand(ticket_id=self.first.ticket_id, at=at, actor=actor, acknowledge_escalation=taken)
        self.log.judge(command, self.now)
        self.taken.append(command)

    @property
    def settled(self) -> bool:
        return not self.outbox and self.log.processed == len(self.log.messages)

    def clocks(self) -> tuple[Clock, ...]:
        assert self.log.row is not None
        return self.log.row.clocks

    @invariant()
    def invariant_3_every_breach_is_found(self) -> None:
        if not self.settled or self.log.row is None:
            return
        for clock in self.clocks():
            due = due_at(clock)
            assert due is None or due > self.now or is_recorded(clock), clock
        # What the customer was told, in so far as nothing but time matters.
        told = {
            Metric.FIRST_RESPONSE: self.ticket.promise.first_response_by,
            Metric.RESOLUTION: self.ticket.promise.resolve_by,
        }
        for course in self.ticket.facts.courses:
            by = told.get(course.metric)
            if course.is_open and not course.pauses and not course.gaps and by is not None and by <= self.now:
                assert any(c.metric is course.metric and is_recorded(c) for c in self.clocks())

    @invariant()
    def invariant_4_one_breach_one_escalation_a_level_and_met_in_time_wins(self) -> None:
        ids = [effect.id for effect in self.log.published]
        assert len(ids) == len(set(ids))
        levels = [
            (e.breach.id, e.breach.level, e.breach.returned) for e in self.log.published if isinstance(e, Escalated)
        ]
        assert len(levels) == len(set(levels))
        for effect in self.log.published:
            if isinstance(effect, Breached):
                assert effect.breach.breached_at <= effect.breach.detected_at
            if isinstance(effect, Met) and effect.in_time and effect.due_at is not None:
                assert effect.met_at < effect.due_at
        for clock in self.clocks() if self.log.row else ():
            due = arithmetic.deadline(segments_of(clock, stopped=False))
            if clock.met_at is not None and (due is None or clock.met_at < due):
                assert not is_recorded(clock), "met in time, and left broken"

    @invariant()
    def invariant_6_the_watchdog_is_at_the_version_it_processed(self) -> None:
        if self.log.row is not None and self.log.processed:
            assert self.log.row.version == self.log.processed
            assert self.ticket.version == len(self.log.messages) + len(self.outbox)

    def teardown(self) -> None:
        """Everything from the start into an empty service: the same clocks, and no new id."""
        if self.log.row is None:
            return
        self.relay_stopped = self.worker_lags = False
        self._flow()
        self._pass(timedelta(days=30))
        again = Log()
        # Commands first: nothing orders them and the ticket's events.
        for command in self.taken:
            again.judge(command, self.now)
        again.judge(self.first, self.now)
        for message in self.log.messages:
            again.judge(TicketEvent.FromString(message), self.now)
        # Each level waits its time from the one before.
        for days in range(10):
            late = self.now + timedelta(days=days)
            again.judge(DueCame(ticket_ids=[self.first.ticket_id], as_of=to_timestamp(late)), late)
        assert again.row is not None
        kept = [(k.metric, k.instance, k.start, k.met_at, k.pauses, k.gaps, k.ended) for k in self.clocks()]
        assert [(k.metric, k.instance, k.start, k.met_at, k.pauses, k.gaps, k.ended) for k in again.row.clocks] == kept
        assert [_standing(k) for k in again.row.clocks] == [_standing(k) for k in self.clocks()]
        # A breach after a retracted one has another number than in the replay, which never saw the wrong one.
        wrong = {
            (k.metric, k.instance)
            for row in (self.log.row, *(e.row for e in self.log.published))
            for k in row.clocks
            if any(b.closed == "retracted" for b in k.breaches[:-1])
        }
        if not wrong:
            assert {e.id for e in again.published} <= {e.id for e in self.log.published}


def _standing(clock: Clock) -> int:
    """How many breaches of it were not taken back."""
    return sum(breach.closed != "retracted" for breach in clock.breaches)


TestTicketAndClocks = Machine.TestCase
TestTicketAndClocks.settings = settings(
    max_examples=80, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
