"""gRPC: `IntakeService`. Calls of later parts aren't overridden and answer UNIMPLEMENTED."""

from typing import Any

from common import metrics
from common.clock import Clock
from common.errors import Invalid
from common.grpc_server import caller
from gen.pingxi.v1 import intake_pb2
from gen.pingxi.v1.intake_pb2_grpc import IntakeServiceServicer
from services.intake.endpoints import DeskFor
from services.intake.fields import check_key
from services.intake.form import check_grpc
from services.intake.handlers import Intake
from services.intake.model import LOCALES, Submission
from services.intake.problems import code_of
from services.intake.texts import locale_of
from services.intake.wire import fields_of, progress_to_proto, receipt_to_proto

NAME = "pingxi.v1.IntakeService"
# A customer has no channel key: his token is in the request.
OPEN_METHODS = frozenset({f"/{NAME}/GetProgress"})


class IntakeServer(IntakeServiceServicer):
    """The same two handlers as HTTP, with the same checks; fields are named as in the proto."""

    def __init__(self, intake: Intake, desk_for: DeskFor, clock: Clock) -> None:
        self._intake = intake
        self._desk_for = desk_for
        self._clock = clock

    async def SubmitComplaint(
        self, request: intake_pb2.SubmitComplaintRequest, context: Any
    ) -> intake_pb2.SubmitComplaintResponse:
        started = self._clock.monotonic()
        name = caller.get()
        try:
            submission = self._checked(request, name)
            receipt = await self._intake.submit(submission, name, request.idempotency_key or None)
        except Exception as error:
            metrics.complaints_rejected.labels(name, code_of(error)).inc()
            raise
        metrics.complaints_accepted.labels(submission.channel, submission.brand).inc()
        metrics.intake_ack_seconds.observe(self._clock.monotonic() - started)
        return receipt_to_proto(receipt)

    async def GetProgress(self, request: intake_pb2.GetProgressRequest, context: Any) -> intake_pb2.GetProgressResponse:
        progress = await self._intake.progress(request.ticket_id, request.token or None, bool(caller.get()))
        locale = next((each for each in LOCALES if each == request.locale), locale_of(request.locale))
        return progress_to_proto(progress, locale)

    def _checked(self, request: intake_pb2.SubmitComplaintRequest, name: str) -> Submission:
        wrong_key = check_key(request.idempotency_key or None, "idempotency_key")
        problems = [wrong_key] if wrong_key else []
        try:
            submission = check_grpc(fields_of(request), self._desk_for(name))
        except Invalid as error:
            raise Invalid([*error.problems, *problems]) from None
        if problems:
            raise Invalid(problems)
        return submission
