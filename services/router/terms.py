"""What a ticket is promised when its priority, category or policy changes. Pure."""

from collections.abc import Mapping
from datetime import datetime

from rules import promise as promises
from rules.courses import Courses, current
from rules.model import Calendar, ComplaintFacts, PolicySet, Promise, RoutingCondition, RoutingRule, Target
from rules.routing import sla_policy
from rules.words import Category, Metric, Priority
from services.router.commands import ChangeCategory, MergeIn, Terms
from services.router.model import Sealed, Ticket

Calendars = Mapping[str, Calendar]


def earlier(promised: Promise, computed: Promise) -> Promise:
    """A deadline is the earlier of what was promised and the target (mechanisms.md, "One owner of a promise")."""
    return Promise(
        _least(promised.first_response_by, computed.first_response_by), _least(promised.resolve_by, computed.resolve_by)
    )


def later(promised: Promise, computed: Promise) -> Promise:
    """What the customer is told where a supervisor loosens: an instant only ever moves back."""
    return Promise(
        _most(promised.first_response_by, computed.first_response_by), _most(promised.resolve_by, computed.resolve_by)
    )


def kept(targets: tuple[Target, ...], calendars: Calendars, start: datetime, promise: Promise) -> tuple[Target, ...]:
    """The targets, shortened where the customer was promised more than the policy now asks for."""
    by = {Metric.FIRST_RESPONSE: promise.first_response_by, Metric.RESOLUTION: promise.resolve_by}
    return tuple(promises.keep(target, calendars, start, by.get(target.metric)) for target in targets)


def start_of(courses: Courses, acknowledged_at: datetime) -> datetime:
    """When the promises to the customer started: the acknowledgement, or an earlier one of a merged ticket."""
    resolution = current(courses, Metric.RESOLUTION)
    return resolution.start if resolution is not None else acknowledged_at


def terms_for(ticket: Ticket, policies: PolicySet, priority: Priority, *, loosen: bool) -> Terms:
    """The terms of another priority, all else as it is. `loosen`: a promise to the customer may move back."""
    return _terms(ticket, policies, ticket.category, priority, ticket.red, ticket.complex, loosen)


def correction(
    ticket: Ticket,
    policies: PolicySet,
    category: Category,
    secondary: tuple[Category, ...],
    *,
    angry: bool,
    loosen: bool,
) -> ChangeCategory:
    """What another category leads to: priority, queues and policy by the routing table's row of it."""
    row = row_of(policies, category)
    priority = row.priority.raised() if angry else row.priority
    return ChangeCategory(
        category=category,
        secondary=tuple(each for each in dict.fromkeys(secondary) if each is not category),
        red=row.red,
        complex=row.complex,
        queue=row.queue,
        joint_queues=row.joint_queues,
        terms=_terms(ticket, policies, category, priority, row.red, row.complex, loosen),
    )


def row_of(policies: PolicySet, category: Category) -> RoutingRule:
    """The row for a ticket that is known to be of this category: the one for who declares it, without further words."""
    rules = policies.routing.rules
    declared = (r for r in rules if r.condition == RoutingCondition(declared=r.condition.declared))
    found = next((r for r in declared if category in r.condition.declared), None)
    return found or next((r for r in rules if r.category is category), rules[-1])


def merging(survivor: Ticket, merged: Ticket, calendars: Calendars, note_id: str, note: Sealed) -> MergeIn:
    """Taking in a ticket that has ended: the earliest start, and the earlier of what both customers were promised."""
    promise = earlier(survivor.promise, merged.promise)
    courses = merged.facts.courses
    start = min(
        start_of(survivor.facts.courses, survivor.facts.acknowledged_at),
        start_of(courses, merged.facts.acknowledged_at),
    )
    return MergeIn(
        merged=merged.id,
        courses=courses,
        promise=promise,
        due=earlier(survivor.due, merged.due),
        targets=kept(survivor.targets, calendars, start, promise),
        note_id=note_id,
        note=note,
    )


def _terms(
    ticket: Ticket,
    policies: PolicySet,
    category: Category,
    priority: Priority,
    red: bool,
    complex: bool,
    loosen: bool,
) -> Terms:
    row = RoutingRule("present", RoutingCondition(), category, priority, ticket.queue, red=red, complex=complex)
    facts = ComplaintFacts(declared=None, text="", brand=ticket.brand, channel=ticket.channel)
    policy = sla_policy(policies, row, category, priority, facts)
    targets = policy.targets[priority]
    start = start_of(ticket.facts.courses, ticket.facts.acknowledged_at)
    by = {target.metric: promises.due(target, policies.calendars, start) for target in targets}
    computed = Promise(by.get(Metric.FIRST_RESPONSE), by.get(Metric.RESOLUTION))
    promise = later(ticket.promise, computed) if loosen else ticket.promise
    return Terms(
        priority=priority,
        sla_policy=policy.name,
        policy_hash=policies.hash,
        targets=kept(targets, policies.calendars, start, promise),
        automatic_answer_counts=policy.automatic_answer_counts,
        pause_max=policy.pause_max,
        no_answer_after=policy.no_answer_after,
        promise=promise,
        due=earlier(promise, computed),
    )


def _least(*instants: datetime | None) -> datetime | None:
    return min((each for each in instants if each is not None), default=None)


def _most(promised: datetime | None, computed: datetime | None) -> datetime | None:
    return promised if promised is None or computed is None else max(promised, computed)
