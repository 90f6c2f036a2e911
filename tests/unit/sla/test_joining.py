"""A worker that never gets its partitions ends, so that it is started anew; one that has them never does."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from common.clock import ManualClock
from common.errors import Unavailable
from services.sla.joining import Joining, NeverJoined, Progress, StandsStill

PATIENCE = 60.0


class Enough(Exception):
    """The test has seen what it wanted."""


def looking(
    clock: ManualClock, until: float, answers: Callable[[float], bool] = lambda _: True
) -> Callable[[], Awaitable[object]]:
    """A broker that answers as told, until the test is over."""

    async def broker() -> object:
        if clock.monotonic() > until:
            raise Enough
        if not answers(clock.monotonic()):
            raise Unavailable("away")
        return None

    return broker


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


async def test_a_worker_without_partitions_ends_after_a_while(clock: ManualClock) -> None:
    with pytest.raises(NeverJoined, match="no partitions for 60 s"):
        await Joining(clock, PATIENCE).watch(looking(clock, 10 * PATIENCE))
    assert PATIENCE < clock.monotonic() < 2 * PATIENCE


async def test_time_without_a_broker_does_not_count(clock: ManualClock) -> None:
    with pytest.raises(NeverJoined):
        await Joining(clock, PATIENCE).watch(looking(clock, 10 * PATIENCE, lambda now: now > 3 * PATIENCE))
    assert clock.monotonic() > 4 * PATIENCE


async def test_a_worker_that_got_its_partitions_goes_on_until_they_are_taken_away_for_good(clock: ManualClock) -> None:
    joining = Joining(clock, PATIENCE)
    joining.ends()
    sleep = clock.sleep
    revoked = False

    async def slept(seconds: float) -> None:
        nonlocal revoked
        await sleep(seconds)
        if not revoked and clock.monotonic() > 5 * PATIENCE:
            revoked = True
            joining.begins()

    clock.sleep = slept  # type: ignore[method-assign]
    with pytest.raises(NeverJoined):
        await joining.watch(looking(clock, 10 * PATIENCE))
    assert clock.monotonic() > 6 * PATIENCE


PLACE = ("complaints.v1", 9)


def ends(
    clock: ManualClock, until: float, answers: Callable[[float], bool] = lambda _: True
) -> Callable[[], Awaitable[dict[tuple[str, int], int]]]:
    """The end of one partition: 18, in another nothing waits."""
    broker = looking(clock, until, answers)

    async def found() -> dict[tuple[str, int], int]:
        await broker()
        return {PLACE: 18, ("tickets.v1", 9): 5}

    return found


async def test_a_partition_whose_messages_nobody_takes_ends_the_worker(clock: ManualClock) -> None:
    with pytest.raises(StandsStill, match=r"complaints\.v1/9 stands at 3 for 60 s"):
        await Progress(clock, PATIENCE).watch(ends(clock, 10 * PATIENCE), {PLACE: 3, ("tickets.v1", 9): 5})
    assert clock.monotonic() < 2 * PATIENCE


async def test_a_partition_that_moves_however_slowly_goes_on(clock: ManualClock) -> None:
    class Slowly(dict[tuple[str, int], int]):
        def get(self, place: tuple[str, int], default: int = 0) -> int:  # type: ignore[override]
            return int(clock.monotonic() / (PATIENCE / 2)) if place == PLACE else 5

    with pytest.raises(Enough):
        await Progress(clock, PATIENCE).watch(ends(clock, 8 * PATIENCE), Slowly())


async def test_a_partition_that_is_read_to_its_end_may_stand_for_ever(clock: ManualClock) -> None:
    with pytest.raises(Enough):
        await Progress(clock, PATIENCE).watch(ends(clock, 10 * PATIENCE), {PLACE: 18, ("tickets.v1", 9): 5})


async def test_a_partition_that_waits_for_the_broker_is_not_to_blame(clock: ManualClock) -> None:
    with pytest.raises(StandsStill):
        await Progress(clock, PATIENCE).watch(ends(clock, 10 * PATIENCE, lambda now: now > 3 * PATIENCE), {PLACE: 3})
    assert clock.monotonic() > 4 * PATIENCE
