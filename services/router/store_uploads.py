"""Customers' pictures in GridFS, bucket `uploads`, as intake writes them: whose they are, and when they go.

`metadata.tickets` names the tickets that have a picture; without any it goes a day after it came.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from motor.motor_asyncio import AsyncIOMotorGridFSBucket
from pymongo import UpdateOne

from services.router.database import answering

BUCKET = "uploads"
_BATCH_SECONDS = 8.0
_AT_ONCE = 200
# Chunks of an upload that broke off are looked for among those that came in this long before the unused ones.
_BROKEN_OFF = timedelta(days=2)


class MongoPictures:
    """Keeps `services.router.ports.Pictures`."""

    def __init__(self, client: Any) -> None:
        database = client.get_default_database()
        self._files = database[f"{BUCKET}.files"]
        self._chunks = database[f"{BUCKET}.chunks"]
        self._bucket = AsyncIOMotorGridFSBucket(database, BUCKET)

    async def prepare(self) -> None:
        """Makes the indexes that are missing."""
        async with answering(_BATCH_SECONDS):
            await self._files.create_index([("metadata.tickets", 1)], name="tickets")
            await self._files.create_index([("uploadDate", 1)], name="uploaded")

    async def claim(self, used: Mapping[str, Sequence[str]]) -> None:
        writes = [
            UpdateOne({"_id": picture}, {"$addToSet": {"metadata.tickets": ticket_id}})
            for ticket_id, pictures in used.items()
            for picture in pictures
        ]
        if writes:
            async with answering(_BATCH_SECONDS):
                await self._files.bulk_write(writes, ordered=False)

    async def release(self, ticket_id: str, pictures: Sequence[str]) -> int:
        mine = {"$or": [{"metadata.tickets": ticket_id}, {"_id": {"$in": list(pictures)}}]}
        async with answering(_BATCH_SECONDS):
            found = [
                document["_id"]
                async for document in self._files.find(mine, {"metadata.tickets": 1})
                if set(document.get("metadata", {}).get("tickets", ())) <= {ticket_id}
            ]
            for picture in found:
                await self._bucket.delete(picture)
            await self._files.update_many(mine, {"$pull": {"metadata.tickets": ticket_id}})
        return len(found)

    async def sweep(self, before: datetime) -> int:
        unused = {"uploadDate": {"$lt": before}, "metadata.tickets.0": {"$exists": False}}
        async with answering(_BATCH_SECONDS):
            found = [row["_id"] async for row in self._files.find(unused, {"_id": 1}).limit(_AT_ONCE)]
            for picture in found:
                await self._bucket.delete(picture)
            return len(found) + await self._sweep_chunks(before)

    async def _sweep_chunks(self, before: datetime) -> int:
        """Chunks come before their file: one whose process died has none."""
        since, until = (ObjectId.from_datetime(at) for at in (before - _BROKEN_OFF, before))
        first = {"_id": {"$gte": since, "$lt": until}, "n": 0}
        begun = {row["files_id"] async for row in self._chunks.find(first, {"files_id": 1}).limit(_AT_ONCE * 10)}
        whole = {row["_id"] async for row in self._files.find({"_id": {"$in": sorted(begun)}}, {"_id": 1})}
        broken = sorted(begun - whole)
        if broken:
            await self._chunks.delete_many({"files_id": {"$in": broken}})
        return len(broken)
