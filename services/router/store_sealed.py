"""The sealed values of tickets in MongoDB, for sealing them anew; the tickets themselves are `store.py`'s."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from services.router.database import answering

_BATCH_SECONDS = 30.0
_PAGE = 200


class MongoSealed:
    """Keeps to the shape of a document that `documents.py` writes: `personal` and `messages[].content`."""

    def __init__(self, client: Any) -> None:
        self._tickets = client.get_default_database()["tickets"]

    async def count(self) -> int:
        """How many tickets there are."""
        async with answering(_BATCH_SECONDS):
            return int(await self._tickets.count_documents({}))

    async def all(self) -> AsyncIterator[tuple[str, int, dict[str, dict[str, Any]]]]:
        """Each ticket with its sealed values by path."""
        fields = {"version": 1, "personal": 1, "messages.content": 1}
        after = ""
        while True:
            async with answering(_BATCH_SECONDS):
                cursor = self._tickets.find({"_id": {"$gt": after}}, fields).sort("_id", 1).limit(_PAGE)
                documents = [document async for document in cursor]
            for document in documents:
                yield document["_id"], document["version"], _sealed_values(document)
            if len(documents) < _PAGE:
                return
            after = documents[-1]["_id"]

    async def replace(self, ticket_id: str, version: int, values: Mapping[str, Mapping[str, Any]]) -> bool:
        """Writes values at their paths, if the ticket is still at this version. It stays at it: nothing changed."""
        async with answering(_BATCH_SECONDS):
            done = await self._tickets.update_one({"_id": ticket_id, "version": version}, {"$set": dict(values)})
        return bool(done.matched_count == 1)


def _sealed_values(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found = {"personal": document.get("personal")}
    found |= {f"messages.{at}.content": each.get("content") for at, each in enumerate(document.get("messages", ()))}
    return {path: sealed for path, sealed in found.items() if sealed}
