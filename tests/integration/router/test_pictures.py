"""Pictures on the real database, stored as intake stores them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId

from services.intake.model import Picture
from services.intake.store import MongoUploads
from services.router.database import connect, disconnect
from services.router.store_uploads import MongoPictures
from tests.unit.router.pictures_behaviour import Exists, PicturesBehaviour, Put

JPEG = b"\xff\xd8" + b"pixels" * 100_000


@pytest.fixture
async def client(mongo: str) -> AsyncIterator[Any]:
    made = connect(mongo)
    yield made
    await disconnect(made)


@pytest.fixture
async def pictures(client: Any) -> MongoPictures:
    made = MongoPictures(client)
    await made.prepare()
    return made


@pytest.fixture
def put(client: Any) -> Put:
    uploads = MongoUploads(client)

    async def one(picture: str) -> None:
        await uploads.put(picture, Picture(JPEG, 10, 10), "app")

    return one


@pytest.fixture
def exists(client: Any) -> Exists:
    uploads = MongoUploads(client)

    async def one(picture: str) -> bool:
        found = await uploads.get(picture)
        assert found in (None, JPEG)
        return found is not None

    return one


class TestMongoPictures(PicturesBehaviour):
    """The real one."""


async def test_what_is_deleted_leaves_no_bytes_behind(client: Any, pictures: MongoPictures, put: Put) -> None:
    await put("a")
    assert await client.get_default_database()["uploads.chunks"].count_documents({}) > 1
    await pictures.release("T1", ["a"])
    assert await client.get_default_database()["uploads.chunks"].count_documents({}) == 0


async def test_the_pieces_of_an_upload_that_broke_off_go_too(client: Any, pictures: MongoPictures, put: Put) -> None:
    await put("whole")
    chunks = client.get_default_database()["uploads.chunks"]
    yesterday = ObjectId.from_datetime(datetime.now(UTC) - timedelta(hours=30))
    fresh = ObjectId()
    await chunks.insert_many(
        [
            {"_id": yesterday, "files_id": "broken", "n": 0, "data": b"x"},
            {"_id": fresh, "files_id": "under way", "n": 0, "data": b"x"},
        ]
    )
    assert await pictures.sweep(datetime.now(UTC) - timedelta(hours=24)) == 1
    assert sorted(await chunks.distinct("files_id")) == ["under way", "whole"]
