"""gRPC: `IntakeService`."""

from collections.abc import AsyncIterator
from typing import Any

from common import metrics
from common.clock import Clock
from common.errors import Invalid, PingxiError
from common.grpc_server import caller
from common.words import to_timestamp
from gen.pingxi.v1 import intake_pb2
from gen.pingxi.v1.intake_pb2_grpc import IntakeServiceServicer
from services.intake.endpoints import DeskFor
from services.intake.fields import check_key
from services.intake.followups import FollowUps
from services.intake.form import check_grpc
from services.intake.form_follow import check_message, check_rating
from services.intake.handlers import Intake
from services.intake.in_order import in_order
from services.intake.model import LOCALES, Receipt, Submission
from services.intake.policy import SYSTEM
from services.intake.ports import Limits
from services.intake.problems import code_of
from services.intake.texts import locale_of
from services.intake.wire import fields_of, progress_to_proto, receipt_to_proto

NAME = "pingxi.v1.IntakeService"
# Of one bulk import; more would only wait in memory.
BULK_UNDER_WAY = 64
# A customer has no channel key: his token is in the request.
OPEN_METHODS = frozenset(f"/{NAME}/{call}" for call in ("GetProgress", "AddMessage", "SubmitRating"))


class IntakeServer(IntakeServiceServicer):
    """The same handlers as HTTP, with the same checks; fields are named as in the proto."""

    def __init__(
        self, intake: Intake, desk_for: DeskFor, clock: Clock, follow_ups: FollowUps, limits: Limits | None = None
    ) -> None:
        self._intake = intake
        self._desk_for = desk_for
        self._clock = clock
        self._follow_ups = follow_ups
        self._limits = limits

    async def SubmitComplaint(
        self, request: intake_pb2.SubmitComplaintRequest, context: Any
    ) -> intake_pb2.SubmitComplaintResponse:
        return receipt_to_proto(await self._submit(request, caller.get()))

    async def SubmitComplaints(
        self, requests: AsyncIterator[intake_pb2.SubmitComplaintsRequest], context: Any
    ) -> AsyncIterator[intake_pb2.SubmitComplaintsResponse]:
        """One answer for each, in order, as soon as it is known; so many are under way at once."""
        name = caller.get()

        async def submit(request: intake_pb2.SubmitComplaintsRequest) -> intake_pb2.SubmitComplaintsResponse:
            try:
                return intake_pb2.SubmitComplaintsResponse(
                    accepted=receipt_to_proto(await self._submit(request.complaint, name))
                )
            except Invalid as error:
                listed = [intake_pb2.FieldError(field=each.field, message=each.message) for each in error.problems]
                return intake_pb2.SubmitComplaintsResponse(code=error.code, errors=listed)
            except PingxiError as error:
                return intake_pb2.SubmitComplaintsResponse(code=error.code)

        async for index, answer in in_order(requests, submit, BULK_UNDER_WAY):
            answer.index = index
            yield answer

    async def _submit(self, request: intake_pb2.SubmitComplaintRequest, name: str) -> Receipt:
        started = self._clock.monotonic()
        try:
            self._count(name)
            submission = self._checked(request, name)
            receipt = await self._intake.submit(submission, name, request.idempotency_key or None)
        except Exception as error:
            metrics.complaints_rejected.labels(name, code_of(error)).inc()
            raise
        metrics.complaints_accepted.labels(submission.channel, submission.brand).inc()
        metrics.intake_ack_seconds.observe(self._clock.monotonic() - started)
        return receipt

    async def GetProgress(self, request: intake_pb2.GetProgressRequest, context: Any) -> intake_pb2.GetProgressResponse:
        progress = await self._intake.progress(request.ticket_id, request.token or None, bool(caller.get()))
        locale = next((each for each in LOCALES if each == request.locale), locale_of(request.locale))
        return progress_to_proto(progress, locale)

    async def AddMessage(self, request: intake_pb2.AddMessageRequest, context: Any) -> intake_pb2.AddMessageResponse:
        name, key = caller.get(), request.idempotency_key or None
        self._count(name)
        fields = {"text": request.text, "images": list(request.images)}
        text, images = check_message(fields, key, "idempotency_key")
        receipt = await self._follow_ups.add_message(request.ticket_id, request.token or None, name, key, text, images)
        return intake_pb2.AddMessageResponse(
            message_id=receipt.message_id, received_at=to_timestamp(receipt.received_at)
        )

    async def SubmitRating(
        self, request: intake_pb2.SubmitRatingRequest, context: Any
    ) -> intake_pb2.SubmitRatingResponse:
        name, key = caller.get(), request.idempotency_key or None
        self._count(name)
        fields = {"score": request.score, "resolved": request.resolved, "comment": request.comment}
        score, resolved, comment = check_rating(fields, key, "idempotency_key")
        receipt = await self._follow_ups.rate(
            request.ticket_id, request.token or None, name, key, score, resolved, comment
        )
        return intake_pb2.SubmitRatingResponse(reopened=receipt.reopens)

    def _count(self, name: str) -> None:
        if self._limits is not None and name and name != SYSTEM:
            self._limits.channel(name)

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
