"""What Faust is mended in: where partitions go on from after a rebalance, and when that is told."""

from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from services.sla.table import rewind_after_recovery

INPUT, UNREAD, CHANGELOG = TP("tickets.v1", 0), TP("tickets.v1", 1), TP("app-clocks-changelog", 0)


class Consumer:
    """Faust's, as far as it is touched: knows a committed offset of one of its partitions."""

    def __init__(self) -> None:
        self._read_offset: dict[TP, int | None] = {INPUT: 7, UNREAD: None}
        self.sought: list[tuple[TP, int]] = []
        self.perform_seek: Callable[[], Awaitable[None]] = self._seek_to_committed

    async def _seek_to_committed(self) -> None:
        return None

    def assignment(self) -> set[TP]:
        return {INPUT, UNREAD, CHANGELOG}

    async def seek(self, partition: TP, offset: int) -> None:
        self.sought.append((partition, offset))


class App:
    """An application whose recovery is completed when the test says so, in a generation of the group."""

    def __init__(self) -> None:
        self.consumer = Consumer()
        self.consumer_generation_id = 3
        self.told: list[Mapping[TP, int]] = []
        self.tables = Tables(clocks=SimpleNamespace(changelog_topic_name=CHANGELOG.topic))
        self.tables.recovery = SimpleNamespace(on_recovery_completed=self._completed)

    async def _completed(self, generation_id: int = 0) -> None:
        await self.consumer.perform_seek()

    async def positioned(self, starts: Mapping[TP, int]) -> None:
        self.told.append(starts)


class Tables(dict[str, Any]):
    """By name, with what recovers them."""

    recovery: Any


@pytest.fixture
def app() -> App:
    made = App()
    rewind_after_recovery(made, made.positioned)
    return made


async def test_after_a_recovery_each_partition_goes_on_from_its_committed_offset_or_its_beginning(app: App) -> None:
    await app.tables.recovery.on_recovery_completed(3)
    assert app.told == [{INPUT: 7, UNREAD: 0}]
    assert app.consumer.sought == [(UNREAD, 0)]


async def test_a_seek_before_the_tables_are_recovered_tells_nobody_to_read_them(app: App) -> None:
    await app.consumer.perform_seek()
    assert app.told == []
    assert app.consumer.sought == [(UNREAD, 0)], "though it is where the partition goes on from"
    await app.tables.recovery.on_recovery_completed(3)
    await app.consumer.perform_seek()
    assert app.told == [{INPUT: 7, UNREAD: 0}], "once, and not at a later seek"


async def test_a_recovery_that_a_newer_rebalance_overtook_tells_nobody(app: App) -> None:
    await app.tables.recovery.on_recovery_completed(2)
    assert app.told == []
