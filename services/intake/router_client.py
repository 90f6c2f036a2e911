"""What the router knows of a ticket, over gRPC."""

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import grpc
from google.protobuf.message import Message

from common.contact import known_contact
from common.errors import FieldProblem, Invalid, NotFound, Unavailable
from common.tracing import child_traceparent
from gen.pingxi.v1 import common_pb2
from gen.pingxi.v1.ticket_service_pb2 import (
    GetTicketRequest,
    ListTicketsRequest,
    SearchTicketsRequest,
    Ticket,
    TicketFilter,
    WatchTicketsRequest,
)
from gen.pingxi.v1.ticket_service_pb2_grpc import TicketServiceStub
from services.intake.model import CustomerPage, Progress
from services.intake.wire import listed_from_proto, ticket_to_progress

log = logging.getLogger(__name__)

# A ticket merged into a merged one into …
_HOPS = 5
_ENDED = (common_pb2.STATUS_RESOLVED, common_pb2.STATUS_CLOSED)

_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    # The default waits up to two minutes to connect again: progress would say "received" for as long.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.max_receive_message_length", 8 * 1024 * 1024),
]


class RouterTickets:
    """Asks the router within `deadline` seconds; keeps `Tickets` and `Changes` of ports. Made inside the loop."""

    def __init__(self, address: str, service_token: str, deadline: float = 1.0) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._stub = TicketServiceStub(self._channel)
        self._authorization = f"Bearer {service_token}"
        self._deadline = deadline

    async def progress(self, ticket_id: str) -> Progress | None:
        """What the customer of this ticket may see. A merged ticket leads to its survivor (mechanisms.md, "Threading"),
        where that is the same customer's."""
        ticket = await self._ticket(ticket_id)
        for _ in range(_HOPS):
            if ticket is None or not ticket.snapshot.merged_into:
                break
            survivor = await self._ticket(ticket.snapshot.merged_into)
            if survivor is None or survivor.snapshot.customer_ref != ticket.snapshot.customer_ref:
                break
            ticket = survivor
        return None if ticket is None else replace(ticket_to_progress(ticket), ticket_id=ticket_id)

    async def of(self, contact: str, ticket_id: str = "") -> Progress | None:
        """Keeps `services.intake.ports.CustomerTickets`."""
        if not ticket_id:
            listed = await self._search(contact)
            ticket_id = next((t.id for t in listed if t.snapshot.status not in _ENDED), listed[0].id if listed else "")
        ticket = await self._ticket(ticket_id) if ticket_id else None
        if ticket is None or known_contact(ticket.contact) != known_contact(contact):
            return None
        return await self.progress(ticket.id)

    async def _search(self, contact: str) -> list[Ticket]:
        """His tickets, the newest first, without those that were only led on."""
        request = SearchTicketsRequest(query=contact, page_size=20)
        answer = await self._ask(self._stub.SearchTickets, request)
        return [ticket for ticket in answer.tickets if not ticket.snapshot.merged_into]

    async def of_customer(self, brand: str, customer_id: str, page_size: int, page_token: str) -> CustomerPage:
        """The customer's complaints, the newest first, those he sent by any channel under his id."""
        request = ListTicketsRequest(
            filter=TicketFilter(brands=[brand], customer_id=customer_id),
            order_by="-acknowledged_at",
            page_size=page_size,
            page_token=page_token,
        )
        answer = await self._ask(self._stub.ListTickets, request)
        return CustomerPage(tuple(map(listed_from_proto, answer.tickets)), answer.next_page_token)

    async def changes(self) -> AsyncIterator[str]:
        """The ids of tickets as they change; first "", once nothing is missed any more. Raises Unavailable."""
        call = self._stub.WatchTickets(WatchTicketsRequest(), metadata=self._metadata())
        try:
            # Also where the call has failed there is initial metadata: this raises then.
            await call.wait_for_connection()
            yield ""
            async for answer in call:
                yield answer.event.ticket_id
        except grpc.aio.AioRpcError as error:
            raise Unavailable("the router doesn't tell") from error
        finally:
            call.cancel()
        raise Unavailable("the router doesn't tell any more")

    async def _ticket(self, ticket_id: str) -> Ticket | None:
        try:
            answer = await self._ask(self._stub.GetTicket, GetTicketRequest(ticket_id=ticket_id))
        except NotFound:
            return None
        found: Ticket = answer.ticket
        return found

    async def _ask(self, call: Any, request: Message) -> Any:
        """Raises NotFound; Invalid, where only the page's token can be wrong; Unavailable."""
        try:
            return await call(request, timeout=self._deadline, metadata=self._metadata())
        except grpc.aio.AioRpcError as error:
            code = error.code()
            if code is grpc.StatusCode.NOT_FOUND:
                raise NotFound("the router doesn't know it") from error
            if code is grpc.StatusCode.INVALID_ARGUMENT:
                raise Invalid([FieldProblem("pageToken", "isn't one of this list")]) from error
            if code not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                log.error("the router refused", extra={"reason": code.name})
            raise Unavailable("the router doesn't answer") from error

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", self._authorization), ("traceparent", child_traceparent()))

    async def close(self) -> None:
        """Disconnects."""
        await cast(Any, self._channel).close()
