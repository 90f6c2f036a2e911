"""gRPC: the staff API."""

from typing import Any

from common.errors import FieldProblem, Invalid
from common.words import from_timestamp, word_of
from gen.pingxi.v1 import common_pb2, staff_pb2, staff_pb2_grpc
from rules.staff import Record
from services.router.model import Actor, ActorKind
from services.router.staff import Put
from services.router.staff_desk import StaffDesk
from wire.staff import (
    person_from_proto,
    person_to_proto,
    queue_from_proto,
    queue_to_proto,
    rota_from_proto,
    rota_to_proto,
)


class StaffServicer(staff_pb2_grpc.StaffServiceServicer):
    """A Put replaces the whole record; the record's own `version` isn't looked at, `expected_version` is."""

    def __init__(self, desk: StaffDesk) -> None:
        self._desk = desk

    async def PutPerson(self, request: staff_pb2.PutPersonRequest, context: Any) -> staff_pb2.PutPersonResponse:
        """A new or changed person; `removed` takes him out of everything."""
        person = person_from_proto(request.person)
        return staff_pb2.PutPersonResponse(person=person_to_proto(await self._desk.put(_put(request, person), person)))

    async def PutQueue(self, request: staff_pb2.PutQueueRequest, context: Any) -> staff_pb2.PutQueueResponse:
        """A queue with its leads and joint queues."""
        queue = queue_from_proto(request.queue)
        return staff_pb2.PutQueueResponse(queue=queue_to_proto(await self._desk.put(_put(request, queue), queue)))

    async def PutRota(self, request: staff_pb2.PutRotaRequest, context: Any) -> staff_pb2.PutRotaResponse:
        """A rota with all its shifts."""
        try:
            rota = rota_from_proto(request.rota)
        except ValueError as error:
            raise Invalid([FieldProblem("rota.shifts", str(error))]) from error
        return staff_pb2.PutRotaResponse(rota=rota_to_proto(await self._desk.put(_put(request, rota), rota)))

    async def ListStaff(self, request: staff_pb2.ListStaffRequest, context: Any) -> staff_pb2.ListStaffResponse:
        """The staff of a brand, or of all."""
        people, queues, rotas = await self._desk.listed(request.brand)
        return staff_pb2.ListStaffResponse(
            people=map(person_to_proto, people), queues=map(queue_to_proto, queues), rotas=map(rota_to_proto, rotas)
        )

    async def WhoIsOnCall(self, request: staff_pb2.WhoIsOnCallRequest, context: Any) -> staff_pb2.WhoIsOnCallResponse:
        """Who is on shift at `at`; unset: now."""
        try:
            at = from_timestamp(request.at)
        except ValueError as error:
            raise Invalid([FieldProblem("at", str(error))]) from error
        people = await self._desk.on_call(request.brand, request.rota, at)
        return staff_pb2.WhoIsOnCallResponse(people=map(person_to_proto, people))


def _put(
    request: staff_pb2.PutPersonRequest | staff_pb2.PutQueueRequest | staff_pb2.PutRotaRequest, record: Record
) -> Put:
    kind = word_of(common_pb2.Actor.Kind.DESCRIPTOR, request.actor.kind)
    actor = Actor(ActorKind(kind) if kind else ActorKind.SUPERVISOR, request.actor.id)
    return Put(record, request.expected_version, request.idempotency_key, actor)
