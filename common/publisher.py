"""Publishing with acknowledgement: a message counts as sent when every in-sync replica has it."""

import asyncio
import logging
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

from common.errors import Unavailable
from common.events import Outgoing, encode

log = logging.getLogger(__name__)


class Publisher:
    """An idempotent producer. A send that timed out is *unknown*, never failed: it may still arrive."""

    def __init__(self, bootstrap: str, source: str, *, topic_prefix: str = "", timeout: float = 5.0) -> None:
        self._bootstrap = bootstrap
        self._source = source
        self._prefix = topic_prefix
        self._timeout = timeout
        self._producer: AIOKafkaProducer | None = None
        self._starting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connects in the background and keeps trying: a service may start before its broker."""
        self._starting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        delay = 0.1
        while True:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                client_id=f"pingxi-{self._source}",
                acks="all",
                enable_idempotence=True,
                linger_ms=2,
                max_batch_size=256 * 1024,
                max_request_size=8 * 1024 * 1024,
                request_timeout_ms=30_000,
                retry_backoff_ms=100,
                metadata_max_age_ms=60_000,
            )
            try:
                await producer.start()
            except (KafkaError, OSError) as error:
                await producer.stop()
                log.warning("Kafka doesn't answer", extra={"reason": type(error).__name__})
                await asyncio.sleep(delay)
                delay = min(delay * 2, 1.0)
            except asyncio.CancelledError:
                await producer.stop()
                raise
            else:
                self._producer = producer
                return

    @property
    def ready(self) -> bool:
        """Whether the producer has connected once."""
        return self._producer is not None

    async def stop(self) -> None:
        """Sends what is buffered and disconnects; what the broker doesn't take within 3 s is given up (its callers
        were already told that the outcome is unknown)."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._producer is not None:
            try:
                await asyncio.wait_for(self._producer.stop(), 3.0)
            except TimeoutError:
                log.warning("messages left unsent at stop")

    async def publish(self, message: Outgoing, timeout: float | None = None) -> RecordMetadata:
        """Returns once acknowledged. Raises Unavailable where that is unknown after `timeout` seconds."""
        return (await self.publish_all([message], timeout))[0]

    async def publish_all(self, messages: Sequence[Outgoing], timeout: float | None = None) -> list[RecordMetadata]:
        """As `publish` for many, awaited together; messages of one key keep their order."""
        if not messages:
            return []
        try:
            return await asyncio.wait_for(self._send(messages), timeout or self._timeout)
        except TimeoutError as error:
            raise Unavailable("the message log didn't acknowledge in time") from error
        except (KafkaError, OSError) as error:
            raise Unavailable(f"the message log refused: {type(error).__name__}") from error

    async def _send(self, messages: Sequence[Outgoing]) -> list[RecordMetadata]:
        if self._producer is None:
            if self._starting is None:
                raise Unavailable("the publisher isn't started")
            await asyncio.shield(self._starting)
        futures = []
        for message in messages:
            key, value, headers = encode(message, self._source)
            futures.append(await self._enqueue(message, key, value, headers))
        return list(await asyncio.gather(*futures))

    async def publish_raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
    ) -> None:
        """Publishes bytes as they are: for dead letters. Raises Unavailable."""
        if self._producer is None:
            raise Unavailable("the publisher isn't connected")
        try:
            future = self._producer.send_and_wait(self._prefix + topic, value=value, key=key, headers=headers)
            await asyncio.wait_for(future, self._timeout)
        except TimeoutError as error:
            raise Unavailable("the message log didn't acknowledge in time") from error
        except (KafkaError, OSError) as error:
            raise Unavailable(f"the message log refused: {type(error).__name__}") from error

    async def _enqueue(
        self, message: Outgoing, key: bytes, value: bytes, headers: list[tuple[str, bytes]]
    ) -> "asyncio.Future[RecordMetadata]":
        assert self._producer is not None
        sent: asyncio.Future[RecordMetadata] = await self._producer.send(
            self._prefix + message.topic,
            value=value,
            key=key,
            headers=headers,
            partition=message.partition,
            timestamp_ms=int(message.time.timestamp() * 1000),
        )
        return sent
