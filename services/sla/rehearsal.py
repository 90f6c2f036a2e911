"""A changed policy on stored history: each ticket's versions go through the watchdog twice, as it was and as it would
have been. Pure: the same watchdog, a simulated time, no Kafka.

What isn't repeated: classification and queue (texts aren't in the topics), what people would have done otherwise, and
the limits of compensation (caps, budgets): vouchers are those the rules owe.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from common.errors import Poison
from common.words import from_timestamp, word_of
from gen.pingxi.v1.common_pb2 import Channel
from gen.pingxi.v1.ticket_pb2 import TicketEvent, TicketSnapshot
from rules import courses
from rules.model import PolicySet, TriggerKind
from rules.rehearsal import Comparison, Tally, compare
from rules.routing import policy_for
from services.sla import watchdog
from services.sla.compensation.model import LedgerRow, Request
from services.sla.compensation.rules import propose
from services.sla.compensation.wire import request_of, requests_of_ticket
from services.sla.model import (
    Acknowledgement,
    Breached,
    CompensationAsked,
    CompensationWithdrawn,
    Effect,
    Escalated,
    InForce,
    Met,
    Row,
    TicketState,
)
from services.sla.ports import Calendars
from services.sla.wire import CalendarUnknown, state_of_ticket
from wire.words import category_from_proto, priority_from_proto

# The version of a brand's policies that a hash names.
PoliciesOf = Callable[[str, str], PolicySet | None]
_MANY = 10_000


@dataclass
class Life:
    """One ticket under one reading of its promises; counts what the watchdog would publish, less what it takes back."""

    policies_of: PoliciesOf
    row: Row | None = None
    now: datetime | None = None
    breaches: dict[str, str] = field(default_factory=dict)
    escalations: dict[str, tuple[str, str]] = field(default_factory=dict)
    owed: dict[str, tuple[str, LedgerRow]] = field(default_factory=dict)

    def until(self, instant: datetime) -> None:
        """Every timer up to `instant` fires on time."""
        for _ in range(_MANY):
            due = watchdog.next_due(self.row) if self.row is not None else None
            if self.row is None or due is None or due > instant:
                return
            due = self.now = max(due, self.now or due)
            self._take(watchdog.tick(self.row, due, due))
        raise Poison("endless_timers", self.row.ticket_id if self.row else "")

    def event(self, state: TicketState, seen: datetime) -> None:
        """A version of the ticket."""
        self.until(seen)
        self.now = max(seen, self.now or seen)
        self._take(watchdog.apply(self.row, state, self.now))

    def acknowledge(self, escalation_id: str, by: str, at: datetime) -> None:
        """Somebody took the escalation on, if there is one in this life."""
        if self.row is not None:
            self._take(watchdog.acknowledge(self.row, Acknowledgement(escalation_id, 0, 0, by, at)))

    def tally(self) -> dict[tuple[str, str], Tally]:
        """By brand and queue."""
        brand = self.row.brand if self.row else ""
        counts: dict[tuple[str, str], Tally] = {}

        def add(queue: str, tally: Tally) -> None:
            counts[brand, queue] = counts.get((brand, queue), Tally()) + tally

        for queue in self.breaches.values():
            add(queue, Tally(breaches=1))
        for queue, _ in self.escalations.values():
            add(queue, Tally(escalations=1))
        # At most one voucher for one ledger id: the first claim stands.
        once = {row.id: (queue, row) for queue, row in reversed(self.owed.values())}
        for queue, row in once.values():
            add(queue, Tally(vouchers=1, amount=row.amount_minor))
        return counts

    def _take(self, outcome: watchdog.Outcome) -> None:
        self.row = outcome.row
        for effect in outcome.effects:
            self._count(effect)

    def _count(self, effect: Effect) -> None:
        queue = effect.row.queue
        match effect:
            case Breached():
                self.breaches[effect.breach.id] = queue
            case Escalated():
                self.escalations[effect.id] = (queue, effect.breach.id)
            case Met(retracts=breach_id) if breach_id:
                self.breaches.pop(breach_id, None)
                self.escalations = {k: v for k, v in self.escalations.items() if v[1] != breach_id}
            case CompensationAsked():
                self._ask(effect, queue)
            case CompensationWithdrawn():
                _, row = self.owed.get(effect.breach.id, ("", None))
                # Once settled it stays, and isn't taken back from the customer (mechanisms.md).
                if row is not None and effect.at < row.settle_at:
                    del self.owed[effect.breach.id]
            case _:
                pass

    def _ask(self, effect: CompensationAsked, queue: str) -> None:
        row, clock, breach = effect.row, effect.clock, effect.breach
        policies = self.policies_of(row.brand, clock.terms[-1].policy_hash)
        if policies is None:
            return
        request = Request(
            id=breach.id,
            brand=row.brand,
            trigger=TriggerKind.SLA_BREACH,
            ticket_id=row.ticket_id,
            order_id=row.order_id,
            customer_id=row.customer_id,
            customer_ref=row.customer_ref,
            metric=clock.metric,
            priority=row.priority,
            sla_policy=clock.terms[-1].sla_policy,
            red=row.red,
            at=breach.detected_at,
        )
        self._owe(breach.id, queue, policies, request)

    def ask(self, event: TicketEvent) -> None:
        """What a change of the ticket asks for: the coupon of a resolution, say. Raises Poison, ValueError."""
        message = requests_of_ticket(event)
        policies = self.policies_of(event.snapshot.brand, event.snapshot.policy_hash)
        if message is not None and policies is not None:
            request = request_of(message)
            self._owe(request.id, event.snapshot.queue, policies, request)

    def _owe(self, cause: str, queue: str, policies: PolicySet, request: Request) -> None:
        limits = policies.compensation.limits
        owed = None if limits.shadow or not limits.enabled else propose(policies, request)
        if owed is not None and not owed.points:
            self.owed[cause] = (queue, owed)


def changed_targets(snapshot: TicketSnapshot, since: datetime, policies: PolicySet) -> tuple[InForce, ...]:
    """The targets a ticket would have had: its routing stays, the SLA policy is matched anew. Raises Poison."""
    category, priority = category_from_proto(snapshot.category), priority_from_proto(snapshot.priority)
    if category is None or priority is None:
        raise Poison("missing_field", "category or priority")
    channel = word_of(Channel.DESCRIPTOR, snapshot.channel)
    policy = policy_for(policies, snapshot.red, snapshot.complex, category, priority, channel)
    return tuple(
        InForce(since, target, policies.calendars[target.calendar], policy.name, policies.hash)
        for target in policy.targets[priority]
    )


class Rehearsal:
    """Takes the events of tickets.v1, those of a ticket in their order, and compares.

    `changed` are the policies to rehearse, by brand; tickets of other brands are passed over. Tickets acknowledged in
    start ≤ t < end count, with what happened to them up to `end`. `unreadable` counts events that can't be replayed.
    """

    def __init__(
        self,
        changed: Mapping[str, PolicySet],
        policies_of: PoliciesOf,
        calendars: Calendars,
        start: datetime | None,
        end: datetime,
    ) -> None:
        self._changed = changed
        self._policies_of = policies_of
        self._calendars = calendars
        self._start = start
        self._end = end
        self._lives: dict[str, tuple[Life, Life]] = {}
        self._versions: dict[str, int] = {}
        self.unreadable = 0

    @property
    def tickets(self) -> int:
        """How many tickets have been replayed so far."""
        return len(self._lives)

    def event(self, message: TicketEvent) -> None:
        """One version of a ticket; one that came before changes nothing."""
        policies = self._changed.get(message.snapshot.brand)
        if policies is None or message.version <= self._versions.get(message.ticket_id, 0):
            return
        try:
            before = state_of_ticket(message, self._calendars)
            facts = message.snapshot.clock_facts
            start = from_timestamp(facts.acknowledged_at)
            since = from_timestamp(facts.targets_since) or start
            assert start is not None
            assert since is not None
            if before.at > self._end or start >= self._end or (self._start is not None and start < self._start):
                return
            after = replace(before, in_force=changed_targets(message.snapshot, since, policies))
        except (Poison, CalendarUnknown, ValueError):
            self.unreadable += 1
            return
        self._versions[message.ticket_id] = message.version
        if message.ticket_id not in self._lives:
            self._lives[message.ticket_id] = (Life(self._policies_of), Life(lambda brand, _: self._changed[brand]))
            # The clocks run from the complaint, before the router has seen it.
            for life, state in zip(self._lives[message.ticket_id], (before, after), strict=True):
                life.event(replace(state, version=0, at=start, courses=courses.opened(start)), start)
        routed_at = from_timestamp(facts.routed_at)
        seen = max(before.at, routed_at) if message.version == 1 and routed_at else before.at
        for life, state in zip(self._lives[message.ticket_id], (before, after), strict=True):
            life.event(state, seen)
            try:
                life.ask(message)
            except (Poison, ValueError):
                self.unreadable += 1
            if message.WhichOneof("change") == "escalation_noted" and message.escalation_noted.what == "acknowledged":
                life.acknowledge(message.escalation_noted.escalation_id, message.actor.id, before.at)

    def result(self) -> list[Comparison]:
        """Lets every clock run to the end, and compares."""
        counted: list[dict[tuple[str, str], Tally]] = [{}, {}]
        tickets: dict[tuple[str, str], int] = {}
        for lives in self._lives.values():
            for life, counts in zip(lives, counted, strict=True):
                life.until(self._end)
                for place, tally in life.tally().items():
                    counts[place] = counts.get(place, Tally()) + tally
            row = lives[0].row
            if row is not None:
                tickets[row.brand, row.queue] = tickets.get((row.brand, row.queue), 0) + 1
        currencies = {brand: policies.brand.currency for brand, policies in self._changed.items()}
        return compare(tickets, counted[0], counted[1], currencies)
