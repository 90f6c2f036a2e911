"""gRPC: all services of the router on one port. Calls that nobody overrides answer UNIMPLEMENTED."""

from typing import Any

from common.grpc_server import GrpcServer
from common.keys import Keys
from gen.pingxi.v1 import (
    policy_pb2,
    policy_pb2_grpc,
    report_pb2,
    report_pb2_grpc,
    staff_pb2,
    staff_pb2_grpc,
    ticket_service_pb2,
    ticket_service_pb2_grpc,
)
from services.router.policy_life import PolicyLife
from services.router.policy_service import PolicyServicer
from services.router.staff_desk import StaffDesk
from services.router.staff_service import StaffServicer
from services.router.ticket_service import TicketCalls, TicketServicer


def make_server(address: str, keys: Keys, calls: TicketCalls, staff: StaffDesk, life: PolicyLife) -> GrpcServer:
    """The server with all services of the router; only this installation's services may call."""

    def authenticate(bearer: str) -> str | None:
        return "service" if keys.is_service(bearer) else None

    return GrpcServer(
        address,
        authenticate,
        [
            (
                ticket_service_pb2_grpc.add_TicketServiceServicer_to_server,
                TicketServicer(calls),
                _full_name(ticket_service_pb2, "TicketService"),
            ),
            (
                staff_pb2_grpc.add_StaffServiceServicer_to_server,
                StaffServicer(staff),
                _full_name(staff_pb2, "StaffService"),
            ),
            (
                policy_pb2_grpc.add_PolicyServiceServicer_to_server,
                PolicyServicer(life),
                _full_name(policy_pb2, "PolicyService"),
            ),
            (
                report_pb2_grpc.add_ReportServiceServicer_to_server,
                report_pb2_grpc.ReportServiceServicer(),
                _full_name(report_pb2, "ReportService"),
            ),
        ],
    )


def _full_name(module: Any, name: str) -> str:
    return str(module.DESCRIPTOR.services_by_name[name].full_name)
