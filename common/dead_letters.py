"""Where messages go that can't be processed: the original bytes with reason and origin; their partition goes on."""

import asyncio
import logging
from collections.abc import Sequence

from common import metrics
from common.errors import Poison, Unavailable
from common.publisher import Publisher

log = logging.getLogger(__name__)


class DeadLetters:
    """Buries messages of one service."""

    def __init__(self, publisher: Publisher, service: str) -> None:
        self._publisher = publisher
        self._service = service

    async def bury(
        self,
        error: Exception,
        *,
        topic: str,
        partition: int,
        offset: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
    ) -> None:
        """Returns once the broker has the dead letter; tries for as long as that takes."""
        reason = error.reason if isinstance(error, Poison) else getattr(error, "code", "unexpected")
        # Types and codes only: the text of other errors may quote the message.
        detail = str(error) if isinstance(error, Poison) else type(error).__name__
        marked = [
            *headers,
            ("topic", topic.encode()),
            ("partition", str(partition).encode()),
            ("offset", str(offset).encode()),
            ("service", self._service.encode()),
            ("reason", reason.encode()),
            ("error", detail.encode()),
        ]
        delay = 0.1
        while True:
            try:
                await self._publisher.publish_raw("dead-letters.v1", key, value, marked)
                break
            except Unavailable:
                await asyncio.sleep(delay)
                delay = min(delay * 2, 2.0)
        metrics.dead_letters.labels(self._service, reason).inc()
        facts = {"topic": topic, "partition": partition, "offset": offset, "reason": reason}
        log.error("dead letter", extra=facts)
