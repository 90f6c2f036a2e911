"""Where a complaint goes, table driven. Intake (for the promise) and router (for good) call the same `decide`."""

from collections.abc import Mapping
from datetime import timedelta

from rules.lateness import lateness
from rules.model import (
    Category,
    ComplaintFacts,
    PolicySet,
    Priority,
    Routing,
    RoutingCondition,
    RoutingDecision,
    RoutingRule,
    SlaCondition,
    SlaPolicy,
)
from rules.text import normalise


def category_of(routing: Routing, declared: str | None) -> Category | None:
    """The category of a declared type: a word of the policy (商品质量) or an English code; None if it is neither."""
    if declared is None:
        return None
    if declared in routing.declared_types:
        return routing.declared_types[declared]
    return next((category for category in Category if category == declared), None)


def decide(policies: PolicySet, facts: ComplaintFacts) -> RoutingDecision:
    """Category, priority, queues and targets of a complaint.

    The first matching row of the routing table decides, whatever type was declared: so keywords of the red channel come
    first in the table. Anger raises the priority by one. The first matching SLA policy gives the targets.

    Where the text was understood (`facts.suggested`), that is the category: it counts as declared, a single word
    doesn't make another one of it, and a row of the red channel makes it urgent without renaming it.
    """
    text = normalise(facts.text)
    words = policies.keywords.match(text)
    said_late = lateness(text)
    declared = facts.suggested or category_of(policies.routing, facts.declared) or Category.OTHER
    rule = next(
        r
        for r in policies.routing.rules
        if _matches(r.condition, facts, declared, words, said_late) and not _renames(r, facts.suggested)
    )
    category = facts.suggested or rule.category or declared
    angry = facts.reads_angry or any(group in words for group in policies.routing.anger_keywords)
    priority = rule.priority.raised() if angry else rule.priority
    policy = sla_policy(policies, rule, category, priority, facts)
    evidence = [term for terms in words.values() for term in terms]
    if rule.condition.order_late_over is not None:
        evidence.append(f"order late {facts.order_late}")
    if rule.condition.text_late_over is not None:
        evidence.append(f"says late {said_late}")
    if rule.condition.reads_urgent:
        evidence.append("reads urgent")
    return RoutingDecision(
        category=category,
        secondary=facts.also if facts.suggested else _secondary(policies.routing, words, category),
        priority=priority,
        queue=rule.queue,
        joint_queues=rule.joint_queues,
        red=rule.red,
        angry=angry,
        complex=rule.complex,
        sla_policy=policy.name,
        policy_hash=policies.hash,
        targets=policy.targets[priority],
        notices=rule.notices,
        rule=rule.name,
        evidence=tuple(evidence),
    )


def sla_policy(
    policies: PolicySet, rule: RoutingRule, category: Category, priority: Priority, facts: ComplaintFacts
) -> SlaPolicy:
    """The first policy whose condition matches (the last has none, so there always is one)."""
    return policy_for(policies, rule.red, rule.complex, category, priority, facts.channel, facts.tier)


def policy_for(
    policies: PolicySet,
    red: bool,
    complex: bool,
    category: Category,
    priority: Priority,
    channel: str,
    tier: str | None = None,
) -> SlaPolicy:
    """As `sla_policy`, of a ticket that was routed before."""

    def holds(when: SlaCondition) -> bool:
        return (
            when.red in (None, red)
            and when.complex in (None, complex)
            and (not when.categories or category in when.categories)
            and (not when.priorities or priority in when.priorities)
            and (not when.channels or channel in when.channels)
            and (not when.tiers or tier in when.tiers)
        )

    return next(policy for policy in policies.sla if holds(policy.condition))


def _matches(
    when: RoutingCondition,
    facts: ComplaintFacts,
    declared: Category,
    words: Mapping[str, list[str]],
    said_late: timedelta | None,
) -> bool:
    return (
        (not when.keywords or any(group in words for group in when.keywords))
        and (not when.declared or declared in when.declared)
        and (not when.channels or facts.channel in when.channels)
        and (not when.tiers or facts.tier in when.tiers)
        and (when.order_late_over is None or _over(facts.order_late, when.order_late_over))
        and (when.text_late_over is None or _over(said_late, when.text_late_over))
        and (not when.reads_urgent or facts.reads_urgent)
    )


def _renames(rule: RoutingRule, suggested: Category | None) -> bool:
    """Whether a row outside the red channel would make another category of what was understood."""
    return suggested is not None and not rule.red and rule.category not in (None, suggested)


def _over(late: timedelta | None, bound: timedelta) -> bool:
    return late is not None and late > bound


def _secondary(routing: Routing, words: Mapping[str, list[str]], category: Category) -> tuple[Category, ...]:
    """Other categories whose words occur, in the order of the table."""
    found = (
        rule.category
        for rule in routing.rules
        if rule.category not in (None, category) and any(group in words for group in rule.condition.keywords)
    )
    return tuple(dict.fromkeys(each for each in found if each is not None))
