"""Asks the router who the customer of a ticket is."""

import grpc

from common.errors import Unavailable
from common.tracing import child_traceparent
from gen.pingxi.v1.ticket_service_pb2 import GetTicketRequest
from gen.pingxi.v1.ticket_service_pb2_grpc import TicketServiceStub
from services.notifier.model import Person
from services.notifier.wire import person_of

_DEADLINE = 2.0
_OPTIONS = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", 8 * 1024 * 1024),
)


class RouterTickets:
    """One channel to the router. Implements the port Tickets."""

    def __init__(self, address: str, token: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._stub = TicketServiceStub(self._channel)
        self._token = token

    async def person(self, ticket_id: str) -> Person | None:
        """None where the router doesn't know the ticket. Raises Unavailable for every other failure."""
        metadata = (("authorization", f"Bearer {self._token}"), ("traceparent", child_traceparent()))
        try:
            answer = await self._stub.GetTicket(
                GetTicketRequest(ticket_id=ticket_id), timeout=_DEADLINE, metadata=metadata
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise Unavailable(f"router: {error.code().name}") from error
        return person_of(answer.ticket)

    async def close(self) -> None:
        """Disconnects."""
        await self._channel.close()
