"""What compensation reads, each topic in a group of its own."""

from collections.abc import Sequence

from common.consumer import BatchConsumer
from common.errors import Poison
from common.events import Incoming
from common.publisher import Publisher
from gen.pingxi.v1.compensation_pb2 import CompensationRequested, CompensationWithdrawn
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from services.sla.compensation.ledger import Ledger
from services.sla.compensation.receipts import Receipts
from services.sla.compensation.wire import RECEIPTS, REQUESTS, request_message, requests_of_ticket
from services.sla.settings import SlaSettings


class TicketRequests:
    """Asks for what a resolution or a rating is worth: tickets.v1 → compensation-requests."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def handle(self, messages: Sequence[Incoming]) -> None:
        """One request for each event that asks for one. Raises Unavailable, Poison."""
        requests = []
        for message in messages:
            if not isinstance(message.body, TicketEvent):
                raise Poison("unknown_type", message.type)
            request = requests_of_ticket(message.body)
            if request is not None:
                requests.append(request_message(request))
        await self._publisher.publish_all(requests)


def consumers(settings: SlaSettings, publisher: Publisher, ledger: Ledger, receipts: Receipts) -> list[BatchConsumer]:
    """Requests, receipts of the loyalty system, and what tickets ask for."""
    return [
        BatchConsumer(
            settings.kafka,
            service="sla",
            group=f"{settings.sla_group}-compensation",
            topics=[REQUESTS],
            kinds=[CompensationRequested, CompensationWithdrawn],
            handle=ledger.handle,
            publisher=publisher,
            topic_prefix=settings.topic_prefix,
        ),
        BatchConsumer(
            settings.kafka,
            service="sla",
            group=f"{settings.sla_group}-receipts",
            topics=["voucher-receipts.v1"],
            kinds=list(RECEIPTS),
            handle=receipts.handle,
            publisher=publisher,
            topic_prefix=settings.topic_prefix,
        ),
        BatchConsumer(
            settings.kafka,
            service="sla",
            group=f"{settings.sla_group}-ticket-requests",
            topics=["tickets.v1"],
            kinds=[TicketEvent],
            handle=TicketRequests(publisher).handle,
            publisher=publisher,
            topic_prefix=settings.topic_prefix,
        ),
    ]
