"""The history of policies in MongoDB, apart from store.py for its size: one document an activation, never changed.

`_id` is brand/number, so that of two activations at once one comes second. `files` is a list of {name, text}: names
have dots. `applied` is set once running tickets have been looked at.
"""

from collections.abc import Mapping
from typing import Any

from pymongo import DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from common.words import from_us, to_us
from services.router.database import answering
from services.router.documents import from_document, to_document
from services.router.model import Actor
from services.router.versions import Version

_SECONDS = 2.0
_INDEXES = [
    IndexModel([("brand", 1), ("number", -1)], name="brand"),
    IndexModel([("key", 1)], name="key", partialFilterExpression={"key": {"$gt": ""}}),
]
_HEAVY = {"content": 0, "files": 0}


class MongoVersions:
    """The `Versions` of ports.py. Every call raises Unavailable where the database doesn't answer."""

    def __init__(self, client: Any) -> None:
        self._rows = client.get_default_database()["policies"]

    async def prepare(self) -> None:
        """Creates the indexes that are missing."""
        async with answering(_SECONDS * 4):
            await self._rows.create_indexes(_INDEXES)

    async def latest(self) -> dict[str, int]:
        """The last number of every brand."""
        group = {"_id": "$brand", "number": {"$max": "$number"}}
        async with answering(_SECONDS):
            return {row["_id"]: row["number"] async for row in self._rows.aggregate([{"$group": group}])}

    async def get(self, brand: str, number: int) -> Version | None:
        """One activation."""
        return await self._one({"_id": f"{brand}/{number}"})

    async def by_hash(self, brand: str, policy_hash: str) -> Version | None:
        """The last activation of that content."""
        return await self._one({"brand": brand, "policy_hash": policy_hash})

    async def by_key(self, brand: str, key: str) -> Version | None:
        """The activation a call with that idempotency key made."""
        return await self._one({"brand": brand, "key": key}) if key else None

    async def add(self, version: Version) -> bool:
        """Stores an activation; False where its number is taken by another. One that is stored already is stored."""
        document = {"_id": f"{version.brand}/{version.number}", **_document(version), "applied": False}
        async with answering(_SECONDS):
            try:
                await self._rows.insert_one(document)
            except DuplicateKeyError:
                # Also where the driver repeated a write that had come through.
                return await self.get(version.brand, version.number) == version
        return True

    async def history(self, brand: str, before: int, limit: int) -> list[Version]:
        """Activations with smaller numbers (0: all), the newest first, without content and files."""
        query: dict[str, Any] = {"brand": brand} | ({"number": {"$lt": before}} if before else {})
        async with answering(_SECONDS):
            cursor = self._rows.find(query, _HEAVY).sort("number", DESCENDING).limit(limit)
            return [_version({**document, "content": b"", "files": []}) async for document in cursor]

    async def unapplied(self, brand: str, number: int) -> bool:
        """Whether running tickets haven't been looked at yet."""
        async with answering(_SECONDS):
            found = await self._rows.find_one({"_id": f"{brand}/{number}", "applied": False}, {"_id": 1})
        return found is not None

    async def applied(self, brand: str, number: int) -> None:
        """Running tickets have been looked at."""
        async with answering(_SECONDS):
            await self._rows.update_one({"_id": f"{brand}/{number}"}, {"$set": {"applied": True}})

    async def _one(self, query: Mapping[str, Any]) -> Version | None:
        async with answering(_SECONDS):
            documents = [d async for d in self._rows.find(query).sort("number", DESCENDING).limit(1)]
        return _version(documents[0]) if documents else None


def _document(version: Version) -> dict[str, Any]:
    return {
        "brand": version.brand,
        "number": version.number,
        "policy_hash": version.policy_hash,
        "content": version.content,
        "files": [{"name": name, "text": text} for name, text in sorted(version.files.items())],
        "active_since": to_us(version.active_since),
        "actor": to_document(version.actor),
        "reason": version.reason,
        "disk": version.disk,
        "key": version.key,
        "request": version.request,
    }


def _version(document: Mapping[str, Any]) -> Version:
    since = from_us(document["active_since"])
    assert since is not None
    return Version(
        brand=document["brand"],
        number=document["number"],
        policy_hash=document["policy_hash"],
        content=bytes(document["content"]),
        files={file["name"]: file["text"] for file in document["files"]},
        active_since=since,
        actor=from_document(Actor, document["actor"]),
        reason=document["reason"],
        disk=document["disk"],
        key=document["key"],
        request=document["request"],
    )
