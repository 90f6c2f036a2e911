"""The first provider: the local outbox, over HTTP, in the way a real one's API is spoken to."""

import aiohttp

from common.errors import Refused, Unavailable
from services.notifier.model import Message

_TIMEOUT = aiohttp.ClientTimeout(total=3.0)
# Answers that say "not now" rather than "never".
_LATER = frozenset({408, 425, 429})


class OutboxProvider:
    """Takes every channel. Implements the port Provider."""

    def __init__(self, address: str) -> None:
        self._url = f"http://{address}/messages"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "OutboxProvider":
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, message: Message) -> str:
        """The outbox's id. Raises Refused for a 4xx, Unavailable for anything that may pass."""
        if self._session is None:
            raise Unavailable("not connected")
        body = {
            "idempotencyKey": message.key,
            "ticket": message.ticket,
            "recipient": message.recipient,
            "channel": message.channel.value,
            "event": message.event.value,
            "locale": message.locale,
            "text": message.text,
        }
        try:
            async with self._session.post(self._url, json=body) as answer:
                if answer.status in (200, 201):
                    return str((await answer.json())["id"])
                if 400 <= answer.status < 500 and answer.status not in _LATER:
                    raise Refused(f"status {answer.status}")
                raise Unavailable(f"status {answer.status}")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError) as error:
            raise Unavailable(type(error).__name__) from error
