"""Claims and deliveries in MongoDB: the only Mongo code of the notifier. Kept for 90 days, without personal data."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import UpdateOne, WriteConcern
from pymongo.errors import BulkWriteError, NetworkTimeout, PyMongoError

from common.clock import Clock
from common.coalesce import Coalescer
from common.errors import Unavailable
from services.notifier.model import Delivery, Notification, State
from services.notifier.policy import masked

_KEPT_SECONDS = 90 * 86_400
# Seconds. A staff message waits no longer than the first for a database that may be away.
_PATIENCE = 1.0
_LONG_PATIENCE = 5.0
# After a failure the next callers aren't made to wait, too: a hundred escalations would take a hundred seconds.
_PAUSE = 1.0
# Records in one write: a busy database must be able to take it within the long patience.
_AT_ONCE = 50
_DUPLICATE = 11000
T = TypeVar("T")


class MongoClaims:
    """One document a notification, `_id` its id. Implements the port Claims."""

    def __init__(self, uri: str, clock: Clock) -> None:
        self._client: Any = AsyncIOMotorClient(
            uri,
            tz_aware=True,
            serverSelectionTimeoutMS=int(_PATIENCE * 1000),
            connectTimeoutMS=int(_PATIENCE * 1000),
            socketTimeoutMS=5_000,
        )
        concern = WriteConcern(w="majority", j=True)
        self._rows = self._client.get_default_database("pingxi").get_collection("deliveries", write_concern=concern)
        self._clock = clock
        # Nobody answered; or only not soon enough for those who can't wait.
        self._away_until = self._slow_until = 0.0
        self._preparing = asyncio.Lock()
        self._prepared = False
        # Every write waits for the disk: those of many messages wait once.
        self._claiming = Coalescer(self._claim_all, _AT_ONCE)
        self._recording = Coalescer(self._record_all, _AT_ONCE)

    async def prepare(self, patience: float = _LONG_PATIENCE) -> None:
        """Makes collection and indexes, once, within so many seconds. Raises Unavailable.

        Always before the first write: SecantusDB 0.7 locks up for good when a collection's first upsert comes while
        another connection creates the same collection by creating its index.
        """
        if not self._prepared:
            await self._soon(self._make, patience)

    async def _make(self) -> None:
        async with self._preparing:
            if not self._prepared:
                await self._rows.create_index([("ticket", 1), ("_id", 1)])
                await self._rows.create_index("at", expireAfterSeconds=_KEPT_SECONDS)
                self._prepared = True

    async def ping(self) -> None:
        """Raises Unavailable where the database doesn't answer."""
        await self._soon(lambda: self._client.admin.command("ping"))
        await self.prepare()

    async def claim(self, notification: Notification, now: datetime) -> State:
        """Notes the message unless it is known; gives its state."""
        patience = _LONG_PATIENCE if notification.personal else _PATIENCE
        await self.prepare(patience)
        row = {
            "ticket": notification.ticket_id,
            "brand": notification.brand,
            "event": notification.event.value,
            "recipient": masked(notification.recipient),
            "channel": "",
            "state": State.CLAIMED.value,
            "why": "",
            "provider_id": "",
            "at": now,
        }
        return await self._soon(lambda: self._claiming({"_id": notification.id, **row}), patience)

    async def _claim_all(self, rows: Sequence[dict[str, Any]]) -> list[State]:
        # Not find_one_and_update: for that SecantusDB 0.7 reads the whole collection.
        try:
            await self._rows.insert_many(rows, ordered=False)
            return [State.CLAIMED] * len(rows)
        except BulkWriteError as error:
            failures = (error.details or {}).get("writeErrors", [])
            if not failures or any(failure["code"] != _DUPLICATE for failure in failures):
                raise
        known = {row["_id"]: row["state"] async for row in self._rows.find({"_id": {"$in": [r["_id"] for r in rows]}})}
        return [State(known.get(row["_id"], State.CLAIMED)) for row in rows]

    async def record(self, deliveries: Sequence[Delivery]) -> None:
        """Keeps what became of messages."""
        # One is recorded in the path of sending; many are the catching up that nobody waits for.
        patience = _PATIENCE if len(deliveries) == 1 else _LONG_PATIENCE
        await self.prepare(patience)
        for start in range(0, len(deliveries), _AT_ONCE):
            few = deliveries[start : start + _AT_ONCE]
            await self._soon(lambda few=few: asyncio.gather(*map(self._recording, few)), patience)  # type: ignore[misc]

    async def _record_all(self, deliveries: Sequence[Delivery]) -> list[None]:
        writes = [
            UpdateOne(
                {"_id": delivery.id},
                {
                    "$set": {
                        "ticket": delivery.ticket_id,
                        "brand": delivery.brand,
                        "event": delivery.event,
                        "recipient": delivery.recipient,
                        "channel": delivery.channel,
                        "state": delivery.state.value,
                        "why": delivery.why,
                        "provider_id": delivery.provider_id,
                        "at": delivery.at,
                    }
                },
                upsert=True,
            )
            for delivery in deliveries
        ]
        await self._rows.bulk_write(writes, ordered=False)
        return [None] * len(deliveries)

    async def of_ticket(self, ticket_id: str, after: str, limit: int) -> list[Delivery]:
        """A ticket's messages by id, those after the id `after`."""
        cursor = self._rows.find({"ticket": ticket_id, "_id": {"$gt": after}}).sort("_id", 1).limit(limit)
        rows: list[dict[str, Any]] = await self._soon(lambda: cursor.to_list(limit))
        return [
            Delivery(
                id=row["_id"],
                ticket_id=row["ticket"],
                brand=row["brand"],
                event=row["event"],
                channel=row["channel"],
                recipient=row["recipient"],
                state=State(row["state"]),
                at=row["at"].astimezone(UTC),
                why=row["why"],
                provider_id=row["provider_id"],
            )
            for row in rows
        ]

    def close(self) -> None:
        """Disconnects."""
        self._client.close()

    async def _soon(self, call: Callable[[], Awaitable[T]], patience: float = _PATIENCE) -> T:
        # A database that is only slow must not be taken for one that is away by who can wait: with each timeout of the
        # hurried holding up the patient, a busy machine would never get anything done again.
        hurried = self._slow_until if patience <= _PATIENCE else 0.0
        if self._clock.monotonic() < max(self._away_until, hurried):
            raise Unavailable("the database was away a moment ago")
        try:
            return await asyncio.wait_for(call(), patience)
        except (TimeoutError, NetworkTimeout) as error:
            self._slow_until = self._clock.monotonic() + _PAUSE
            raise Unavailable(f"the database doesn't answer: {type(error).__name__}") from error
        except PyMongoError as error:
            self._away_until = self._clock.monotonic() + _PAUSE
            raise Unavailable(f"the database doesn't answer: {type(error).__name__}") from error
