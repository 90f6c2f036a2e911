"""The fake keeps to the same behaviour as the real one."""

import pytest

from tests.fakes_router import START, FakePictures
from tests.unit.router.pictures_behaviour import Exists, PicturesBehaviour, Put


@pytest.fixture
def pictures() -> FakePictures:
    return FakePictures()


@pytest.fixture
def put(pictures: FakePictures) -> Put:
    async def one(picture: str) -> None:
        pictures.add(picture, START)

    return one


@pytest.fixture
def exists(pictures: FakePictures) -> Exists:
    async def one(picture: str) -> bool:
        return picture in pictures.pictures

    return one


class TestFakePictures(PicturesBehaviour):
    """The fake."""
