"""Opens the ticket of an order that is far too late: through intake like everybody else, under a key of its own."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import grpc

from common.consumer import BatchConsumer
from common.errors import Poison, Unavailable
from common.events import Incoming
from common.publisher import Publisher
from common.tracing import child_traceparent
from common.words import to_duration
from gen.pingxi.v1.intake_pb2 import SubmitComplaintRequest
from gen.pingxi.v1.intake_pb2_grpc import IntakeServiceStub
from gen.pingxi.v1.order_event_pb2 import OrderFarTooLate
from rules.model import PolicySet
from services.sla.orders.opening import LateOrder, locale_of, text_of
from services.sla.orders.wire import TOPIC, late_order_of
from services.sla.settings import SlaSettings

_DEADLINE = 5.0
_OPTIONS = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
# Answers that no repeat will change.
_FINAL = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION})
# "Above" the bound, for routing rules that ask for more than it; fixed, so that a repeat says the same.
_ABOVE = timedelta(seconds=1)


def complaint_of(order: LateOrder, policies: PolicySet | None) -> SubmitComplaintRequest:
    """What is submitted for an order; always the same, or its key would be refused as another complaint's."""
    locale = locale_of(policies)
    return SubmitComplaintRequest(
        type="delivery",
        description=text_of(order, locale),
        order_id=order.order_id,
        customer_id=order.customer_id,
        brand=order.brand,
        region=order.region,
        merchant_id=order.merchant_id,
        product_id=order.product_id,
        channel="system",
        locale=locale,
        idempotency_key=order.key,
        order_late=to_duration(order.late_over + _ABOVE),
    )


class TicketOpener:
    """One channel to intake, with the installation's service token."""

    def __init__(self, address: str, token: str, policies: Mapping[str, PolicySet]) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._stub = IntakeServiceStub(self._channel)
        self._token = token
        self._policies = policies

    async def handle(self, messages: Sequence[Incoming]) -> None:
        """Submits each. Raises Unavailable where intake can't answer now, Poison for what it will never take."""
        for message in messages:
            if isinstance(message.body, OrderFarTooLate):
                await self._submit(late_order_of(message.body))

    async def _submit(self, order: LateOrder) -> None:
        metadata = (("authorization", f"Bearer {self._token}"), ("traceparent", child_traceparent()))
        request = complaint_of(order, self._policies.get(order.brand))
        try:
            await self._stub.SubmitComplaint(request, timeout=_DEADLINE, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.ALREADY_EXISTS:
                # Told before in other words (the policy has changed since): the order has its ticket.
                return
            if error.code() in _FINAL:
                raise Poison("intake_refused", error.code().name) from error
            raise Unavailable(f"intake: {error.code().name}") from error

    async def close(self) -> None:
        """Disconnects."""
        await self._channel.close()


def opener_consumer(settings: SlaSettings, publisher: Publisher, opener: TicketOpener) -> BatchConsumer:
    """Follows order-events.v1 as the group's `-late-orders`."""
    return BatchConsumer(
        settings.kafka,
        service="sla",
        group=f"{settings.sla_group}-late-orders",
        topics=[TOPIC],
        kinds=[OrderFarTooLate],
        handle=opener.handle,
        publisher=publisher,
        topic_prefix=settings.topic_prefix,
    )
