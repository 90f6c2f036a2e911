"""Publishes what became of messages, and counts it."""

from common import metrics
from common.publisher import Publisher
from services.notifier.model import Delivery, State
from services.notifier.wire import outcome_of


class KafkaOutcomes:
    """To notifications.v1. Implements the port Outcomes."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def publish(self, delivery: Delivery) -> None:
        """Returns once acknowledged. Raises Unavailable."""
        await self._publisher.publish(outcome_of(delivery))
        outcome = State.DELIVERED.value if delivery.state is State.DELIVERED else delivery.why
        metrics.notifications.labels(delivery.channel or "none", outcome).inc()
