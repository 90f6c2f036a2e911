"""Tickets in MongoDB, each with its uncleared events.

A document is the ticket as `documents.py` writes it, with `_id` = ticket id, `due_sort` (µs, for the inbox) and the
`outbox`: {version, id, at, trace, body, also}, `body` being the serialised TicketEvent and `also` what else goes out
with it. `waiting` (µs, when the last event came in) exists only while the outbox isn't empty: a sparse index finds
leftovers among millions. So do `next_action_at` (µs, policy.next_action) and `listen_at` (µs, when the watchdog should
have been heard of, at `listen_version` or later). `terms` are keyed hashes of what the ticket can be searched by,
`claims` (joining.py) those that one ticket alone may hold: a unique index decides who was first; only a new ticket,
`release` and erasing write them.
Collection `armed` keeps what the watchdog has armed or moved, for a week: {_id: ticket id, version, at}; it may come
before the ticket.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError

from common.clock import Clock
from common.errors import Unavailable
from common.words import to_us
from services.router.database import BATCH_SECONDS, answering, in_few, insert_new
from services.router.documents import to_document
from services.router.model import Ticket, Update
from services.router.policy import next_action, next_due
from services.router.ports import Filter, Order, Position
from services.router.rows import ACKNOWLEDGED, query_of, rows_of, stored_of, ticket_of, value_of
from services.router.wire import StoredEvent

# Behind every ticket that has a deadline.
_NEVER = 2**62
_AT_ONCE = 16
_CALL_SECONDS = 2.0
_EXPORT_SECONDS = 600.0
_WAITING = {"waiting": {"$gt": 0}}
_PRESENT = {"$gt": ""}
_LISTENING = {"status": 1, "listen_version": 1}
_WITHOUT_OUTBOX = {"outbox": 0, "terms": 0, "claims": 0}

_ORDERS: Mapping[Order, tuple[str, int]] = {
    "acknowledged_at": (ACKNOWLEDGED, ASCENDING),
    "-acknowledged_at": (ACKNOWLEDGED, DESCENDING),
    "due": ("due_sort", ASCENDING),
}

_INDEXES = [
    IndexModel([("brand", 1), ("status", 1), (ACKNOWLEDGED, 1), ("_id", 1)], name="brand"),
    IndexModel([("queue", 1), ("status", 1), ("due_sort", 1), ("_id", 1)], name="queue"),
    IndexModel([(ACKNOWLEDGED, 1), ("_id", 1)], name="acknowledged"),
    IndexModel([("customer_ref", 1), (ACKNOWLEDGED, 1)], name="customer_ref"),
    IndexModel(
        [("assignee", 1), ("status", 1), ("due_sort", 1)],
        name="assignee",
        partialFilterExpression={"assignee": _PRESENT},
    ),
    IndexModel([("customer_id", 1)], name="customer_id", partialFilterExpression={"customer_id": _PRESENT}),
    IndexModel([("order_id", 1)], name="order_id", partialFilterExpression={"order_id": _PRESENT}),
    IndexModel([("waiting", 1)], name="waiting", sparse=True),
    IndexModel([("next_action_at", 1)], name="next_action_at", sparse=True),
    IndexModel([("listen_at", 1)], name="listen_at", sparse=True),
    IndexModel([("terms", 1), (ACKNOWLEDGED, -1)], name="terms"),
    IndexModel([("claims", 1)], name="claims", unique=True, partialFilterExpression={"claims": _PRESENT}),
]
_ARMED_INDEXES = [IndexModel([("at", 1)], name="at", expireAfterSeconds=7 * 24 * 3600)]
_OPEN = ("received", "in_progress", "pending")


def _without(version: int) -> list[dict[str, Any]]:
    """Takes the events up to `version` out of the outbox. What was added meanwhile stays, and waits."""
    newer = {"$filter": {"input": "$outbox", "cond": {"$gt": ["$$this.version", version]}}}
    waiting = {"$cond": [{"$eq": ["$outbox", []]}, "$$REMOVE", "$waiting"]}
    return [{"$set": {"outbox": newer}}, {"$set": {"waiting": waiting}}]


class MongoTickets:
    """The `Tickets` of ports.py, and the outbox's rows. Calls for a person are bounded to 2 s, batches to 8 s."""

    def __init__(self, client: Any, clock: Clock, listen_after: timedelta = timedelta(seconds=60)) -> None:
        self._database = client.get_default_database()
        self._tickets = self._database["tickets"]
        self._armed = self._database["armed"]
        self._clock = clock
        self._listen_after = listen_after
        self._looking = asyncio.Semaphore(_AT_ONCE)

    async def prepare(self) -> None:
        """Creates the indexes that are missing."""
        async with answering(BATCH_SECONDS):
            await self._tickets.create_indexes(_INDEXES)
            await self._armed.create_indexes(_ARMED_INDEXES)

    async def ping(self) -> None:
        """Raises Unavailable where the database doesn't answer."""
        async with answering(1):
            await self._database.command("ping")

    async def add(self, updates: Sequence[Update]) -> set[str]:
        if not updates:
            return set()
        listen_at = to_us(self._clock.now() + self._listen_after)
        documents = [
            {
                "_id": u.ticket.id,
                **self._fields(u.ticket),
                "terms": list(u.terms),
                "listen_at": listen_at,
                "outbox": rows_of(u.events),
                "claims": list(u.claims),
            }
            for u in updates
        ]
        for document in documents:
            if document["next_action_at"] is None:
                del document["next_action_at"]
            if not document["claims"]:
                del document["claims"]
        return await insert_new(self._tickets, documents)

    async def holders(self, claims: Sequence[str]) -> dict[str, str]:
        # One by one: of many at once ($in) the embedded database looks at every ticket for each.
        async def holder(claim: str) -> tuple[str, str]:
            async with self._looking:
                row = await self._tickets.find_one({"claims": claim}, {"_id": 1})
            return claim, "" if row is None else row["_id"]

        async with answering(BATCH_SECONDS):
            found = await asyncio.gather(*map(holder, dict.fromkeys(claims)))
        return {claim: ticket_id for claim, ticket_id in found if ticket_id}

    async def release(self, ticket_id: str, claims: Sequence[str]) -> None:
        async with answering(_CALL_SECONDS):
            await self._tickets.update_one({"_id": ticket_id}, {"$pull": {"claims": {"$in": list(claims)}}})

    async def get(self, ticket_id: str) -> Ticket | None:
        async with answering(_CALL_SECONDS):
            document = await self._tickets.find_one({"_id": ticket_id}, _WITHOUT_OUTBOX)
        return None if document is None else ticket_of(document)

    async def get_many(self, ticket_ids: Sequence[str]) -> dict[str, Ticket]:
        found: dict[str, Ticket] = {}
        async with answering(BATCH_SECONDS):
            for few in in_few(ticket_ids):
                async for document in self._tickets.find({"_id": {"$in": few}}, _WITHOUT_OUTBOX):
                    found[document["_id"]] = ticket_of(document)
        return found

    async def save(self, updates: Sequence[Update]) -> bool:
        writes = [
            UpdateOne(
                {"_id": update.ticket.id, "version": update.base},
                self._changes(update),
            )
            for update in updates
        ]
        try:
            if len(writes) == 1:
                async with answering(_CALL_SECONDS):
                    # A write that was retried by the driver and had come through finds another version: the caller
                    # looks again, and finds its own cause in the history.
                    one = await self._tickets.update_one(writes[0]._filter, writes[0]._doc)
                return bool(one.matched_count == 1)
            async with answering(BATCH_SECONDS):
                result = await self._tickets.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            raise Unavailable("the ticket database refused a write") from error
        return bool(result.matched_count == len(writes))

    async def find(
        self, which: Filter, order: Order, after: Position | None, limit: int
    ) -> list[tuple[Ticket, Position]]:
        key, direction = _ORDERS[order]
        query: dict[str, Any] = query_of(which)
        if after is not None:
            beyond = "$gt" if direction == ASCENDING else "$lt"
            place = [
                {key: {beyond: after.value}},
                {key: after.value, "_id": {beyond: after.ticket_id}},
            ]
            query = {"$and": [query, {"$or": place}]}
        async with answering(_CALL_SECONDS):
            cursor = (
                self._tickets.find(query, _WITHOUT_OUTBOX).sort([(key, direction), ("_id", direction)]).limit(limit)
            )
            documents = [document async for document in cursor]
        return [(ticket_of(d), Position(value_of(d, key), d["_id"])) for d in documents]

    async def corrected(self) -> AsyncIterator[Ticket]:
        """Every ticket whose category was changed after routing, by whomever. Reads all tickets: for an export."""
        async with answering(_EXPORT_SECONDS):
            async for document in self._tickets.find({"history.kind": "category_changed"}, _WITHOUT_OUTBOX):
                yield ticket_of(document)

    async def uncleared(self, ticket_ids: Sequence[str]) -> list[StoredEvent]:
        """The events these tickets still have in their outbox, those of a ticket in order."""
        found: list[StoredEvent] = []
        async with answering(BATCH_SECONDS):
            for few in in_few(ticket_ids):
                cursor = self._tickets.find({"_id": {"$in": few}, **_WAITING}, {"outbox": 1})
                found += [stored_of(d["_id"], row) async for d in cursor for row in d["outbox"]]
        return found

    async def leftovers(self, unchanged_for: timedelta, limit: int) -> list[str]:
        """Tickets with uncleared events that nobody has changed for that long, the oldest first."""
        before = to_us(self._clock.now() - unchanged_for)
        query = {"waiting": {"$gt": 0, "$lte": before}}
        async with answering(BATCH_SECONDS):
            cursor = self._tickets.find(query, {"_id": 1}).sort("waiting", ASCENDING).limit(limit)
            return [document["_id"] async for document in cursor]

    async def clear(self, published: Mapping[str, int]) -> None:
        """Removes the events up to the given version from each ticket's outbox."""
        # Most have the same: in one change the embedded database puts on disk once what would else be as many commits.
        same: dict[int, list[str]] = {}
        for ticket_id, version in published.items():
            same.setdefault(version, []).append(ticket_id)
        writes = [UpdateMany({"_id": {"$in": ids}}, _without(version)) for version, ids in same.items()]
        try:
            async with answering(BATCH_SECONDS):
                await self._tickets.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            raise Unavailable("the ticket database refused a write") from error

    async def pending(self) -> int:
        """How many events are uncleared."""
        group = {"_id": None, "count": {"$sum": {"$size": "$outbox"}}}
        async with answering(BATCH_SECONDS):
            rows = [row async for row in self._tickets.aggregate([{"$match": _WAITING}, {"$group": group}])]
        return int(rows[0]["count"]) if rows else 0

    async def open_by_queue(self) -> dict[tuple[str, str], int]:
        """How many tickets are open, by queue and priority."""
        open_ones = {"status": {"$in": ["received", "in_progress", "pending"]}}
        group = {"_id": {"queue": "$queue", "priority": "$priority"}, "count": {"$sum": 1}}
        async with answering(BATCH_SECONDS):
            rows = self._tickets.aggregate([{"$match": open_ones}, {"$group": group}])
            return {(row["_id"]["queue"], row["_id"]["priority"]): row["count"] async for row in rows}

    async def due_actions(self, now: datetime, limit: int) -> list[Ticket]:
        query = {"next_action_at": {"$gt": 0, "$lte": to_us(now)}}
        async with answering(BATCH_SECONDS):
            cursor = self._tickets.find(query, _WITHOUT_OUTBOX).sort("next_action_at", ASCENDING).limit(limit)
            return [ticket_of(document) async for document in cursor]

    async def settle(self, ticket: Ticket, again_at: datetime | None = None) -> None:
        later = {"$set": {"next_action_at": to_us(again_at)}} if again_at else {"$unset": {"next_action_at": ""}}
        async with answering(_CALL_SECONDS):
            await self._tickets.update_one({"_id": ticket.id, "version": ticket.version}, later)

    async def unheard(self, now: datetime, limit: int) -> list[Ticket]:
        query = {"listen_at": {"$gt": 0, "$lte": to_us(now)}}
        async with answering(BATCH_SECONDS):
            cursor = self._tickets.find(query, _LISTENING).sort("listen_at", ASCENDING).limit(limit)
            found = [document async for document in cursor]
            armed: dict[str, int] = {}
            for few in in_few([document["_id"] for document in found]):
                rows = self._armed.find({"_id": {"$in": few}}, {"version": 1})
                armed |= {row["_id"]: row["version"] async for row in rows}
            settled = [
                document["_id"]
                for document in found
                if document["status"] not in _OPEN
                or armed.get(document["_id"], -1) >= document.get("listen_version", 0)
            ]
            for few in in_few(settled):
                # One that has changed meanwhile is listened for anew.
                waiting = {"_id": {"$in": few}, "listen_at": {"$lte": to_us(now)}}
                await self._tickets.update_many(waiting, {"$unset": {"listen_at": ""}})
        missing = [document["_id"] for document in found if document["_id"] not in settled]
        tickets = await self.get_many(missing)
        return [tickets[ticket_id] for ticket_id in missing]

    async def expect(self, ticket_ids: Sequence[str], by: datetime) -> None:
        async with answering(BATCH_SECONDS):
            await self._tickets.update_many({"_id": {"$in": list(ticket_ids)}}, {"$set": {"listen_at": to_us(by)}})

    async def heard(self, armed: Mapping[str, int]) -> None:
        if not armed:
            return
        now = self._clock.now()
        rows = [{"_id": ticket_id, "version": version, "at": now} for ticket_id, version in armed.items()]
        known = await insert_new(self._armed, rows)
        writes = [
            UpdateOne({"_id": row["_id"]}, {"$max": {"version": row["version"]}, "$set": {"at": now}}, upsert=True)
            for row in rows
            if row["_id"] in known
        ]
        if not writes:
            return
        try:
            async with answering(BATCH_SECONDS):
                await self._armed.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            raise Unavailable("the ticket database refused a write") from error

    def _changes(self, update: Update) -> dict[str, Any]:
        fields = self._fields(update.ticket)
        awaited = [event.ticket.version for event in update.events if event.moves_clocks]
        if awaited:
            fields["listen_at"] = to_us(self._clock.now() + self._listen_after)
            fields["listen_version"] = awaited[-1]
        changes: dict[str, Any] = {"$set": fields, "$push": {"outbox": {"$each": rows_of(update.events)}}}
        if fields["next_action_at"] is None:
            del fields["next_action_at"]
            changes["$unset"] = {"next_action_at": ""}
        if update.ticket.personal is None:
            # Erased: it isn't found by what it said any more, and nobody's words come to it.
            fields["terms"] = []
            fields["claims"] = []
        return changes

    def _fields(self, ticket: Ticket) -> dict[str, Any]:
        document: dict[str, Any] = to_document(ticket)
        del document["id"]
        action = next_action(ticket)
        document["next_action_at"] = None if action is None else to_us(action.at)
        document["due_sort"] = to_us(next_due(ticket)) or _NEVER
        document["waiting"] = to_us(self._clock.now())
        return document
