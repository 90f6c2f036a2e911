"""The story of a surge: its orders are seen to be compensated, each once, and nothing else counts."""

from datetime import UTC, datetime

import pytest
from google.protobuf.message import Message as Proto

from common.policyfiles import load_all
from deploy.demo.sighting import INCIDENT, TALLY, Sighting
from deploy.demo.story import Story
from deploy.demo.surge import SURGE, SURGE_COMPLAINTS, orders_of
from deploy.demo.watching import ticket_of
from deploy.local.settings import ROOT
from gen.pingxi.v1 import common_pb2, compensation_pb2, surge_pb2, voucher_pb2
from rules.model import TriggerKind

NOW = datetime(2026, 11, 22, 11, 10, tzinfo=UTC)
ORDERS = [f"o{n}" for n in range(SURGE_COMPLAINTS)]


@pytest.fixture
def story() -> Story:
    story = Story("C", "a surge at one shop", SURGE)
    story.accept(INCIDENT, "", NOW, NOW)
    return story


def see(story: Story, place: str, body: Proto, id: str) -> list[str]:
    """The steps that are seen by a message, under whatever number the demo's eyes give it."""
    sighting = Sighting(NOW, place, body.DESCRIPTOR.name, ticket_of(body), id, body)
    return [seen.step.name for seen in story.observe(sighting)]


def opened(story: Story, value: str = "m-orchard-12") -> list[str]:
    incident = surge_pb2.Incident(incident_id=f"i-{value}", dimension="merchant", value=value, complaints=5)
    return see(story, "surges.v1", surge_pb2.SurgeOpened(incident=incident), f"opened/{value}")


def asked(story: Story, order: str, incident: str = "i-m-orchard-12") -> list[str]:
    body = compensation_pb2.CompensationRequested(trigger="incident", cause_id=incident, ticket_id="T", order_id=order)
    return see(story, "compensation-requests", body, f"{incident}/{order}")


def voucher(order: str, *, rule: str = "incident", instance: int = 1) -> voucher_pb2.VoucherIssued:
    return voucher_pb2.VoucherIssued(
        voucher_id=f"{rule}/{order}/{instance}",
        ticket_id=f"T-{order}",
        order_id=order,
        reason=rule,
        rule=rule,
        amount=common_pb2.Money(currency="CNY", amount_minor=500),
    )


def paid(story: Story, order: str, *, rule: str = "incident", instance: int = 1) -> list[str]:
    body = voucher(order, rule=rule, instance=instance)
    return see(story, "vouchers.v1", body, body.voucher_id)


def test_the_orders_of_an_incident_are_compensated_when_the_last_of_them_has_its_voucher(story: Story) -> None:
    opened(story)
    for order in ORDERS:
        asked(story, order)
    assert [paid(story, order) for order in ORDERS[:-1]] == [[]] * (len(ORDERS) - 1)
    assert paid(story, ORDERS[0]) == [], "a repeat"
    assert paid(story, ORDERS[-1]) == ["orders compensated"]
    assert f"{len(ORDERS)} vouchers over CNY 5.00" in story.seen["orders compensated"].sentence


def test_whichever_topic_is_read_first_the_orders_are_counted(story: Story) -> None:
    for order in ORDERS[:-1]:
        paid(story, order)
        asked(story, order)
    opened(story)
    assert asked(story, ORDERS[-1]) == ["orders affected"]
    assert paid(story, ORDERS[-1]) == ["orders compensated"]


def test_two_vouchers_for_one_order_are_not_once(story: Story) -> None:
    opened(story)
    for order in ORDERS:
        asked(story, order)
    paid(story, ORDERS[0], instance=2)
    for order in ORDERS:
        assert paid(story, order) == []


def test_another_rules_voucher_and_another_incidents_orders_are_not_this_incidents(story: Story) -> None:
    opened(story, "m-other")
    opened(story)
    for order in ORDERS:
        asked(story, order, "i-m-other")
        assert paid(story, order) == []
    for order in ORDERS:
        asked(story, f"x{order}")
        assert paid(story, f"x{order}", rule="red_first_response") == []
    assert orders_of(story) == [f"x{order}" for order in ORDERS]


def test_the_tally_wants_one_voucher_for_every_order_the_incident_ended_with(story: Story) -> None:
    opened(story)
    incident = surge_pb2.Incident(incident_id="i-m-orchard-12", affected_orders=[*ORDERS, "late-comer"])
    assert see(story, "surges.v1", surge_pb2.SurgeClosed(incident=incident), "closed") == ["surge over"]
    assert orders_of(story) == sorted([*ORDERS, "late-comer"])
    once = dict.fromkeys(ORDERS, 1)

    def tally(body: dict[str, int]) -> list[str]:
        return [seen.step.name for seen in story.observe(Sighting(NOW, TALLY, "tally", INCIDENT, "tally", body))]

    assert tally({**once, "o3": 2}) == []
    assert tally({"o3": 1}) == []
    assert tally(once) == ["each order once"]


def test_what_an_incident_pays_is_the_incidents_and_what_a_missed_promise_pays_the_tickets() -> None:
    assert ticket_of(voucher("o1")) == INCIDENT
    assert ticket_of(voucher("o1", rule="red-first-response")) == "T-o1"


def test_the_demos_policy_pays_incidents_by_the_rule_and_reason_the_story_looks_for() -> None:
    (rule,) = [
        r for r in load_all(ROOT / "policies")["demo"].compensation.rules if r.trigger.kind is TriggerKind.INCIDENT
    ]
    assert (rule.name, rule.reason) == ("incident", "incident")
