"""Staff in MongoDB. Apart from store.py, which is at the size at which a file is split: tickets there, people here.

A document is {_id: key of staff.v1, kind, version, record, changes, unpublished}; `unpublished` (µs) exists until this
version is on staff.v1. A person's `given_at` (µs) is when he was last chosen. `_id` "seed" notes that the seed is in.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo import IndexModel
from pymongo.errors import BulkWriteError, DuplicateKeyError

from common.clock import Clock
from common.errors import Unavailable
from common.words import from_us, to_us
from rules.staff import Person, Queue, Record, Rota, Staff, staff_of
from services.router.assignment import Load
from services.router.database import answering
from services.router.documents import from_document, to_document
from services.router.staff import Change, Kept

_SECONDS = 2.0
_BATCH_SECONDS = 8.0
_DUPLICATE = 11000
_KINDS: Mapping[str, type[Record]] = {"person": Person, "queue": Queue, "rota": Rota}
_SEED = {"_id": "seed"}
_OPEN = ["received", "in_progress", "pending"]
_INDEXES = [
    IndexModel([("unpublished", 1)], name="unpublished", sparse=True),
    IndexModel([("kind", 1), ("record.auto_assign", 1)], name="kind"),
]


class MongoStaff:
    """The `Records` of staff_desk.py, the `Chosen` of assigner.py and the rows of staff_relay.py.

    Every call raises Unavailable where the database doesn't answer.
    """

    def __init__(self, client: Any, clock: Clock) -> None:
        database = client.get_default_database()
        self._staff = database["staff"]
        self._tickets = database["tickets"]
        self._clock = clock
        self._preparing = asyncio.Lock()
        self._prepared = False

    async def prepare(self) -> None:
        """Creates the indexes that are missing, once.

        Always before the first write: the embedded database locks up when that meets the making of the indexes.
        """
        async with self._preparing:
            if not self._prepared:
                async with answering(_BATCH_SECONDS):
                    await self._staff.create_indexes(_INDEXES)
                self._prepared = True

    async def get(self, key: str) -> Kept | None:
        """One record with its latest changes."""
        async with answering(_SECONDS):
            document = await self._staff.find_one({"_id": key})
        return None if document is None else _kept(document)

    async def save(self, base: int, kept: Kept) -> bool:
        """Stores a record, to be published, if it is still at version `base` (0: isn't there); whether it was."""
        await self.prepare()
        fields = self._fields(kept)
        try:
            async with answering(_SECONDS):
                if base == 0:
                    await self._staff.insert_one({"_id": kept.record.key, **fields})
                    return True
                done = await self._staff.update_one({"_id": kept.record.key, "version": base}, {"$set": fields})
        except Unavailable as error:
            if isinstance(error.__cause__, DuplicateKeyError):
                return False
            raise
        return bool(done.matched_count == 1)

    async def seed(self, records: Sequence[Kept]) -> None:
        """Stores those that aren't there, once in the life of the database: what people changed since stays."""
        await self.prepare()
        async with answering(_BATCH_SECONDS):
            if await self._staff.find_one(_SEED) is not None:
                return
        try:
            async with answering(_BATCH_SECONDS):
                documents = [{"_id": kept.record.key, **self._fields(kept)} for kept in records]
                if documents:
                    await self._staff.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            if any(failure["code"] != _DUPLICATE for failure in (error.details or {}).get("writeErrors", [])):
                raise Unavailable("the ticket database refused a write") from error
        async with answering(_BATCH_SECONDS):
            await self._staff.update_one(_SEED, {"$set": {"at": to_us(self._clock.now())}}, upsert=True)

    async def staff(self) -> Staff:
        """Everybody, removed ones too."""
        async with answering(_SECONDS):
            cursor = self._staff.find({"kind": {"$in": list(_KINDS)}}, {"changes": 0})
            return staff_of([_record(document) async for document in cursor])

    async def automatic_queues(self) -> list[Queue]:
        """The queues whose tickets find their owner by themselves."""
        async with answering(_SECONDS):
            cursor = self._staff.find({"kind": "queue", "record.auto_assign": True}, {"changes": 0})
            found = [_record(document) async for document in cursor]
        return [each for each in found if isinstance(each, Queue) and not each.removed]

    async def loads(self) -> dict[str, Load]:
        """What everybody has, by person's id."""
        owned = {"status": {"$in": _OPEN}, "assignee": {"$gt": ""}}
        async with answering(_SECONDS):
            rows = self._tickets.aggregate([{"$match": owned}, {"$group": {"_id": "$assignee", "count": {"$sum": 1}}}])
            counts = {row["_id"]: int(row["count"]) async for row in rows}
            cursor = self._staff.find({"kind": "person", "given_at": {"$gt": 0}}, {"record.id": 1, "given_at": 1})
            given = {row["record"]["id"]: from_us(row["given_at"]) async for row in cursor}
        return {each: Load(counts.get(each, 0), given.get(each)) for each in counts.keys() | given.keys()}

    async def note_given(self, person_id: str, at: datetime) -> None:
        """The person was given a ticket."""
        async with answering(_SECONDS):
            await self._staff.update_one({"_id": f"person/{person_id}"}, {"$max": {"given_at": to_us(at)}})

    async def unpublished(self, limit: int) -> list[Record]:
        """Records whose present version isn't known to be on staff.v1, the longest waiting first."""
        async with answering(_BATCH_SECONDS):
            cursor = self._staff.find({"unpublished": {"$gt": 0}}, {"changes": 0}).sort("unpublished", 1).limit(limit)
            return [_record(document) async for document in cursor]

    async def published(self, record: Record) -> None:
        """This version is on staff.v1.

        Where another was stored meanwhile, the record is to be published again: of two processes the one with the older
        version may have come last.
        """
        async with answering(_BATCH_SECONDS):
            done = await self._staff.update_one(
                {"_id": record.key, "version": record.version}, {"$unset": {"unpublished": ""}}
            )
            if done.matched_count == 0:
                again = {"$set": {"unpublished": to_us(self._clock.now())}}
                await self._staff.update_one({"_id": record.key, "version": {"$gt": record.version}}, again)

    def _fields(self, kept: Kept) -> dict[str, Any]:
        return {
            "kind": kept.record.key.partition("/")[0],
            "version": kept.record.version,
            "record": to_document(kept.record),
            "changes": to_document(kept.changes),
            "unpublished": to_us(self._clock.now()),
        }


def _record(document: Mapping[str, Any]) -> Record:
    record: Record = from_document(_KINDS[document["kind"]], document["record"])
    return record


def _kept(document: Mapping[str, Any]) -> Kept:
    return Kept(_record(document), tuple(from_document(Change, each) for each in document["changes"]))
