"""The router's connection to MongoDB, and what all of its stores (store*.py) do in the same way."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pymongo
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import BulkWriteError, PyMongoError

from common.errors import Unavailable

DUPLICATE = 11000
BATCH_SECONDS = 8.0
_LIST = 50


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
async def answering(seconds: float) -> AsyncIterator[None]:
    """Bounds the calls inside; a database that doesn't answer is Unavailable."""
    try:
        with pymongo.timeout(seconds):
            yield
    except BulkWriteError:
        raise
    except PyMongoError as error:
        raise Unavailable(f"the ticket database doesn't answer: {type(error).__name__}") from error


def in_few(ticket_ids: Sequence[str]) -> Iterator[list[str]]:
    """At most 50 at a time: of a list the embedded database looks at every member for each document (500 updates in
    one take 2.9 s there, in lists of 50 0.6 s)."""
    for start in range(0, len(ticket_ids), _LIST):
        yield list(ticket_ids[start : start + _LIST])


async def insert_new(collection: Any, documents: Sequence[dict[str, Any]]) -> set[str]:
    """Writes new documents, all in one commit; returns the ids of those refused because they, or what they hold
    alone, are there. Raises Unavailable."""
    try:
        async with answering(BATCH_SECONDS):
            await collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        failures = (error.details or {}).get("writeErrors", [])
        if not failures or any(failure["code"] != DUPLICATE for failure in failures):
            raise Unavailable("the ticket database refused a write") from error
        return {documents[failure["index"]]["_id"] for failure in failures}
    return set()
