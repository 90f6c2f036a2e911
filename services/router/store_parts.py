"""Parts of long texts in MongoDB, until their ticket is stored; the places that came are remembered for a week.

A document: {_id: ticket id, of, messages: {place: id}, texts: {place: sealed}, opened: [places], complaint, since (µs),
at}. `texts`, `complaint` and `since` go when the ticket is stored.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from pymongo import IndexModel

from common.clock import Clock
from common.words import to_us
from services.router.database import answering
from services.router.documents import from_document, to_document
from services.router.model import Complaint, Sealed
from services.router.parts import Part, Parts

_SECONDS = 4.0
_PAGE = 200
_INDEXES = [
    IndexModel([("since", 1)], name="since", sparse=True),
    IndexModel([("at", 1)], name="at", expireAfterSeconds=7 * 24 * 3600),
]


class MongoParts:
    """The `PartTexts` of ports.py."""

    def __init__(self, client: Any, clock: Clock) -> None:
        self._parts = client.get_default_database()["parts"]
        self._clock = clock

    async def prepare(self) -> None:
        """Creates the indexes that are missing."""
        async with answering(_SECONDS):
            await self._parts.create_indexes(_INDEXES)

    async def add(self, complaint: Complaint, part: Part, now: datetime) -> Parts:
        first = {
            "of": part.of,
            "messages": {},
            "texts": {},
            "opened": [],
            "complaint": to_document(complaint),
            "since": to_us(now),
            "at": self._clock.now(),
        }
        place = str(part.place)
        content = {f"texts.{place}": to_document(complaint.personal), f"messages.{place}": part.message_id}
        free = {"_id": complaint.ticket_id, f"messages.{place}": {"$exists": False}, "complaint": {"$exists": True}}
        async with answering(_SECONDS):
            await self._parts.update_one({"_id": complaint.ticket_id}, {"$setOnInsert": first}, upsert=True)
            await self._parts.update_one(free, {"$set": content})
            return _parts_of(await self._parts.find_one({"_id": complaint.ticket_id}))

    async def open_with(self, ticket_id: str, places: Sequence[int]) -> Parts:
        async with answering(_SECONDS):
            await self._parts.update_one({"_id": ticket_id, "opened": []}, {"$set": {"opened": list(places)}})
            return _parts_of(await self._parts.find_one({"_id": ticket_id}))

    async def settle(self, ticket_id: str) -> None:
        gone = {"texts": "", "complaint": "", "since": ""}
        async with answering(_SECONDS):
            await self._parts.update_one({"_id": ticket_id}, {"$unset": gone})

    async def overdue(self, since: datetime, limit: int) -> list[Parts]:
        query = {"since": {"$gt": 0, "$lte": to_us(since)}}
        async with answering(_SECONDS):
            return [_parts_of(each) async for each in self._parts.find(query).sort("since", 1).limit(limit)]

    async def waiting(self) -> AsyncIterator[Parts]:
        # By id, not by place: none is passed over because others are stored meanwhile.
        after = ""
        while True:
            query = {"_id": {"$gt": after}, "since": {"$gt": 0}}
            async with answering(_SECONDS):
                page = [_parts_of(each) async for each in self._parts.find(query).sort("_id", 1).limit(_PAGE)]
            for each in page:
                yield each
            if len(page) < _PAGE:
                return
            after = page[-1].ticket_id


def _parts_of(document: dict[str, Any]) -> Parts:
    complaint = document.get("complaint")
    return Parts(
        ticket_id=document["_id"],
        of=document["of"],
        messages={int(place): message for place, message in document["messages"].items()},
        texts={int(place): from_document(Sealed, text) for place, text in document.get("texts", {}).items()},
        opened=tuple(document["opened"]),
        complaint=None if complaint is None else from_document(Complaint, complaint),
    )
