"""The store on the real database."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from common.clock import ManualClock, SystemClock
from common.errors import Unavailable
from services.router.database import connect, disconnect
from services.router.store import MongoTickets
from services.router.store_parts import MongoParts
from tests.fakes_router import START, complaint
from tests.unit.router.behaviour import TicketsBehaviour, opened
from tests.unit.router.parts_behaviour import PartsBehaviour


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def store(mongo: str, clock: ManualClock) -> AsyncIterator[MongoTickets]:
    client: Any = connect(mongo)
    tickets = MongoTickets(client, clock)
    await tickets.prepare()
    yield tickets
    await disconnect(client)


class TestMongoTickets(TicketsBehaviour):
    """The real one."""


async def test_no_plain_contact_or_text_is_stored(store: MongoTickets) -> None:
    await store.add([opened(complaint(1, "菜里有虫子"))])
    document = repr(await store._tickets.find_one({}))
    assert "13800000000" not in document
    # The policy's word that matched is evidence; the customer's sentence isn't kept in the clear.
    assert "菜里有虫子" not in document


async def test_a_database_that_is_away_is_unavailable_soon(clock: ManualClock, unused_tcp_port: int) -> None:
    client: Any = connect(f"mongodb://127.0.0.1:{unused_tcp_port}/none")
    store = MongoTickets(client, clock)
    started = SystemClock().monotonic()
    with pytest.raises(Unavailable):
        await store.get("x")
    assert SystemClock().monotonic() - started < 3
    await disconnect(client)


class TestMongoParts(PartsBehaviour):
    """Parts of texts in the real database."""

    @pytest.fixture
    async def parts(self, mongo: str) -> AsyncIterator[MongoParts]:
        client = connect(mongo)
        store = MongoParts(client, ManualClock(START))
        await store.prepare()
        yield store
        await disconnect(client)
