"""MongoDB of the sla service: the connection, and the copy of the clocks.

The ledger is `compensation/store.py`, orders are `store_orders.py`.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC
from typing import Any

import pymongo
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ASCENDING, ReplaceOne, WriteConcern
from pymongo.errors import CollectionInvalid, PyMongoError

from common.errors import Unavailable


class Database:
    """The connection the stores share."""

    def __init__(self, uri: str) -> None:
        self._client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
            uri,
            serverSelectionTimeoutMS=2000,
            connectTimeoutMS=2000,
            socketTimeoutMS=10_000,
            tz_aware=True,
            tzinfo=UTC,
        )
        self._database = self._client.get_default_database("pingxi")
        self.start_session = self._client.start_session

    def collection(self, name: str) -> Any:
        """A collection whose writes count once a majority has them on disk."""
        return self._database.get_collection(name, write_concern=WriteConcern(w="majority", j=True))

    async def prepare(self) -> None:
        """Creates collections and indexes; to be awaited before the first write. Raises Unavailable.

        The embedded database locks up when a collection's first upsert meets the creation of its indexes.
        """
        ledger = self.collection("ledger")
        try:
            for name in ("budgets", "claims", "order_payments", "ledger_meta", "clocks"):
                with suppress(CollectionInvalid):
                    await self._database.create_collection(name)
            await ledger.create_index([("state", ASCENDING), ("settle_at", ASCENDING)])
            await ledger.create_index([("ticket_id", ASCENDING)])
            await ledger.create_index([("order_id", ASCENDING)])
            await ledger.create_index([("request_id", ASCENDING)])
            await ledger.create_index([("brand", ASCENDING), ("issued_at", ASCENDING)])
            await ledger.create_index([("brand", ASCENDING), ("proposed_at", ASCENDING)])
            await ledger.create_index([("unpublished", ASCENDING)], partialFilterExpression={"unpublished": True})
            await self.collection("orders").create_index([("linked", ASCENDING), ("occurred_at", ASCENDING)])
            await self.collection("orders").create_index([("forget_at", ASCENDING)], expireAfterSeconds=0)
        except PyMongoError as error:
            raise Unavailable("MongoDB doesn't answer") from error

    async def ping(self) -> None:
        """Raises Unavailable."""
        try:
            await self._client.admin.command("ping")
        except PyMongoError as error:
            raise Unavailable("MongoDB doesn't answer") from error

    async def close(self) -> None:
        """Disconnects. The driver says goodbye to the database and waits: bounded, and not on the loop's time."""
        with pymongo.timeout(1.0):
            await asyncio.to_thread(self._client.close)


class ClockStore:
    """Ticket id → bytes of its row."""

    def __init__(self, database: Database) -> None:
        self._clocks = database.collection("clocks")

    async def put(self, rows: Sequence[tuple[str, bytes, int]]) -> None:
        """Writes (ticket, row, offset in the changelog); a repeat writes the same again. Raises Unavailable."""
        try:
            await self._clocks.bulk_write(
                [
                    ReplaceOne({"_id": ticket}, {"row": value, "offset": offset}, upsert=True)
                    for ticket, value, offset in rows
                ],
                ordered=False,
            )
        except PyMongoError as error:
            raise Unavailable("the clocks can't be written") from error

    async def get(self, ticket_id: str) -> bytes | None:
        """None for an unknown ticket. Raises Unavailable."""
        try:
            document = await self._clocks.find_one({"_id": ticket_id}, {"row": 1})
        except PyMongoError as error:
            raise Unavailable("the clocks can't be read") from error
        return bytes(document["row"]) if document else None
