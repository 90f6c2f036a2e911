"""The Kafka loops: complaints open and feed tickets; what others did becomes history; what is armed is noted."""

from collections.abc import Awaitable, Callable, Sequence

from common import metrics
from common.consumer import BatchConsumer
from common.events import Incoming
from common.publisher import Publisher
from services.router.arrivals import ARMED_KINDS, COMPLAINT_KINDS, HISTORY_KINDS, armed, arrival, attached, compensated
from services.router.commands import Arrival, ReceiveRating, Told
from services.router.ports import Tickets
from services.router.settings import RouterSettings

Take = Callable[[Sequence[Arrival]], Awaitable[None]]


def _of(message: Incoming) -> list[Arrival]:
    """What a message says about tickets: an incident speaks of many, a row of the ledger of all its changes."""
    if message.topic == "surges.v1":
        return attached(message)
    if message.topic == "ledger.v1":
        return compensated(message)
    found = arrival(message)
    return [] if found is None else [found]


def _reading(take: Take) -> Callable[[Sequence[Incoming]], Awaitable[None]]:
    async def handle(messages: Sequence[Incoming]) -> None:
        arrivals = [each for message in messages for each in _of(message)]
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
    """What others did for a ticket, group "router-history": never in the way of complaints."""
    return BatchConsumer(
        settings.kafka,
        service="router",
        group="router-history",
        topics=["escalations.v1", "sla-events.v1", "vouchers.v1", "ledger.v1", "remedy-receipts.v1", "surges.v1"],
        kinds=HISTORY_KINDS,
        handle=_reading(take),
        publisher=publisher,
        topic_prefix=settings.topic_prefix,
    )


def armed_clocks(settings: RouterSettings, publisher: Publisher, tickets: Tickets) -> BatchConsumer:
    """sla-events.v1 once more, group "router-armed": which tickets the watchdog knows."""

    async def handle(messages: Sequence[Incoming]) -> None:
        found: dict[str, int] = {}
        for message in messages:
            ticket_id, version = armed(message)
            found[ticket_id] = max(version, found.get(ticket_id, 0))
        await tickets.heard(found)

    return BatchConsumer(
        settings.kafka,
        service="router",
        group="router-armed",
        topics=["sla-events.v1"],
        kinds=ARMED_KINDS,
        handle=handle,
        publisher=publisher,
        topic_prefix=settings.topic_prefix,
    )
