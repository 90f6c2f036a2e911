"""Incidents as they were told last, in MongoDB, so that any worker may be asked."""

from collections.abc import Sequence

from common.clock import Clock
from common.consumer import BatchConsumer
from common.errors import FieldProblem, Invalid, NotFound, Poison, Refused
from common.events import Incoming, Outgoing
from common.ids import deterministic_id
from common.publisher import Publisher
from common.words import from_timestamp, from_us, to_timestamp, to_us
from gen.pingxi.v1 import sla_service_pb2
from gen.pingxi.v1.internal_pb2 import CloseIncidentNow, SlaCommand
from gen.pingxi.v1.surge_pb2 import Incident, SurgeClosed, SurgeOpened, SurgeUpdated
from services.sla.settings import SlaSettings
from services.sla.surge.store import IncidentStore

PAGE, MOST = 50, 500


class Incidents:
    """Writes what is told of incidents, and answers about them."""

    def __init__(self, store: IncidentStore, publisher: Publisher, clock: Clock) -> None:
        self._store = store
        self._publisher = publisher
        self._clock = clock

    async def handle(self, messages: Sequence[Incoming]) -> None:
        """The newest version of each incident. Raises Unavailable, Poison without an instant."""
        rows = []
        for message in messages:
            if not isinstance(message.body, SurgeOpened | SurgeUpdated | SurgeClosed):
                continue
            incident = message.body.incident
            opened_at = from_timestamp(incident.opened_at)
            if opened_at is None or not incident.incident_id:
                raise Poison("missing_field", "incident.opened_at")
            is_open = not isinstance(message.body, SurgeClosed)
            body = incident.SerializeToString()
            rows.append((incident.incident_id, incident.brand, opened_at, is_open, incident.version, body))
        await self._store.put(rows)

    async def get(self, incident_id: str) -> Incident:
        """Raises NotFound, Unavailable."""
        body = await self._store.get(incident_id)
        if body is None:
            raise NotFound("no such incident")
        return Incident.FromString(body)

    async def listed(self, request: sla_service_pb2.ListIncidentsRequest) -> sla_service_pb2.ListIncidentsResponse:
        """The newest first. Raises Invalid, Unavailable."""
        if not 0 <= request.page_size <= MOST:
            raise Invalid([FieldProblem("page_size", f"expected 0 (for {PAGE}) to {MOST}")])
        size = request.page_size or PAGE
        after = None
        if request.page_token:
            instant, _, key = request.page_token.partition("-")
            at = from_us(int(instant)) if instant.isdigit() else None
            if at is None or not key:
                raise Invalid([FieldProblem("page_token", "expected a token of an earlier answer")])
            after = (at, key)
        found = await self._store.listed(request.brand, request.open_only, after, size + 1)
        more = found[size - 1] if len(found) > size else None
        return sla_service_pb2.ListIncidentsResponse(
            incidents=[Incident.FromString(body) for _, _, body in found[:size]],
            next_page_token=f"{to_us(more[0])}-{more[1]}" if more else "",
        )

    async def close(self, request: sla_service_pb2.CloseIncidentRequest) -> sla_service_pb2.CloseIncidentResponse:
        """Answers once the command is in the log; it comes back as SurgeClosed. Raises Invalid, NotFound, Refused."""
        problems = []
        if not request.incident_id:
            problems.append(FieldProblem("incident_id", "is required"))
        if not request.actor.id:
            problems.append(FieldProblem("actor.id", "who closes is required"))
        if len(request.reason) > 200:
            problems.append(FieldProblem("reason", "at most 200 characters"))
        if problems:
            raise Invalid(problems)
        incident = await self.get(request.incident_id)
        now = self._clock.now()
        command_id = deterministic_id(
            "close-incident", incident.incident_id, request.idempotency_key or now.isoformat()
        )
        if incident.HasField("closed_at"):
            if request.idempotency_key:
                # A repeat of the call that closed it looks the same; closed is what was asked for.
                return sla_service_pb2.CloseIncidentResponse(command_id=command_id)
            raise Refused("the incident is closed already")
        command = SlaCommand(
            command_id=command_id,
            at=to_timestamp(now),
            actor=request.actor,
            close_incident=CloseIncidentNow(incident_id=incident.incident_id, reason=request.reason),
        )
        await self._publisher.publish(
            Outgoing("sla-commands", incident.brand, command_id, incident.incident_id, now, command)
        )
        return sla_service_pb2.CloseIncidentResponse(command_id=command_id)


def consumer_of(settings: SlaSettings, publisher: Publisher, incidents: Incidents) -> BatchConsumer:
    """Follows surges.v1."""
    return BatchConsumer(
        settings.kafka,
        service="sla",
        group=f"{settings.sla_group}-incidents",
        topics=["surges.v1"],
        kinds=[SurgeOpened, SurgeUpdated, SurgeClosed],
        handle=incidents.handle,
        publisher=publisher,
        topic_prefix=settings.topic_prefix,
    )
