"""What the shipped brands say: the defaults of sla.md, and the demo's scale of seconds (interfaces.md)."""

from datetime import timedelta

import pytest

from common.policyfiles import from_json, to_json
from rules.model import Metric, PolicySet, Priority, Target, TriggerKind, Way

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def target(policies: PolicySet, policy: str, metric: Metric) -> Target:
    found = next(each for each in policies.sla if each.name == policy)
    return next(each for each in found.targets[Priority.NORMAL] if each.metric is metric)


@pytest.mark.parametrize(
    ("policy", "metric", "seconds"),
    [
        ("red", Metric.FIRST_RESPONSE, 3),
        ("ordinary", Metric.FIRST_RESPONSE, 6),
        ("complex", Metric.FIRST_RESPONSE, 6),
        ("red", Metric.RESOLUTION, 20),
        ("ordinary", Metric.RESOLUTION, 20),
        ("complex", Metric.RESOLUTION, 20),
        ("red", Metric.ROUTING, 15),
    ],
)
def test_the_demo_keeps_the_rules_on_a_scale_of_seconds(
    demo: PolicySet, policy: str, metric: Metric, seconds: int
) -> None:
    assert target(demo, policy, metric).duration == seconds * SECOND


@pytest.mark.parametrize("policy", ["red", "ordinary", "complex"])
def test_the_second_level_of_the_demo_is_due_3_s_after_the_first(demo: PolicySet, policy: str) -> None:
    first, second = target(demo, policy, Metric.FIRST_RESPONSE).chain
    assert (first.level, first.after) == (1, timedelta())
    assert (second.level, second.after) == (2, 3 * SECOND)


@pytest.mark.parametrize(("policy", "minutes"), [("red", 5), ("ordinary", 30), ("complex", 30)])
def test_level_1_tells_assignee_and_queue_lead_at_the_breach_and_level_2_the_supervisor(
    default: PolicySet, policy: str, minutes: int
) -> None:
    first, second = target(default, policy, Metric.FIRST_RESPONSE).chain
    assert (first.level, first.after, first.notify) == (1, timedelta(), ("assignee", "queue_lead"))
    assert (second.level, second.after) == (2, minutes * MINUTE)
    assert "role:supervisor" in second.notify
    assert ("oncall:emergency" in second.notify) == (policy == "red")


def test_the_demo_names_the_same_people_and_ways(default: PolicySet, demo: PolicySet) -> None:
    for policy in ("red", "ordinary", "complex"):
        ours, theirs = (target(each, policy, Metric.RESOLUTION).chain for each in (demo, default))
        assert [(e.level, e.notify, e.ways) for e in ours] == [(e.level, e.notify, e.ways) for e in theirs]
    assert Way.VOICE in target(demo, "red", Metric.RESOLUTION).chain[1].ways


def test_at_risk_is_at_50_and_80_percent(default: PolicySet) -> None:
    assert all(each.warn_percent == (50, 80) for p in default.sla for t in p.targets.values() for each in t)


def test_only_the_last_policy_has_no_condition(default: PolicySet) -> None:
    assert [policy.condition.empty for policy in default.sla] == [False, False, True]


@pytest.mark.parametrize(("brand", "settle"), [("default", 10 * SECOND), ("demo", SECOND)])
def test_a_red_first_response_breach_pays_10_yuan(
    policies: dict[str, PolicySet], brand: str, settle: timedelta
) -> None:
    rule = policies[brand].compensation.rules[0]
    assert rule.trigger.kind is TriggerKind.SLA_BREACH
    assert (rule.trigger.metrics, rule.trigger.red) == ((Metric.FIRST_RESPONSE,), True)
    assert (rule.amount, rule.currency, rule.unknown_order_max) == (1000, "CNY", 1000)
    assert rule.settle_after == settle


@pytest.mark.parametrize(("brand", "late"), [("default", 60 * MINUTE), ("demo", 5 * SECOND)])
def test_an_order_an_hour_late_pays_5_yuan_and_5_s_count_as_an_hour_in_the_demo(
    policies: dict[str, PolicySet], brand: str, late: timedelta
) -> None:
    rule = next(r for r in policies[brand].compensation.rules if r.trigger.kind is TriggerKind.ORDER_LATE)
    assert (rule.trigger.late_over, rule.amount, rule.currency) == (late, 500, "CNY")


def test_every_kind_of_trigger_has_a_rule(default: PolicySet) -> None:
    assert {rule.trigger.kind for rule in default.compensation.rules} == set(TriggerKind)


def test_targets_name_a_calendar_of_their_version(default: PolicySet) -> None:
    for policy in default.sla:
        for each in (each for targets in policy.targets.values() for each in targets):
            assert default.calendar_by_hash(each.calendar_hash) == default.calendars[each.calendar]
    assert default.calendar_by_hash("0" * 32) is None


def test_a_policy_set_survives_its_json_with_its_hash(policies: dict[str, PolicySet]) -> None:
    for each in policies.values():
        copy = from_json(to_json(each))
        assert copy == each
        assert copy.hash == each.hash
    assert policies["default"].hash != policies["demo"].hash


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"brand": 1}', b"\xff"])
def test_anything_else_is_no_policy_set(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        from_json(data)
