"""NotificationService over gRPC."""

from collections.abc import Mapping

from common.errors import FieldProblem, Invalid
from gen.pingxi.v1 import notification_pb2 as pb
from gen.pingxi.v1.notification_pb2_grpc import NotificationServiceServicer
from services.notifier.labels import LOCALES
from services.notifier.model import Event, Way
from services.notifier.policy import sms_segments
from services.notifier.ports import Claims, Writer
from services.notifier.wire import delivery_to_proto, preview_facts

_PAGE = 50
_LARGEST_PAGE = 200


class NotificationServer(NotificationServiceServicer):
    """Preview and ListDeliveries; Resend answers UNIMPLEMENTED."""

    def __init__(self, claims: Claims, writer: Writer) -> None:
        self._claims = claims
        self._writer = writer

    async def Preview(self, request: pb.PreviewRequest, context: object) -> pb.PreviewResponse:
        """A message as it would be sent, sample values where none are given. Raises Invalid."""
        problems = []
        if request.event not in set(Event):
            problems.append(FieldProblem("event", f"expected one of {', '.join(Event)}"))
        if request.channel and request.channel not in set(Way):
            problems.append(FieldProblem("channel", f"expected one of {', '.join(Way)}"))
        if request.locale and request.locale not in LOCALES:
            problems.append(FieldProblem("locale", f"expected one of {', '.join(LOCALES)}"))
        if problems:
            raise Invalid(problems)
        facts = preview_facts(request.snapshot) if request.HasField("snapshot") else {}
        given: Mapping[str, str] = request.values
        way = Way(request.channel) if request.channel else Way.SMS
        text = self._writer.preview(request.brand, Event(request.event), way, request.locale, facts, given)
        return pb.PreviewResponse(text=text, characters=len(text), sms_segments=sms_segments(text))

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, context: object) -> pb.ListDeliveriesResponse:
        """A ticket's messages, by id. Raises Invalid, Unavailable."""
        problems = []
        if not request.ticket_id:
            problems.append(FieldProblem("ticket_id", "expected a ticket's number"))
        if not 0 <= request.page_size <= _LARGEST_PAGE:
            problems.append(FieldProblem("page_size", f"expected 0 to {_LARGEST_PAGE}"))
        if problems:
            raise Invalid(problems)
        size = request.page_size or _PAGE
        rows = await self._claims.of_ticket(request.ticket_id, request.page_token, size + 1)
        return pb.ListDeliveriesResponse(
            deliveries=[delivery_to_proto(row) for row in rows[:size]],
            next_page_token=rows[size - 1].id if len(rows) > size else "",
        )

    async def Resend(self, request: pb.ResendRequest, context: object) -> pb.ResendResponse:
        """Not served yet."""
        raise NotImplementedError
