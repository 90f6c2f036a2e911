"""What every `Pictures` does, the fake and the real one alike. `put(id, at)` stores one as intake does."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from tests.fakes_router import START

Put = Callable[[str], Awaitable[None]]
Exists = Callable[[str], Awaitable[bool]]


class PicturesBehaviour:
    """Needs the fixtures `pictures`, `put` and `exists`."""

    async def test_a_picture_goes_with_the_last_ticket_that_has_it(
        self, pictures: Any, put: Put, exists: Exists
    ) -> None:
        for each in ("a", "b", "c"):
            await put(each)
        await pictures.claim({"T1": ["a", "b", "unknown"], "T2": ["b"]})
        await pictures.claim({"T1": ["a"]})
        assert await pictures.release("T1", ["a", "unknown"]) == 1
        assert [await exists(each) for each in ("a", "b", "c")] == [False, True, True]
        assert await pictures.release("T2", []) == 1
        assert [await exists(each) for each in ("b", "c")] == [False, True]

    async def test_a_picture_that_was_never_claimed_goes_with_the_ticket_that_names_it(
        self, pictures: Any, put: Put, exists: Exists
    ) -> None:
        await put("a")
        assert await pictures.release("T1", ["a"]) == 1
        assert await pictures.release("T1", ["a"]) == 0
        assert not await exists("a")

    async def test_unused_ones_go_once_they_are_old(self, pictures: Any, put: Put, exists: Exists) -> None:
        await put("a")
        await put("b")
        await pictures.claim({"T1": ["b"]})
        assert await pictures.sweep(START - timedelta(days=365 * 50)) == 0
        assert await pictures.sweep(START + timedelta(days=365 * 50)) == 1
        assert [await exists(each) for each in ("a", "b")] == [False, True]
        await pictures.claim({})
