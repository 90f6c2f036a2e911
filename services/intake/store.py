"""Uploads in MongoDB's GridFS, bucket `uploads`: the only database code of intake, and of no use to complaints.

A file's `_id` is the upload's id; `metadata`: {channel, width, height}. The router adds `ticket` once a ticket has it,
and deletes what no ticket claimed within a day (services/router/store_uploads.py).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pymongo
from gridfs.errors import NoFile
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorGridFSBucket
from pymongo.errors import PyMongoError

from common.errors import Unavailable
from services.intake.images import MEDIA_TYPE
from services.intake.model import Picture

BUCKET = "uploads"
_CALL_SECONDS = 5.0


def connect(uri: str) -> Any:
    """A client that gives up after 2 s when nobody answers. It connects at the first call."""
    return AsyncIOMotorClient(uri, w="majority", journal=True, serverSelectionTimeoutMS=2000, appname="pingxi-intake")


async def disconnect(client: Any) -> None:
    """Ends the client, bounded and not on the loop's time."""
    with pymongo.timeout(1.0):
        await asyncio.to_thread(client.close)


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    try:
        with pymongo.timeout(_CALL_SECONDS):
            yield
    except PyMongoError as error:
        raise Unavailable("pictures can't be kept or read at the moment") from error


class MongoUploads:
    """Keeps `services.intake.ports.UploadStore`."""

    def __init__(self, client: Any) -> None:
        self._bucket = AsyncIOMotorGridFSBucket(client.get_default_database(), BUCKET)

    async def put(self, upload_id: str, picture: Picture, channel: str) -> None:
        facts = {"channel": channel, "type": MEDIA_TYPE, "width": picture.width, "height": picture.height}
        async with _answering():
            await self._bucket.upload_from_stream_with_id(upload_id, upload_id, picture.data, metadata=facts)

    async def get(self, upload_id: str) -> bytes | None:
        async with _answering():
            try:
                stream = await self._bucket.open_download_stream(upload_id)
                return bytes(await stream.read())
            except NoFile:
                return None
