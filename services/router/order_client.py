"""What the sla service knows of an order, over gRPC."""

import logging
from typing import Any, cast

import grpc

from common.clock import Clock
from common.tracing import child_traceparent
from common.words import from_timestamp
from gen.pingxi.v1.sla_service_pb2 import GetOrderRequest
from gen.pingxi.v1.sla_service_pb2_grpc import SlaServiceStub
from services.router.answering import OrderNews, OrderState

log = logging.getLogger(__name__)

_STATES: tuple[OrderState, ...] = ("placed", "picked_up", "delivered", "cancelled")
# Who didn't answer isn't waited for again at once: an answer to a customer is better general than late.
_REST_SECONDS = 5.0
_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]


class SlaOrders:
    """The `Orders` of ports.py. Made inside the loop."""

    def __init__(self, address: str, service_token: str, clock: Clock, deadline: float = 0.3) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._stub = SlaServiceStub(self._channel)
        self._authorization = f"Bearer {service_token}"
        self._clock = clock
        self._deadline = deadline
        self._rests_until = float("-inf")

    async def order(self, brand: str, order_id: str) -> OrderNews | None:
        """None also where the sla service doesn't answer within the deadline: then nothing is known."""
        if self._clock.monotonic() < self._rests_until:
            return None
        request = GetOrderRequest(brand=brand, order_id=order_id)
        metadata = (("authorization", self._authorization), ("traceparent", child_traceparent()))
        try:
            found = await self._stub.GetOrder(request, timeout=self._deadline, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                log.warning("nothing known of an order", extra={"reason": error.code().name})
                self._rests_until = self._clock.monotonic() + _REST_SECONDS
            return None
        state = next((each for each in _STATES if each == found.state), None)
        if state is None:
            return None
        return OrderNews(state, found.customer_id, from_timestamp(found.promised_at), from_timestamp(found.eta))

    async def close(self) -> None:
        """Disconnects."""
        await cast(Any, self._channel).close()
