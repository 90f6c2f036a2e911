"""The gRPC services and calls that other people's programs rely on exist under their names."""

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor

from gen.pingxi.v1 import (  # noqa: F401  importing registers them
    compensation_pb2,
    intake_pb2,
    notification_pb2,
    policy_pb2,
    report_pb2,
    sla_service_pb2,
    staff_pb2,
    ticket_service_pb2,
)

CALLS = {
    "IntakeService": "SubmitComplaint SubmitComplaints AddMessage GetProgress SubmitRating",
    "TicketService": "GetTicket ListTickets SearchTickets Assign Reply AddNote RequestInformation ChangePriority "
    "ChangeCategory ChangeQueue Resolve Close Reopen Merge WatchTickets EraseCustomer",
    "StaffService": "PutPerson PutQueue PutRota ListStaff WhoIsOnCall",
    "PolicyService": "ListPolicies ValidatePolicy ActivatePolicy GetPolicyHistory",
    "ReportService": "GetFigures GetReport",
    "SlaService": "GetClocks AcknowledgeEscalation ListIncidents GetIncident CloseIncident RehearsePolicy",
    "CompensationService": "Propose Approve Reject Reverse GetLedger Reconcile",
    "NotificationService": "Preview Resend ListDeliveries",
}
# (from the client, from the server)
STREAMS = {("IntakeService", "SubmitComplaints"): (True, True), ("TicketService", "WatchTickets"): (False, True)}
# Calls that change something of a ticket carry a Change; those of other things carry the key themselves.
CHANGES = [
    "Assign",
    "Reply",
    "AddNote",
    "RequestInformation",
    "ChangePriority",
    "ChangeCategory",
    "ChangeQueue",
    "Resolve",
    "Close",
    "Reopen",
    "Merge",
]


def _service(name: str) -> ServiceDescriptor:
    return descriptor_pool.Default().FindServiceByName(f"pingxi.v1.{name}")


@pytest.mark.parametrize("name", CALLS)
def test_a_service_has_its_calls(name: str) -> None:
    assert {method.name for method in _service(name).methods} >= set(CALLS[name].split())


@pytest.mark.parametrize("name", CALLS)
def test_only_these_calls_are_streams(name: str) -> None:
    for method in _service(name).methods:
        expected = STREAMS.get((name, method.name), (False, False))
        assert (method.client_streaming, method.server_streaming) == expected, method.name


@pytest.mark.parametrize("call", CHANGES)
def test_a_change_of_a_ticket_carries_its_expected_version_and_an_idempotency_key(call: str) -> None:
    change = _service("TicketService").methods_by_name[call].input_type.fields_by_name["change"].message_type
    assert change is not None
    assert {"ticket_id", "expected_version", "idempotency_key", "actor"} <= set(change.fields_by_name)
