"""The fake store behaves as the real one does."""

import pytest

from common.clock import ManualClock
from tests.fakes_router import START, FakeTickets
from tests.unit.router.behaviour import TicketsBehaviour


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def store(clock: ManualClock) -> FakeTickets:
    return FakeTickets(clock)


class TestFakeTickets(TicketsBehaviour):
    """In memory."""
