"""Keeps the facts of orders: a consumer of orders.v1 of its own, beside the watchdog."""

from collections.abc import Awaitable, Callable, Sequence

from common.consumer import BatchConsumer
from common.errors import Poison
from common.events import Incoming
from common.publisher import Publisher
from gen.pingxi.v1 import order_pb2 as pb
from services.sla.order_facts import OrderFacts
from services.sla.order_wire import ORDER_KINDS, facts_of
from services.sla.settings import SlaSettings
from services.sla.store_orders import OrderStore

# Told of orders that have just become known: what was held for want of them goes on.
Learnt = Callable[[Sequence[OrderFacts]], Awaitable[None]]


class OrdersProjection:
    """Writes facts, then says which orders are new."""

    def __init__(self, store: OrderStore, learnt: Learnt) -> None:
        self._store = store
        self._learnt = learnt

    async def handle(self, messages: Sequence[Incoming]) -> None:
        """Folds a batch of orders.v1 in. Raises Unavailable, Poison."""
        events = []
        for message in messages:
            body = message.body
            if not isinstance(
                body, pb.OrderPlaced | pb.OrderPickedUp | pb.EtaChanged | pb.OrderDelivered | pb.OrderCancelled
            ):
                raise Poison("unknown_type", message.type)
            events.append(facts_of(body))
        # A repeat of an order's first event may mean that we died before saying so: said again, it does no harm.
        await self._store.put(events)
        await self._learnt(events)


def orders_consumer(settings: SlaSettings, publisher: Publisher, projection: OrdersProjection) -> BatchConsumer:
    """Follows orders.v1 as the group's `-orders`."""
    return BatchConsumer(
        settings.kafka,
        service="sla",
        group=f"{settings.sla_group}-orders",
        topics=["orders.v1"],
        kinds=ORDER_KINDS,
        handle=projection.handle,
        publisher=publisher,
        topic_prefix=settings.topic_prefix,
    )
