"""The only MongoDB code of the sla service: the compensation ledger with its budgets, and the copy of the clocks."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal

import pymongo
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ASCENDING, ReplaceOne, ReturnDocument, WriteConcern
from pymongo.errors import CollectionInvalid, DuplicateKeyError, OperationFailure, PyMongoError

from common.errors import Unavailable
from services.sla.compensation import LedgerRow

Reservation = Literal["reserved", "no_budget", "gone"]


def _document(row: LedgerRow) -> dict[str, Any]:
    document = asdict(row)
    document["_id"] = document.pop("id")
    return document


def _row(document: dict[str, Any]) -> LedgerRow:
    known = {name: document[name] for name in LedgerRow.__dataclass_fields__ if name != "id"}
    return LedgerRow(id=document["_id"], **known)


class Database:
    """The connection both stores share."""

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
            for name in ("budgets", "clocks"):
                with suppress(CollectionInvalid):
                    await self._database.create_collection(name)
            await ledger.create_index([("state", ASCENDING), ("settle_at", ASCENDING)])
            await ledger.create_index([("ticket_id", ASCENDING)])
            await ledger.create_index([("request_id", ASCENDING)])
            await ledger.create_index([("unpublished", ASCENDING)], partialFilterExpression={"unpublished": True})
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


class LedgerStore:
    """Rows by idempotency key. Every change raises `version` and marks the row unpublished, in one write."""

    def __init__(self, database: Database) -> None:
        self._start_session = database.start_session
        self._rows = database.collection("ledger")
        self._budgets = database.collection("budgets")

    async def insert(self, row: LedgerRow) -> bool:
        """Writes a new row; False where its id is there already. Raises Unavailable."""
        try:
            await self._rows.insert_one({**_document(row), "unpublished": True})
        except DuplicateKeyError:
            return False
        except PyMongoError as error:
            raise Unavailable("the ledger can't be written") from error
        return True

    async def to_settle(self, now: datetime, most: int = 200) -> list[LedgerRow]:
        """Proposed rows whose time has come, oldest first. Raises Unavailable."""
        return await self._find({"state": "proposed", "settle_at": {"$lte": now}}, most)

    async def unpublished(self, most: int = 200) -> list[LedgerRow]:
        """Rows whose last change isn't on the topics yet. Raises Unavailable."""
        return await self._find({"unpublished": True}, most)

    async def _find(self, what: dict[str, Any], most: int) -> list[LedgerRow]:
        try:
            cursor = self._rows.find(what).sort([("settle_at", ASCENDING)]).limit(most)
            return [_row(document) async for document in cursor]
        except PyMongoError as error:
            raise Unavailable("the ledger can't be read") from error

    async def change(self, row: LedgerRow, state: str, outcome: str, now: datetime) -> bool:
        """Compare-and-set on the version; False where somebody was first. Raises Unavailable."""
        try:
            changed: Any = await self._rows.find_one_and_update(
                {"_id": row.id, "version": row.version}, _set(state, outcome, now)
            )
        except PyMongoError as error:
            raise Unavailable("the ledger can't be written") from error
        return changed is not None

    async def clear_unpublished(self, row: LedgerRow) -> None:
        """The version of this row is on the topics. Raises Unavailable."""
        try:
            await self._rows.update_one({"_id": row.id, "version": row.version}, {"$set": {"unpublished": False}})
        except PyMongoError as error:
            raise Unavailable("the ledger can't be written") from error

    async def withdraw(self, request_id: str, why: str, now: datetime) -> Literal["withdrawn", "settled", "unknown"]:
        """Takes back what isn't settled yet; a settled row stays (it isn't taken from the customer)."""
        try:
            changed: Any = await self._rows.find_one_and_update(
                {"request_id": request_id, "state": {"$in": ["proposed", "held"]}}, _set("skipped", why, now)
            )
            if changed is not None:
                return "withdrawn"
            found = await self._rows.find_one({"request_id": request_id, "state": {"$ne": "skipped"}}, {"_id": 1})
        except PyMongoError as error:
            raise Unavailable("the ledger can't be written") from error
        return "settled" if found is not None else "unknown"

    async def reserve(self, row: LedgerRow, budget: str, limit_minor: int, now: datetime) -> Reservation:
        """One transaction: proposed → reserved, and the amount out of the budget; both or neither.

        Raises Unavailable, also where the outcome is unknown: asking again is safe.
        """
        try:
            # Outside of the transaction: two first reservations of a day would otherwise conflict on the insert.
            await self._budgets.update_one(
                {"_id": budget}, {"$setOnInsert": {"spent": 0, "currency": row.currency}}, upsert=True
            )
        except DuplicateKeyError:
            pass
        except PyMongoError as error:
            raise Unavailable("the budget can't be read") from error

        async def steps(session: Any) -> Reservation:
            changed: Any = await self._rows.find_one_and_update(
                {"_id": row.id, "state": "proposed", "version": row.version},
                _set("reserved", "", now),
                session=session,
                return_document=ReturnDocument.AFTER,
            )
            if changed is None:
                await session.abort_transaction()
                return "gone"
            paid = await self._budgets.update_one(
                {"_id": budget, "spent": {"$lte": limit_minor - row.amount_minor}},
                {"$inc": {"spent": row.amount_minor}},
                session=session,
            )
            if paid.modified_count == 0:
                await session.abort_transaction()
                return "no_budget"
            return "reserved"

        try:
            async with await self._start_session() as session:
                outcome: Reservation = await session.with_transaction(steps)
                return outcome
        except (OperationFailure, PyMongoError) as error:
            raise Unavailable("the reservation's outcome is unknown") from error

    async def spent(self, budget: str) -> int:
        """Minor units taken out of a budget. Raises Unavailable."""
        try:
            document = await self._budgets.find_one({"_id": budget})
        except PyMongoError as error:
            raise Unavailable("the budget can't be read") from error
        return int(document["spent"]) if document else 0


def _set(state: str, outcome: str, now: datetime) -> dict[str, Any]:
    return {
        "$set": {"state": state, "outcome": outcome, "updated_at": now, "unpublished": True},
        "$inc": {"version": 1},
    }
