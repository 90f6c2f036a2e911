"""`protos/topics.yaml` against the contract with other people's programs, and against the code that reads it."""

import pytest
import yaml

from common.topics import REGISTRY, registry
from services.sla.orders.stream import DUE as ORDER_DUE
from services.sla.orders.stream import ORDERS
from services.sla.stream import COMMANDS, COMPLAINTS, DUE, TICKETS
from tests.contract.golden import message_class

# Topic → key, messages, writers, readers, as others rely on them.
CONTRACT: dict[str, tuple[str, set[str], set[str], set[str]]] = {
    "complaints.v1": (
        "ticket id",
        {"ComplaintSubmitted", "CustomerMessage", "RatingGiven"},
        {"intake"},
        {"router", "sla"},
    ),
    "policies.v1": ("content hash", {"PolicyVersion"}, {"router"}, {"intake", "sla", "notifier", "desk"}),
    "staff.v1": ("person, queue or rota", {"Person", "Queue"}, {"router"}, {"intake", "sla", "notifier", "desk"}),
    "tickets.v1": ("ticket id", {"TicketEvent"}, {"router"}, {"sla", "notifier", "desk"}),
    "orders.v1": (
        "order id",
        {"OrderPlaced", "OrderPickedUp", "EtaChanged", "OrderDelivered", "OrderCancelled"},
        {"order platform"},
        {"sla"},
    ),
    "sla-events.v1": (
        "ticket id",
        {
            "SlaArmed",
            "SlaRetargeted",
            "SlaAtRisk",
            "SlaBreached",
            "SlaMet",
            "SlaPaused",
            "SlaResumed",
            "SlaCancelled",
        },
        {"sla"},
        {"router", "notifier", "desk"},
    ),
    "escalations.v1": (
        "ticket id",
        {"TicketEscalated", "EscalationAcknowledged", "EscalationClosed"},
        {"sla"},
        {"router", "notifier", "on-call"},
    ),
    "surges.v1": (
        "incident id",
        {"SurgeOpened", "SurgeUpdated", "SurgeClosed", "RouteOptimizationSuggested", "QualityFlagged"},
        {"sla"},
        {"router", "notifier", "operations"},
    ),
    "order-events.v1": (
        "order id",
        {"DelayExpected", "EtaTold", "OrderFarTooLate"},
        {"sla"},
        {"notifier", "operations"},
    ),
    "vouchers.v1": (
        "customer id",
        {"VoucherIssued", "VoucherReversed", "PointsGranted"},
        {"sla"},
        {"loyalty", "notifier", "router"},
    ),
    "voucher-receipts.v1": (
        "customer id",
        {"VoucherRedeemable", "VoucherRejected", "VoucherRedeemed", "ReversalDone", "ReversalRefused"},
        {"loyalty"},
        {"sla"},
    ),
    "ledger.v1": ("ledger id", {"LedgerRow"}, {"sla"}, {"sla", "router"}),
    "remedies.v1": ("order id", {"RefundRequested", "ReshipRequested"}, {"router"}, {"order platform"}),
    "remedy-receipts.v1": (
        "order id",
        {"RefundDone", "ReshipDone", "RemedyRefused"},
        {"order platform"},
        {"router"},
    ),
    "notifications.v1": ("ticket id", {"NotificationDelivered", "NotificationFailed"}, {"notifier"}, {"router"}),
    "dead-letters.v1": ("original key", set(), {"intake", "router", "sla", "notifier"}, {"operations"}),
}
INTERNAL = {"sla-due", "order-due", "sla-commands", "surge-counts", "compensation-requests"}
COMPACTED = {"policies.v1", "staff.v1", "ledger.v1"}
PERSONAL = {"complaints.v1", "dead-letters.v1"}
# Read by one worker with the state of one key, so equally many partitions (the same key is in the same partition).
JOINED = [{COMPLAINTS, TICKETS, DUE, COMMANDS}, {ORDERS, ORDER_DUE, "compensation-requests"}]


@pytest.mark.parametrize("name", CONTRACT)
def test_a_topic_offers_at_least_what_others_rely_on(name: str) -> None:
    key, messages, writers, readers = CONTRACT[name]
    topic = registry()[name]
    assert topic.key.startswith(key)
    assert set(topic.messages) >= messages
    assert set(topic.writers) == writers
    assert set(topic.readers) >= readers


def test_the_registry_has_these_topics_and_the_internal_ones() -> None:
    assert set(registry()) == set(CONTRACT) | INTERNAL


def test_every_message_of_the_registry_is_in_the_protos() -> None:
    for topic in registry().values():
        for message in topic.messages:
            assert message_class(message).DESCRIPTOR.full_name == f"pingxi.v1.{message}"


@pytest.mark.parametrize("joined", JOINED, ids=lambda joined: " ".join(sorted(joined)))
def test_topics_that_are_joined_have_equally_many_partitions(joined: set[str]) -> None:
    assert len({registry()[name].partitions for name in joined}) == 1


def test_what_must_be_kept_is_compacted_and_what_is_personal_goes_in_14_days() -> None:
    for topic in registry().values():
        assert (topic.retention_days is None) == (topic.name in COMPACTED)
    raw = yaml.safe_load(REGISTRY.read_text())["topics"]
    assert {name for name, row in raw.items() if row.get("personal") == "sealed"} == PERSONAL
    for name in PERSONAL:
        assert registry()[name].retention_days == 14
