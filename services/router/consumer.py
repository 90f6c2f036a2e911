"""The two Kafka loops: complaints open and feed tickets; what other services did becomes history."""

from collections.abc import Awaitable, Callable, Sequence

from common import metrics
from common.consumer import BatchConsumer
from common.events import Incoming
from common.publisher import Publisher
from services.router.arrivals import COMPLAINT_KINDS, HISTORY_KINDS, arrival
from services.router.commands import Arrival, ReceiveRating, Told
from services.router.settings import RouterSettings

Take = Callable[[Sequence[Arrival]], Awaitable[None]]


def _reading(take: Take) -> Callable[[Sequence[Incoming]], Awaitable[None]]:
    async def handle(messages: Sequence[Incoming]) -> None:
        arrivals = [found for message in messages if (found := arrival(message)) is not None]
        await take(arrivals)
        for each in arrivals:
            if isinstance(each, Told) and isinstance(each.command, ReceiveRating):
                metrics.satisfaction_score.observe(each.command.score)

    return handle


def complaints(settings: RouterSettings, publisher: Publisher, take: Take) -> BatchConsumer:
    """complaints.v1, group "router"."""
    return BatchConsumer(
        settings.kafka,
        service="router",
        group="router",
        topics=["complaints.v1"],
        kinds=COMPLAINT_KINDS,
        handle=_reading(take),
        publisher=publisher,
        topic_prefix=settings.topic_prefix,
    )


def history(settings: RouterSettings, publisher: Publisher, take: Take) -> BatchConsumer:
    """escalations.v1, sla-events.v1 and vouchers.v1, group "router-history": never in the way of complaints."""
    return BatchConsumer(
        settings.kafka,
        service="router",
        group="router-history",
        topics=["escalations.v1", "sla-events.v1", "vouchers.v1"],
        kinds=HISTORY_KINDS,
        handle=_reading(take),
        publisher=publisher,
        topic_prefix=settings.topic_prefix,
    )
