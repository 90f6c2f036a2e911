"""gRPC of the sla service. Writes go into the log as commands and come back as events."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from common.clock import Clock
from common.errors import FieldProblem, Invalid, NotFound, Unavailable
from common.events import Outgoing
from common.ids import deterministic_id
from common.publisher import Publisher
from common.words import to_timestamp
from gen.pingxi.v1 import compensation_pb2, compensation_pb2_grpc, internal_pb2, sla_service_pb2, sla_service_pb2_grpc
from rules import number
from rules.model import PolicySet
from services.sla.explain import views
from services.sla.order_facts import OrderBook
from services.sla.outgoing import clock_to_proto
from services.sla.projection import Projection
from services.sla.rehearsal_service import Rehearsals
from services.sla.surge.projection import Incidents


class SlaServicer(sla_service_pb2_grpc.SlaServiceServicer):
    """Clocks, acknowledgement, incidents and rehearsal."""

    def __init__(
        self,
        publisher: Publisher,
        clock: Clock,
        projection: Projection,
        policies: Mapping[str, PolicySet],
        rehearsals: Rehearsals,
        incidents: Incidents,
        orders: OrderBook,
    ) -> None:
        self._publisher = publisher
        self._clock = clock
        self._projection = projection
        self._policies = policies
        self._rehearsals = rehearsals
        self._incidents = incidents
        self._orders = orders

    async def GetClocks(
        self, request: sla_service_pb2.GetClocksRequest, context: Any
    ) -> sla_service_pb2.GetClocksResponse:
        """Every clock of a ticket with its segments, and why it is due when it is."""
        ticket_id = number.parse(request.ticket_id)
        if ticket_id is None:
            raise NotFound("no such ticket: the number is mistyped")
        row = await self._projection.row(ticket_id)
        policies = self._policies.get(row.brand)
        zone = policies.brand.time_zone if policies else "UTC"
        found = views(row, self._clock.now(), zone)
        return sla_service_pb2.GetClocksResponse(clocks=[clock_to_proto(row, view) for view in found])

    async def GetOrder(
        self, request: sla_service_pb2.GetOrderRequest, context: Any
    ) -> sla_service_pb2.GetOrderResponse:
        """What is known of an order. Raises Invalid, NotFound, Unavailable."""
        needed = {"brand": request.brand, "order_id": request.order_id}
        problems = [FieldProblem(field, "is required") for field, value in needed.items() if not value]
        if problems:
            raise Invalid(problems)
        order = await self._orders.get(request.brand, request.order_id)
        if order is None:
            raise NotFound("no event told of this order yet")
        return sla_service_pb2.GetOrderResponse(
            state=order.state,
            customer_id=order.customer_id,
            promised_at=to_timestamp(order.promised_at) if order.promised_at else None,
            eta=to_timestamp(order.eta) if order.eta else None,
        )

    async def RehearsePolicy(
        self, request: sla_service_pb2.RehearsePolicyRequest, context: Any
    ) -> sla_service_pb2.RehearsePolicyResponse:
        """What changed policies would have done to the tickets there were."""
        return await self._rehearsals.rehearse(request)

    async def ListIncidents(
        self, request: sla_service_pb2.ListIncidentsRequest, context: Any
    ) -> sla_service_pb2.ListIncidentsResponse:
        """Incidents of a brand, or of all, the newest first."""
        return await self._incidents.listed(request)

    async def GetIncident(
        self, request: sla_service_pb2.GetIncidentRequest, context: Any
    ) -> sla_service_pb2.GetIncidentResponse:
        """An incident as it was told last, with its drill-down."""
        return sla_service_pb2.GetIncidentResponse(incident=await self._incidents.get(request.incident_id))

    async def CloseIncident(
        self, request: sla_service_pb2.CloseIncidentRequest, context: Any
    ) -> sla_service_pb2.CloseIncidentResponse:
        """Answers once the command is in the log; it comes back as SurgeClosed."""
        return await self._incidents.close(request)

    async def AcknowledgeEscalation(
        self, request: sla_service_pb2.AcknowledgeEscalationRequest, context: Any
    ) -> sla_service_pb2.AcknowledgeEscalationResponse:
        """Answers once the command is in the log; it takes effect in the ticket's order."""
        problems = []
        ticket_id = number.parse(request.ticket_id)
        if ticket_id is None:
            problems.append(FieldProblem("ticket_id", "expected a ticket number"))
        if not request.escalation_id:
            problems.append(FieldProblem("escalation_id", "is required"))
        if not request.actor.id:
            problems.append(FieldProblem("actor.id", "who acknowledges is required"))
        if problems or ticket_id is None:
            raise Invalid(problems)
        now = self._clock.now()
        key = request.idempotency_key or now.isoformat()
        command_id = deterministic_id("sla-command", ticket_id, request.escalation_id, key)
        command = internal_pb2.SlaCommand(
            command_id=command_id,
            ticket_id=ticket_id,
            at=to_timestamp(now),
            actor=request.actor,
            acknowledge_escalation=await self._seen(ticket_id, request.escalation_id),
        )
        await self._publisher.publish(Outgoing("sla-commands", ticket_id, command_id, ticket_id, now, command))
        return sla_service_pb2.AcknowledgeEscalationResponse(command_id=command_id)

    async def _seen(self, ticket_id: str, escalation_id: str) -> internal_pb2.AcknowledgeEscalation:
        """What is acknowledged, as far as it is known here: a replay applies it to that level and no other."""
        found = internal_pb2.AcknowledgeEscalation(escalation_id=escalation_id)
        with suppress(NotFound, Unavailable):
            row = await self._projection.row(ticket_id)
            for breach in (each for clock in row.clocks for each in clock.breaches if each.id == escalation_id):
                found.level, found.returned = breach.level, breach.returned
        return found


def services(
    publisher: Publisher,
    clock: Clock,
    projection: Projection,
    policies: Mapping[str, PolicySet],
    rehearsals: Rehearsals,
    compensation: compensation_pb2_grpc.CompensationServiceServicer,
    incidents: Incidents,
    orders: OrderBook,
) -> list[tuple[Callable[[Any, Any], None], object, str]]:
    """What the gRPC server serves."""
    return [
        (
            sla_service_pb2_grpc.add_SlaServiceServicer_to_server,
            SlaServicer(publisher, clock, projection, policies, rehearsals, incidents, orders),
            sla_service_pb2.DESCRIPTOR.services_by_name["SlaService"].full_name,
        ),
        (
            compensation_pb2_grpc.add_CompensationServiceServicer_to_server,
            compensation,
            compensation_pb2.DESCRIPTOR.services_by_name["CompensationService"].full_name,
        ),
    ]
