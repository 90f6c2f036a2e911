"""gRPC: the ticket API. Calls that aren't overridden here answer UNIMPLEMENTED."""

from typing import Any

from common import metrics
from common.errors import FieldProblem, Invalid
from common.grpc_server import GrpcServer
from common.keys import Keys
from common.tracing import child_traceparent
from common.words import from_timestamp, word_of
from gen.pingxi.v1 import (
    common_pb2,
    policy_pb2,
    policy_pb2_grpc,
    report_pb2,
    report_pb2_grpc,
    staff_pb2,
    staff_pb2_grpc,
    ticket_service_pb2,
    ticket_service_pb2_grpc,
)
from services.router.desk import Desk, Head
from services.router.model import Actor, ActorKind, Event, Ticket
from services.router.ports import Filter
from services.router.wire import listed_to_proto, ticket_to_proto
from wire.words import category_from_proto, priority_from_proto, status_from_proto


class TicketServicer(ticket_service_pb2_grpc.TicketServiceServicer):
    """Only other services of the installation call this, so it shows personal data."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def GetTicket(
        self, request: ticket_service_pb2.GetTicketRequest, context: Any
    ) -> ticket_service_pb2.GetTicketResponse:
        """The ticket with history, messages and contact."""
        readable = await self._desk.read(request.ticket_id)
        return ticket_service_pb2.GetTicketResponse(ticket=ticket_to_proto(readable))

    async def ListTickets(
        self, request: ticket_service_pb2.ListTicketsRequest, context: Any
    ) -> ticket_service_pb2.ListTicketsResponse:
        """One page, without history and personal data."""
        which = filter_from_proto(request.filter)
        tickets, token = await self._desk.list(which, request.order_by, request.page_size, request.page_token)
        return ticket_service_pb2.ListTicketsResponse(tickets=map(listed_to_proto, tickets), next_page_token=token)

    async def Assign(
        self, request: ticket_service_pb2.AssignRequest, context: Any
    ) -> ticket_service_pb2.AssignResponse:
        """Makes a named person the owner."""
        ticket = await self._desk.assign(_head(request.change), request.assignee)
        return ticket_service_pb2.AssignResponse(ticket=self._shown(ticket))

    async def Reply(self, request: ticket_service_pb2.ReplyRequest, context: Any) -> ticket_service_pb2.ReplyResponse:
        """Answers the customer; the first answer by a person meets the first promise."""
        ticket, event = await self._desk.reply(_head(request.change), request.text, tuple(request.images))
        _measure(event)
        return ticket_service_pb2.ReplyResponse(ticket=self._shown(ticket))

    async def Resolve(
        self, request: ticket_service_pb2.ResolveRequest, context: Any
    ) -> ticket_service_pb2.ResolveResponse:
        """Ends the work; the text is the answer the customer gets."""
        ticket, event = await self._desk.resolve(
            _head(request.change),
            request.text,
            request.resolution,
            request.amount.currency,
            request.amount.amount_minor,
        )
        _measure(event)
        return ticket_service_pb2.ResolveResponse(ticket=self._shown(ticket))

    def _shown(self, ticket: Ticket) -> ticket_service_pb2.Ticket:
        return ticket_to_proto(self._desk.opened(ticket))


def _measure(event: Event | None) -> None:
    if event is None:
        return
    facts = event.ticket.facts
    for instant, histogram in (
        (facts.first_answer_at, metrics.first_response_seconds),
        (facts.resolved_at, metrics.resolution_seconds),
    ):
        if instant == event.at:
            histogram.observe(max(0.0, (event.at - facts.acknowledged_at).total_seconds()))


def _head(change: ticket_service_pb2.Change) -> Head:
    """An actor whose kind isn't said is an agent: who calls on behalf of a machine has to say so."""
    kind = word_of(common_pb2.Actor.Kind.DESCRIPTOR, change.actor.kind)
    return Head(
        ticket_id=change.ticket_id,
        expected_version=change.expected_version,
        idempotency_key=change.idempotency_key,
        actor=Actor(ActorKind(kind) if kind else ActorKind.AGENT, change.actor.id),
        reason=change.reason,
        trace=child_traceparent(),
    )


def filter_from_proto(message: ticket_service_pb2.TicketFilter) -> Filter:
    """What to list. Raises Invalid for a word this version doesn't know."""
    problems = []

    def known(field: str, words: list[Any]) -> tuple[Any, ...]:
        if None in words:
            problems.append(FieldProblem(f"filter.{field}", "has an unknown value"))
        return tuple(words)

    which = Filter(
        brands=tuple(message.brands),
        statuses=known("statuses", [status_from_proto(number) for number in message.statuses]),
        queues=tuple(message.queues),
        priorities=known("priorities", [priority_from_proto(number) for number in message.priorities]),
        categories=known("categories", [category_from_proto(number) for number in message.categories]),
        assignees=tuple(message.assignees),
        customer_id=message.customer_id,
        customer_ref=message.customer_ref,
        order_id=message.order_id,
        merchant_id=message.merchant_id,
        region=message.region,
        acknowledged_from=from_timestamp(message.acknowledged_from),
        acknowledged_to=from_timestamp(message.acknowledged_to),
    )
    if problems:
        raise Invalid(problems)
    return which


def make_server(address: str, keys: Keys, desk: Desk) -> GrpcServer:
    """The server with all services of the router; only this installation's services may call."""

    def authenticate(bearer: str) -> str | None:
        return "service" if keys.is_service(bearer) else None

    return GrpcServer(
        address,
        authenticate,
        [
            (
                ticket_service_pb2_grpc.add_TicketServiceServicer_to_server,
                TicketServicer(desk),
                _full_name(ticket_service_pb2, "TicketService"),
            ),
            (
                staff_pb2_grpc.add_StaffServiceServicer_to_server,
                staff_pb2_grpc.StaffServiceServicer(),
                _full_name(staff_pb2, "StaffService"),
            ),
            (
                policy_pb2_grpc.add_PolicyServiceServicer_to_server,
                policy_pb2_grpc.PolicyServiceServicer(),
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
