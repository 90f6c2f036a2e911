"""An edited policy and the tickets that run already: only `apply: running` moves them (sla.md, "Clock").

What was promised to the customer stays promised: an edited policy never loosens it.
"""

from dataclasses import replace
from datetime import datetime

from rules.model import PolicySet, Target
from rules.words import Status
from services.router.changes import KINDS, PolicyApplied
from services.router.commands import Cause, Terms
from services.router.effects import with_terms
from services.router.listening import moves_clocks
from services.router.model import Event, HistoryEntry, Ticket
from services.router.terms import terms_for
from services.router.versions import Version

RUNNING = (Status.RECEIVED, Status.IN_PROGRESS, Status.PENDING, Status.RESOLVED)
"""Tickets with clocks: the call-back's runs after the resolution."""


def moving_terms(ticket: Ticket, policies: PolicySet) -> Terms | None:
    """The ticket's terms under these policies; None where they are the same, or for new clocks only."""
    terms = terms_for(ticket, policies, ticket.priority, loosen=False)
    policy = next(policy for policy in policies.sla if policy.name == terms.sla_policy)
    same = (terms.targets, terms.automatic_answer_counts, terms.pause_max, terms.no_answer_after) == (
        ticket.targets,
        ticket.automatic_answer_counts,
        ticket.pause_max,
        ticket.no_answer_after,
    )
    return None if same or not policy.apply_to_running or ticket.status not in RUNNING else terms


def moved_clocks(ticket: Ticket, policies: PolicySet) -> int:
    """How many of the ticket's running clocks these policies would give another target, start or end."""
    terms = moving_terms(ticket, policies)
    if terms is None:
        return 0
    before = {target.metric: _length(target) for target in ticket.targets}
    after = {target.metric: _length(target) for target in terms.targets}
    running = {course.metric for course in ticket.facts.courses if course.is_open}
    return sum(before.get(metric) != after.get(metric) for metric in running)


def _length(target: Target) -> tuple[object, ...]:
    return target.duration, target.calendar_hash


def apply_version(ticket: Ticket, version: Version, policies: PolicySet, at: datetime) -> Event | None:
    """The change an activation makes to a ticket, at `at`; None where it makes none or has made it already."""
    terms = None if ticket.entry_of(version.cause) else moving_terms(ticket, policies)
    if terms is None:
        return None
    number = ticket.version + 1
    change = PolicyApplied(policies.hash, ticket.policy_hash)
    facts = {"policy_hash": policies.hash, "previous": ticket.policy_hash, "sla_policy": terms.sla_policy}
    entry = HistoryEntry(
        at=at,
        actor=version.actor,
        kind=KINDS[PolicyApplied],
        reason=version.reason,
        version=number,
        cause=version.cause,
        facts=facts,
    )
    after = with_terms(ticket, terms, Cause(version.cause, at, version.actor, version.reason))
    after = replace(after, version=number, history=(*ticket.history, entry))
    return Event(after, change, at, version.actor, version.reason, moves_clocks=moves_clocks(ticket, after))
