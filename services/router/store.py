"""Tickets in MongoDB, each with its uncleared events: the only database code of the router.

A document is the ticket as `documents.py` writes it, with `_id` = ticket id, `due_sort` (µs, for the inbox) and the
`outbox`: {version, id, at, trace, body}, `body` being the serialised TicketEvent. `waiting` (µs, when the last event
came in) exists only while the outbox isn't empty: a sparse index finds leftovers among millions.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pymongo
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateOne
from pymongo.errors import BulkWriteError, PyMongoError

from common.clock import Clock
from common.errors import Unavailable
from common.words import from_us, to_us
from services.router.documents import from_document, to_document
from services.router.model import Event, Ticket, Update
from services.router.policy import next_due
from services.router.ports import Filter, Order, Position
from services.router.wire import StoredEvent, stored_event

# Behind every ticket that has a deadline.
_NEVER = 2**62
_DUPLICATE = 11000
_CALL_SECONDS = 2.0
_BATCH_SECONDS = 8.0
_WAITING = {"waiting": {"$gt": 0}}
_PRESENT = {"$gt": ""}
_ACKNOWLEDGED = "facts.acknowledged_at"
_WITHOUT_OUTBOX = {"outbox": 0}

_ORDERS: Mapping[Order, tuple[str, int]] = {
    "acknowledged_at": (_ACKNOWLEDGED, ASCENDING),
    "-acknowledged_at": (_ACKNOWLEDGED, DESCENDING),
    "due": ("due_sort", ASCENDING),
}

_INDEXES = [
    IndexModel([("brand", 1), ("status", 1), (_ACKNOWLEDGED, 1), ("_id", 1)], name="brand"),
    IndexModel([("queue", 1), ("status", 1), ("due_sort", 1), ("_id", 1)], name="queue"),
    IndexModel([(_ACKNOWLEDGED, 1), ("_id", 1)], name="acknowledged"),
    IndexModel([("customer_ref", 1), (_ACKNOWLEDGED, 1)], name="customer_ref"),
    IndexModel(
        [("assignee", 1), ("status", 1), ("due_sort", 1)],
        name="assignee",
        partialFilterExpression={"assignee": _PRESENT},
    ),
    IndexModel([("customer_id", 1)], name="customer_id", partialFilterExpression={"customer_id": _PRESENT}),
    IndexModel([("order_id", 1)], name="order_id", partialFilterExpression={"order_id": _PRESENT}),
    IndexModel([("waiting", 1)], name="waiting", sparse=True),
]


def connect(uri: str) -> Any:
    """A client that acknowledges only what a majority has on disk, and gives up after 2 s when nobody answers.

    It connects at the first call.
    """
    return AsyncIOMotorClient(uri, w="majority", journal=True, serverSelectionTimeoutMS=2000, appname="pingxi-router")


async def disconnect(client: Any) -> None:
    """Ends the client. The driver says goodbye to the database and waits: bounded, and not on the loop's time."""
    with pymongo.timeout(1.0):
        await asyncio.to_thread(client.close)


@asynccontextmanager
async def _answering(seconds: float) -> AsyncIterator[None]:
    """Bounds the calls inside; a database that doesn't answer is Unavailable."""
    try:
        with pymongo.timeout(seconds):
            yield
    except BulkWriteError:
        raise
    except PyMongoError as error:
        raise Unavailable(f"the ticket database doesn't answer: {type(error).__name__}") from error


class MongoTickets:
    """The `Tickets` of ports.py, and the outbox's rows. Calls for a person are bounded to 2 s, batches to 8 s."""

    def __init__(self, client: Any, clock: Clock) -> None:
        self._database = client.get_default_database()
        self._tickets = self._database["tickets"]
        self._clock = clock

    async def prepare(self) -> None:
        """Creates the indexes that are missing."""
        async with _answering(_BATCH_SECONDS):
            await self._tickets.create_indexes(_INDEXES)

    async def ping(self) -> None:
        """Raises Unavailable where the database doesn't answer."""
        async with _answering(1):
            await self._database.command("ping")

    async def add(self, updates: Sequence[Update]) -> set[str]:
        if not updates:
            return set()
        documents = [{"_id": u.ticket.id, **self._fields(u.ticket), "outbox": _rows(u.events)} for u in updates]
        try:
            async with _answering(_BATCH_SECONDS):
                await self._tickets.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            failures = (error.details or {}).get("writeErrors", [])
            if not failures or any(failure["code"] != _DUPLICATE for failure in failures):
                raise Unavailable("the ticket database refused a write") from error
            return {documents[failure["index"]]["_id"] for failure in failures}
        return set()

    async def get(self, ticket_id: str) -> Ticket | None:
        async with _answering(_CALL_SECONDS):
            document = await self._tickets.find_one({"_id": ticket_id}, _WITHOUT_OUTBOX)
        return None if document is None else _ticket(document)

    async def get_many(self, ticket_ids: Sequence[str]) -> dict[str, Ticket]:
        async with _answering(_BATCH_SECONDS):
            cursor = self._tickets.find({"_id": {"$in": list(ticket_ids)}}, _WITHOUT_OUTBOX)
            return {document["_id"]: _ticket(document) async for document in cursor}

    async def save(self, updates: Sequence[Update]) -> bool:
        writes = [
            UpdateOne(
                {"_id": update.ticket.id, "version": update.base},
                {"$set": self._fields(update.ticket), "$push": {"outbox": {"$each": _rows(update.events)}}},
            )
            for update in updates
        ]
        try:
            if len(writes) == 1:
                async with _answering(_CALL_SECONDS):
                    # A write that was retried by the driver and had come through finds another version: the caller
                    # looks again, and finds its own cause in the history.
                    one = await self._tickets.update_one(writes[0]._filter, writes[0]._doc)
                return bool(one.matched_count == 1)
            async with _answering(_BATCH_SECONDS):
                result = await self._tickets.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            raise Unavailable("the ticket database refused a write") from error
        return bool(result.matched_count == len(writes))

    async def find(
        self, which: Filter, order: Order, after: Position | None, limit: int
    ) -> list[tuple[Ticket, Position]]:
        key, direction = _ORDERS[order]
        query: dict[str, Any] = _query(which)
        if after is not None:
            beyond = "$gt" if direction == ASCENDING else "$lt"
            place = [
                {key: {beyond: after.value}},
                {key: after.value, "_id": {beyond: after.ticket_id}},
            ]
            query = {"$and": [query, {"$or": place}]}
        async with _answering(_CALL_SECONDS):
            cursor = (
                self._tickets.find(query, _WITHOUT_OUTBOX).sort([(key, direction), ("_id", direction)]).limit(limit)
            )
            documents = [document async for document in cursor]
        return [(_ticket(d), Position(_value(d, key), d["_id"])) for d in documents]

    async def uncleared(self, ticket_ids: Sequence[str]) -> list[StoredEvent]:
        """The events these tickets still have in their outbox, those of a ticket in order."""
        async with _answering(_BATCH_SECONDS):
            cursor = self._tickets.find({"_id": {"$in": list(ticket_ids)}, **_WAITING}, {"outbox": 1})
            return [_stored(d["_id"], row) async for d in cursor for row in d["outbox"]]

    async def leftovers(self, unchanged_for: timedelta, limit: int) -> list[str]:
        """Tickets with uncleared events that nobody has changed for that long, the oldest first."""
        before = to_us(self._clock.now() - unchanged_for)
        query = {"waiting": {"$gt": 0, "$lte": before}}
        async with _answering(_BATCH_SECONDS):
            cursor = self._tickets.find(query, {"_id": 1}).sort("waiting", ASCENDING).limit(limit)
            return [document["_id"] async for document in cursor]

    async def clear(self, published: Mapping[str, int]) -> None:
        """Removes the events up to the given version from each ticket's outbox."""
        by_version: dict[int, list[str]] = {}
        for ticket_id, version in published.items():
            by_version.setdefault(version, []).append(ticket_id)
        async with _answering(_BATCH_SECONDS):
            for version, ids in by_version.items():
                done = await self._tickets.update_many(
                    {"_id": {"$in": ids}, "version": version}, {"$set": {"outbox": []}, "$unset": {"waiting": ""}}
                )
                if done.matched_count < len(ids):
                    # The others have been changed meanwhile: what was added stays.
                    await self._tickets.update_many(
                        {"_id": {"$in": ids}}, {"$pull": {"outbox": {"version": {"$lte": version}}}}
                    )

    async def pending(self) -> int:
        """How many events are uncleared."""
        group = {"_id": None, "count": {"$sum": {"$size": "$outbox"}}}
        async with _answering(_BATCH_SECONDS):
            rows = [row async for row in self._tickets.aggregate([{"$match": _WAITING}, {"$group": group}])]
        return int(rows[0]["count"]) if rows else 0

    async def open_by_queue(self) -> dict[tuple[str, str], int]:
        """How many tickets are open, by queue and priority."""
        open_ones = {"status": {"$in": ["received", "in_progress", "pending"]}}
        group = {"_id": {"queue": "$queue", "priority": "$priority"}, "count": {"$sum": 1}}
        async with _answering(_BATCH_SECONDS):
            rows = self._tickets.aggregate([{"$match": open_ones}, {"$group": group}])
            return {(row["_id"]["queue"], row["_id"]["priority"]): row["count"] async for row in rows}

    def _fields(self, ticket: Ticket) -> dict[str, Any]:
        document: dict[str, Any] = to_document(ticket)
        del document["id"]
        document["due_sort"] = to_us(next_due(ticket)) or _NEVER
        document["waiting"] = to_us(self._clock.now())
        return document


def _ticket(document: dict[str, Any]) -> Ticket:
    ticket: Ticket = from_document(Ticket, {**document, "id": document["_id"]})
    return ticket


def _value(document: Mapping[str, Any], key: str) -> int:
    value: Any = document
    for part in key.split("."):
        value = value[part]
    return int(value)


def _rows(events: Sequence[Event]) -> list[dict[str, Any]]:
    stored = map(stored_event, events)
    return [{"version": e.version, "id": e.id, "at": to_us(e.at), "trace": e.trace, "body": e.body} for e in stored]


def _stored(ticket_id: str, row: Mapping[str, Any]) -> StoredEvent:
    at: datetime | None = from_us(row["at"])
    assert at is not None
    return StoredEvent(ticket_id, row["version"], row["id"], at, row["trace"], bytes(row["body"]))


def _query(which: Filter) -> dict[str, Any]:
    lists: Mapping[str, Sequence[str]] = {
        "brand": which.brands,
        "status": which.statuses,
        "queue": which.queues,
        "priority": which.priorities,
        "category": which.categories,
        "assignee": which.assignees,
    }
    words = {
        "customer_id": which.customer_id,
        "customer_ref": which.customer_ref,
        "order_id": which.order_id,
        "merchant_id": which.merchant_id,
        "region": which.region,
    }
    query: dict[str, Any] = {name: {"$in": [str(each) for each in values]} for name, values in lists.items() if values}
    query |= {name: value for name, value in words.items() if value}
    times = {"$gte": which.acknowledged_from, "$lt": which.acknowledged_to}
    bounds = {operator: to_us(instant) for operator, instant in times.items() if instant}
    return query | ({_ACKNOWLEDGED: bounds} if bounds else {})
