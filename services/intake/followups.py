"""What customers say after their complaint: messages and ratings. Answered only once they are in the log."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Literal

from common.clock import Clock
from common.errors import NotFound, Refused, Unavailable
from common.ids import deterministic_id
from services.intake.access import admitted
from services.intake.model import CHANNELS, Channel, CustomerMessage, MessageReceipt, Progress, Rating, RatingReceipt
from services.intake.once import Once
from services.intake.policy import SYSTEM
from services.intake.ports import FollowUpLog, Limits, Tickets

# Who holds the token and no channel's key: keys of his are apart from any channel's.
HOLDER = "holder"


class FollowUps:
    """Takes messages and ratings; one per process.

    Both calls need the ticket's token or a `caller` (a credential's name, "" for none), and raise Unauthenticated,
    NotFound, Conflict (another content under the key), RateLimited, and Unavailable where the log's answer is unknown:
    a retry with the key says the same thing again, and the router drops it.
    """

    def __init__(
        self,
        log: FollowUpLog,
        tickets: Tickets,
        is_known: Callable[[str], bool],
        clock: Clock,
        secret: bytes,
        random_bits: Callable[[], int],
        limits: Limits | None = None,
    ) -> None:
        self._log = log
        self._tickets = tickets
        self._is_known = is_known
        self._clock = clock
        self._secret = secret
        self._random_bits = random_bits
        self._limits = limits
        self._messages: Once[MessageReceipt] = Once(clock, "message")
        self._ratings: Once[RatingReceipt] = Once(clock, "rating")

    async def add_message(
        self, ticket_id: str, token: str | None, caller: str, key: str | None, text: str, images: tuple[str, ...]
    ) -> MessageReceipt:
        """Adds to the complaint; the router finds where it belongs by now.

        Raises Refused("too_many_messages") where the router says that the complaint takes in no more. Where the router
        doesn't answer the message is taken: the router opens a linked ticket for one too many.
        """
        canonical, channel = await self._admitted(ticket_id, token, caller)
        message_id = self._id("message", canonical, caller, key)

        async def act(tried_at: datetime) -> MessageReceipt:
            message = CustomerMessage(message_id, canonical, channel, text, images, tried_at)
            progress = await self._progress(canonical)
            # What has been taken already stays taken, however many came after it.
            if progress is not None and progress.full and message_id not in progress.messages:
                raise Refused("the complaint takes in no more messages: send a new one", "too_many_messages")
            await self._log.append_message(message)
            return MessageReceipt(message_id, tried_at)

        sent = self._fingerprint(text, *images)
        return await self._messages.do(message_id, sent, act, lambda: self._count(canonical, caller))

    async def rate(
        self, ticket_id: str, token: str | None, caller: str, key: str | None, score: int, resolved: bool, comment: str
    ) -> RatingReceipt:
        """Rates the result. Raises Refused("cannot_rate") where the router says that there is none to rate.

        Where the router doesn't answer the rating is taken: the router judges it later.
        """
        canonical, _ = await self._admitted(ticket_id, token, caller)
        rating_id = self._id("rating", canonical, caller, key)

        async def act(tried_at: datetime) -> RatingReceipt:
            rating = Rating(rating_id, canonical, score, resolved, comment, tried_at)
            progress = await self._progress(canonical)
            # A rating that has been taken already stays taken, though it may have opened the ticket again.
            if progress is not None and not progress.can_rate and rating_id not in progress.ratings:
                raise Refused("there is no result to rate (yet)", "cannot_rate")
            await self._log.append_rating(rating)
            return RatingReceipt(rating_id, tried_at, rating.unhappy)

        sent = self._fingerprint(str(score), str(resolved), comment)
        return await self._ratings.do(rating_id, sent, act, lambda: self._count(canonical, caller))

    async def drain(self) -> None:
        """Waits for what is under way; each send has its own time limit."""
        await self._messages.drain()
        await self._ratings.drain()

    async def _admitted(self, ticket_id: str, token: str | None, caller: str) -> tuple[str, Channel | Literal[""]]:
        """The number, and the channel the caller speaks for.

        A token proves that the complaint was acknowledged; a channel's word on a number is looked up where that can
        be done, or its message would lie with the dead letters.
        """
        canonical, facts = admitted(self._secret, ticket_id, token, bool(caller))
        if facts is None and not self._is_known(canonical):
            try:
                known = await self._tickets.progress(canonical) is not None
            except Unavailable:
                known = True
            if not known:
                raise NotFound("no such complaint, or it isn't known here yet")
        return canonical, _channel(caller)

    async def _progress(self, ticket_id: str) -> Progress | None:
        try:
            return await self._tickets.progress(ticket_id)
        except Unavailable:
            return None

    def _id(self, kind: str, ticket_id: str, caller: str, key: str | None) -> str:
        if key is None:
            return deterministic_id(kind, ticket_id, "random", self._random_bits())
        return deterministic_id(kind, ticket_id, caller or HOLDER, key)

    def _fingerprint(self, *parts: str) -> str:
        """Keyed, because it covers what was written."""
        sent = deterministic_id("follow-up", *parts)
        return hmac.digest(self._secret, sent.encode(), hashlib.sha256).hex()[:32]

    def _count(self, ticket_id: str, caller: str) -> None:
        if self._limits is not None and caller != SYSTEM:
            self._limits.customer(f"ticket/{ticket_id}")


def _channel(caller: str) -> Channel | Literal[""]:
    return next((channel for channel in CHANNELS if channel == caller), "")
