"""Messages to the model and the model to messages."""

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import Message as Proto

from common.errors import Poison
from common.events import Incoming
from common.words import to_timestamp
from gen.pingxi.v1 import (
    common_pb2,
    complaint_pb2,
    escalation_pb2,
    remedy_pb2,
    sla_event_pb2,
    surge_pb2,
    ticket_pb2,
    voucher_pb2,
)
from rules.words import Metric
from services.router.arrivals import ARMED_KINDS, armed, arrival, attached
from services.router.changes import KINDS
from services.router.commands import (
    NoteCompensation,
    NoteEscalation,
    NoteIncident,
    NoteRemedy,
    ReceiveMessage,
    ReceiveRating,
    Submitted,
    Told,
)
from services.router.desk import Readable
from services.router.model import ActorKind, Personal
from services.router.policy import perform
from services.router.wire import _CHANGES, event_to_proto, stored_event, ticket_to_proto
from tests.fakes_router import START, complaint, number
from tests.unit.router.behaviour import opened
from wire.courses import courses_from_proto

AT = to_timestamp(START)
SEALED = common_pb2.Sealed(key_id="k1", ciphertext=b"sealed")
CLOCK = sla_event_pb2.ClockId(ticket_id=number(1), metric=common_pb2.METRIC_FIRST_RESPONSE)


def incoming(body: Proto, message_id: str = "e1") -> Incoming:
    return Incoming("topic", 0, 7, number(1), body.DESCRIPTOR.name, message_id, None, body)


def submitted(**changes: Any) -> complaint_pb2.ComplaintSubmitted:
    values: dict[str, Any] = {
        "ticket_id": number(1),
        "brand": "default",
        "channel": common_pb2.CHANNEL_SMS,
        "declared_category": common_pb2.CATEGORY_DELIVERY,
        "personal": SEALED,
        "acknowledged_at": AT,
        "channel_facts": {"callId": "7"},
    }
    return complaint_pb2.ComplaintSubmitted(**{**values, **changes})


def test_a_complaint_is_read() -> None:
    found = arrival(incoming(submitted()))
    assert isinstance(found, Submitted)
    assert (found.complaint.channel, found.complaint.declared) == ("sms", "delivery")
    assert found.complaint.acknowledged_at == START
    assert found.complaint.channel_facts == {"callId": "7"}


def test_a_message_and_a_rating_carry_their_own_times_and_ids() -> None:
    message = complaint_pb2.CustomerMessage(message_id="m1", ticket_id=number(1), personal=SEALED, received_at=AT)
    rating = complaint_pb2.RatingGiven(rating_id="r1", ticket_id=number(1), score=4, resolved=True, received_at=AT)
    first, second = arrival(incoming(message)), arrival(incoming(rating))
    assert isinstance(first, Told)
    assert isinstance(first.command, ReceiveMessage)
    assert (first.cause.id, first.cause.at, first.cause.actor.kind) == ("message:m1", START, ActorKind.CUSTOMER)
    assert isinstance(second, Told)
    assert second.command == ReceiveRating("r1", 4, True)
    assert second.cause.id == "rating:r1"


@pytest.mark.parametrize(
    ("body", "command"),
    [
        (
            escalation_pb2.TicketEscalated(
                escalation_id="b",
                ticket_id=number(1),
                metric=common_pb2.METRIC_FIRST_RESPONSE,
                level=2,
                escalated_at=AT,
            ),
            NoteEscalation("b", Metric.FIRST_RESPONSE, 2, "escalated"),
        ),
        (
            escalation_pb2.EscalationAcknowledged(escalation_id="b", ticket_id=number(1), level=1, at=AT),
            NoteEscalation("b", None, 1, "acknowledged"),
        ),
        (
            escalation_pb2.EscalationClosed(escalation_id="b", ticket_id=number(1), level=1, at=AT, why="met"),
            NoteEscalation("b", None, 1, "closed"),
        ),
        (
            sla_event_pb2.SlaBreached(breach_id="b", clock=CLOCK, breached_at=AT),
            NoteEscalation("b", Metric.FIRST_RESPONSE, 0, "breached"),
        ),
        (
            sla_event_pb2.SlaMet(clock=CLOCK, met_at=AT, retracts="b"),
            NoteEscalation("b", Metric.FIRST_RESPONSE, 0, "retracted"),
        ),
        (
            voucher_pb2.PointsGranted(grant_id="g", ticket_id=number(1), points=50, reason="satisfied", granted_at=AT),
            NoteCompensation("g", "published", {"points": "50", "why": "satisfied"}),
        ),
    ],
)
def test_what_other_services_did_is_a_note_with_the_events_id(body: Proto, command: object) -> None:
    found = arrival(incoming(body))
    assert isinstance(found, Told)
    assert (found.command, found.ticket_id, found.cause.id, found.cause.at) == (command, number(1), "event:e1", START)


@pytest.mark.parametrize(
    ("body", "state", "reason"),
    [
        (remedy_pb2.RefundDone(remedy_id="r", ticket_id=number(1), at=AT), "done", ""),
        (remedy_pb2.ReshipDone(remedy_id="r", ticket_id=number(1), at=AT), "done", ""),
        (remedy_pb2.RemedyRefused(remedy_id="r", ticket_id=number(1), at=AT, why="sold out"), "refused", "sold out"),
    ],
)
def test_a_receipt_of_the_order_platform_is_a_note_by_the_remedy_with_its_reason(
    body: Proto, state: str, reason: str
) -> None:
    found = arrival(incoming(body))
    assert isinstance(found, Told)
    assert (found.ticket_id, found.command) == (number(1), NoteRemedy("r", state))
    # By the remedy and not by the message: what the platform says twice is noted once.
    assert (found.cause.id, found.cause.at, found.cause.reason) == (f"remedy:r:{state}", START, reason)
    assert (found.cause.actor.kind, found.cause.actor.id) == (ActorKind.SYSTEM, "order platform")


@pytest.mark.parametrize("kind", [remedy_pb2.RefundDone, remedy_pb2.ReshipDone, remedy_pb2.RemedyRefused])
def test_a_receipt_without_its_remedy_or_its_time_is_poison(kind: Any) -> None:
    for body in (kind(ticket_id=number(1), at=AT), kind(remedy_id="r", ticket_id=number(1))):
        with pytest.raises(Poison) as caught:
            arrival(incoming(body))
        assert caught.value.reason == "invalid_message"


def test_a_breach_and_an_escalation_come_with_the_reason_the_history_keeps() -> None:
    reason = "first_response due 2026-11-20T12:10:00Z, policy red 3f2a1b4c, paused 0 min"
    for body in (
        sla_event_pb2.SlaBreached(breach_id="b", clock=CLOCK, breached_at=AT, reason=reason),
        escalation_pb2.TicketEscalated(escalation_id="b", ticket_id=number(1), escalated_at=AT, reason=reason),
    ):
        found = arrival(incoming(body))
        assert isinstance(found, Told)
        assert found.cause.reason == reason
        (event,) = perform(opened(complaint(1)).ticket, found.command, found.cause)
        assert event.ticket.history[-1].reason == reason


@pytest.mark.parametrize(
    "kind",
    [sla_event_pb2.SlaArmed, sla_event_pb2.SlaRetargeted, sla_event_pb2.SlaPaused, sla_event_pb2.SlaResumed],
)
def test_what_starts_or_moves_a_clock_says_at_which_version(kind: Any) -> None:
    assert kind in ARMED_KINDS
    assert armed(incoming(kind(clock=CLOCK, ticket_version=4))) == (number(1), 4)


@pytest.mark.parametrize(
    "body",
    [
        sla_event_pb2.SlaMet(clock=CLOCK, met_at=AT),
        voucher_pb2.VoucherIssued(voucher_id="v", issued_at=AT),
        voucher_pb2.PointsGranted(grant_id="g", granted_at=AT),
    ],
)
def test_what_the_history_does_not_want_is_passed_over(body: Proto) -> None:
    assert arrival(incoming(body)) is None


@pytest.mark.parametrize(
    ("body", "message_id"),
    [
        (submitted(ticket_id="nonsense"), "e1"),
        (submitted(ticket_id=number(1).lower()), "e1"),
        (submitted(acknowledged_at=None), "e1"),
        (submitted(personal=None), "e1"),
        (submitted(targets=[{"metric": 0}]), "e1"),
        (complaint_pb2.CustomerMessage(ticket_id=number(1), personal=SEALED, received_at=AT), "e1"),
        (complaint_pb2.RatingGiven(rating_id="r", ticket_id=number(1), score=6, received_at=AT), "e1"),
        (escalation_pb2.TicketEscalated(escalation_id="b", ticket_id=number(1), escalated_at=AT), ""),
        (escalation_pb2.TicketEscalated(escalation_id="b", ticket_id=number(1)), "e1"),
    ],
)
def test_what_lacks_something_needed_is_poison(body: Proto, message_id: str) -> None:
    with pytest.raises(Poison) as caught:
        arrival(incoming(body, message_id))
    assert caught.value.reason == "invalid_message"


def test_an_event_carries_the_snapshot_with_every_clock_fact_and_no_personal_data() -> None:
    event = opened(complaint(1, "饺子里有虫子")).events[0]
    body = event_to_proto(event)
    assert body.WhichOneof("change") == "opened"
    assert (body.version, body.event_id, body.snapshot.red) == (1, event.id, True)
    assert body.snapshot.clock_facts.acknowledged_at == AT
    assert body.snapshot.clock_facts.routed_at == to_timestamp(START + timedelta(seconds=1))
    assert {t.sla_policy for t in body.snapshot.targets} == {"red"}
    assert courses_from_proto(body.snapshot.clock_facts.courses) == event.ticket.facts.courses
    assert body.snapshot.clock_facts.assignment_instance == 1
    assert body.snapshot.priority == common_pb2.PRIORITY_URGENT
    serialised = stored_event(event).body
    assert "饺子里有虫子".encode() not in serialised
    assert b"13800000000" not in serialised


def test_every_change_has_its_field_in_the_contract() -> None:
    names = {field.name for field in ticket_pb2.TicketEvent.DESCRIPTOR.oneofs_by_name["change"].fields}
    assert set(KINDS.values()) <= names
    assert set(KINDS) == set(_CHANGES)


def test_a_readable_ticket_shows_contact_and_description() -> None:
    ticket = opened(complaint(1, images=("i1",))).ticket
    shown = ticket_to_proto(Readable(ticket, Personal("+86138", "菜送错了"), {}))
    assert (shown.contact, shown.description, list(shown.images)) == ("+86138", "菜送错了", ["i1"])
    assert [entry.kind for entry in shown.history] == ["opened"]


def test_every_ticket_that_joined_an_incident_is_told_so_once_however_often_it_is_said() -> None:
    first, second = number(1), number(2)
    incident = surge_pb2.Incident(
        incident_id="i1",
        dimension="merchant",
        value="m7",
        opened_at=to_timestamp(START),
        attached_tickets=[first, second],
    )
    told = attached(incoming(surge_pb2.SurgeOpened(incident=incident)))
    assert [(each.ticket_id, each.command) for each in told if isinstance(each, Told)] == [
        (first, NoteIncident("i1", "merchant", "m7")),
        (second, NoteIncident("i1", "merchant", "m7")),
    ]
    again = attached(incoming(surge_pb2.SurgeUpdated(incident=incident), "another"))
    assert [each.cause.id for each in again if isinstance(each, Told)] == ["incident:i1", "incident:i1"]
    incident.attached_tickets.append("nonsense")
    with pytest.raises(Poison, match="attached_tickets"):
        attached(incoming(surge_pb2.SurgeOpened(incident=incident)))
