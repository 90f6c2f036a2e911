"""What outlives a crash in the simulation: the log with its committed offsets, the stores, the provider, the time."""

import random
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from zlib import crc32

from chaos.records import Raw
from common.events import Headers, Incoming, Outgoing, encode
from common.policyfiles import load_brand
from common.words import from_us
from deploy.local.settings import ROOT
from rules.model import Metric, PolicySet
from services.router.model import Event, Ticket, Update

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PARTITIONS = 2
STEP, IDLE = "step", "idle"
# A process is a generator: at every yield it may die, wait, or be overtaken.
Steps = Generator[str, None, None]


@cache
def policies(*, resolution: bool = False) -> PolicySet:
    """Brand `demo` with the fewest promises that show everything: that of the first answer, and of the `resolution`."""
    whole = load_brand(ROOT / "policies" / "demo")
    wanted = {Metric.FIRST_RESPONSE, *([Metric.RESOLUTION] if resolution else [])}
    sla = tuple(
        replace(
            policy,
            targets={
                priority: tuple(replace(t, warn_percent=()) for t in targets if t.metric in wanted)
                for priority, targets in policy.targets.items()
            },
        )
        for policy in whole.sla
    )
    return replace(whole, sla=sla)


@dataclass(frozen=True)
class Stamped(Raw):
    """A record, and when it landed."""

    at: datetime


class Log:
    """Topics whose joined ones have the same partitions; groups with committed offsets."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, int], list[Stamped]] = {}
        self.committed: dict[tuple[str, str, int], int] = {}

    def append(self, message: Outgoing, at: datetime) -> None:
        """As a producer does."""
        key, value, headers = encode(message, "simulation")
        self.put(message.topic, key, value, headers, at, message.partition)

    def put(
        self, topic: str, key: bytes, value: bytes | None, headers: Headers, at: datetime, partition: int | None = None
    ) -> None:
        """Bytes as they are."""
        number = crc32(key) % PARTITIONS if partition is None else partition
        records = self.records.setdefault((topic, number), [])
        records.append(Stamped(topic, number, len(records), key, value, headers, at))

    def end(self, topic: str, partition: int) -> int:
        """The next offset."""
        return len(self.records.get((topic, partition), ()))

    def read(self, topic: str, partition: int, start: int, most: int) -> Sequence[Stamped]:
        """Records from an offset on."""
        return self.records.get((topic, partition), [])[start : start + most]

    def everything(self) -> list[Stamped]:
        """All records there are."""
        return [record for records in self.records.values() for record in records]


@dataclass
class Store:
    """MongoDB: every method is one write, which happens or doesn't."""

    tickets: dict[str, Ticket] = field(default_factory=dict)
    outbox: dict[str, list[Event]] = field(default_factory=dict)
    ledger: dict[str, object] = field(default_factory=dict)
    unpublished: set[str] = field(default_factory=set)
    budgets: dict[str, int] = field(default_factory=dict)
    deliveries: dict[str, str] = field(default_factory=dict)

    def add(self, update: Update) -> bool:
        """Inserts a ticket; False where it is there."""
        if update.ticket.id in self.tickets:
            return False
        return self._write(update)

    def save(self, update: Update) -> bool:
        """Compare-and-set on the version."""
        if self.tickets[update.ticket.id].version != update.base:
            return False
        return self._write(update)

    def _write(self, update: Update) -> bool:
        self.tickets[update.ticket.id] = update.ticket
        self.outbox.setdefault(update.ticket.id, []).extend(update.events)
        return True

    def clear(self, ticket_id: str, version: int) -> None:
        """Removes events up to a version from an outbox."""
        self.outbox[ticket_id] = [e for e in self.outbox[ticket_id] if e.ticket.version > version]


@dataclass
class Memory:
    """What an sla worker has of a partition, and loses with it."""

    positions: dict[tuple[str, int], int] = field(default_factory=dict)
    guard: Mapping[tuple[str, int], int] = field(default_factory=dict)
    timers: list[tuple[int, bytes]] = field(default_factory=list)


class World:
    """`bugs` are the switches of planted.py that are on. `chance` decides everything that isn't decided elsewhere."""

    def __init__(self, seed: int, bugs: Collection[str] = ()) -> None:
        self.chance = random.Random(seed)
        self.bugs = frozenset(bugs)
        self.now = START
        self.policies = policies(resolution=self.chance.random() < 0.25)
        self.log = Log()
        self.store = Store()
        # Partition → the watchdog's table, as its changelog has it.
        self.tables: list[dict[bytes, bytes]] = [{} for _ in range(PARTITIONS)]
        self.taken: list[tuple[str, str, str, str]] = []
        self.credits: list[tuple[str, int]] = []
        self.printed: list[str] = []
        self.away: set[str] = set()
        # Counts deaths: whoever asked a process that died meanwhile gets no answer.
        self.lives = {"intake": 0, "router": 0}
        self.repeats = 0.0
        self.instants: list[datetime] = []
        self.memories: dict[int, Memory] = {}

    def ahead(self) -> list[datetime]:
        """When somebody has something to do."""
        timers = (from_us(due_us) for memory in self.memories.values() for due_us, _ in memory.timers[:1])
        return [*self.instants, *(instant for instant in timers if instant is not None)]

    def wake_at(self, instant: datetime) -> None:
        """Something is to be done then: time may not jump over it at rest."""
        self.instants.append(instant)

    def pass_time(self, by: timedelta) -> None:
        """Later."""
        self.now += by


def publish(world: World, message: Outgoing) -> Steps:
    """Returns when the log has it. A retried send may land twice."""
    while "log" in world.away:
        yield IDLE
    yield STEP
    world.log.append(message, world.now)
    while world.chance.random() < world.repeats:
        world.log.append(message, world.now)
    yield STEP


def incoming(record: Stamped, body: object, type_: str) -> Incoming:
    """A record as a handler gets it."""
    headers = dict(record.headers)
    return Incoming(
        record.topic,
        record.partition,
        record.offset,
        (record.key or b"").decode("utf-8", "replace"),
        type_,
        headers.get("ce_id", b"").decode(),
        None,
        body,  # type: ignore[arg-type]  # a protobuf message
    )
