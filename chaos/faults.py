"""What can be done to the system: a row names it, a function does it. A later part adds a row and a function."""

import asyncio
import random
import resource
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import PyMongoError

from chaos.installation import PROCESSES, SERVICES, Installation
from chaos.reading import Observer
from chaos.records import INTERNAL, JUDGED, MARK
from chaos.schedule import Kind, Planned
from common.clock import Clock
from gen.pingxi.v1.complaint_pb2 import ComplaintSubmitted

Headers = list[tuple[str, bytes]]


@dataclass
class Scene:
    """What a fault has at hand."""

    installation: Installation
    observer: Observer
    clock: Clock
    done: Callable[[str], None]

    async def until(self, condition: Callable[[], Awaitable[bool]], within: float) -> bool:
        """Waits for the chosen point; False where it doesn't come."""
        give_up = self.clock.monotonic() + within
        while not await condition():
            if self.clock.monotonic() > give_up:
                return False
            await self.clock.sleep(0.02)
        return True


Act = Callable[[Scene, Planned], Awaitable[None]]


async def _kill(scene: Scene, fault: Planned) -> None:
    scene.installation.hit(fault.target, signal.SIGKILL)


async def _terminate(scene: Scene, fault: Planned) -> None:
    scene.installation.hit(fault.target, signal.SIGTERM)


async def _freeze(scene: Scene, fault: Planned) -> None:
    pid = scene.installation.hit(fault.target, signal.SIGSTOP)
    try:
        await scene.clock.sleep(fault.lasts)
    finally:
        if pid is not None:
            scene.installation.resume(pid)


async def _cut_off(scene: Scene, fault: Planned) -> None:
    async with scene.installation.proxies[fault.target].being("refusing"):
        await scene.clock.sleep(fault.lasts)


async def _half_open(scene: Scene, fault: Planned) -> None:
    async with scene.installation.proxies[fault.target].being("frozen"):
        await scene.clock.sleep(fault.lasts)


async def _answers_lost(scene: Scene, fault: Planned) -> None:
    async with scene.installation.proxies[fault.target].being("deaf"):
        await scene.clock.sleep(fault.lasts)


async def _kill_and_again(scene: Scene, fault: Planned) -> None:
    """Dies again while it rebuilds what the first death took from it."""
    old = scene.installation.hit(fault.target, signal.SIGKILL)

    async def there_again() -> bool:
        return scene.installation.pid(fault.target) not in (None, old)

    if await scene.until(there_again, 15.0):
        # Anywhere between the first line of the program and its being ready.
        await scene.clock.sleep(random.Random(fault.seed).uniform(0.0, 4.0))
        scene.installation.hit(fault.target, signal.SIGKILL)


async def _second_worker(scene: Scene, fault: Planned) -> None:
    """Another sla worker joins; in the middle of it one of the two dies; at last the second one goes."""
    chance = random.Random(fault.seed)
    await scene.installation.start_second_worker()
    # In every second case while it is still joining, as early as that may be.
    await scene.until(scene.installation.second_is_ready, chance.choice((6.0, 30.0)))
    if fault.target == "first dies":
        scene.installation.hit("sla", signal.SIGKILL)
        await scene.clock.sleep(fault.lasts)
    elif fault.target == "both go on":
        await scene.clock.sleep(fault.lasts)
    await scene.installation.end_second_worker(signal.SIGKILL if chance.random() < 0.7 else signal.SIGTERM)


async def _between_claim_and_send(scene: Scene, fault: Planned) -> None:
    """The notifier dies when it has claimed a message and the provider has not answered yet."""
    client: Any = AsyncIOMotorClient(scene.installation.mongo, serverSelectionTimeoutMS=2000)
    rows = client.get_default_database()["deliveries"]

    async def claimed() -> bool:
        with suppress(PyMongoError):
            return await rows.find_one({"state": "claimed"}) is not None
        return False

    await scene.installation.behave({"delaySeconds": 2.0})
    try:
        await scene.until(claimed, 6.0)
        scene.installation.hit("notifier", signal.SIGKILL)
        await scene.clock.sleep(fault.lasts)
    finally:
        await scene.installation.behave({})
        client.close()


async def _between_store_and_publish(scene: Scene, fault: Planned) -> None:
    """The router dies when it has stored a change and the broker has not taken its event yet."""
    client: Any = AsyncIOMotorClient(scene.installation.mongo, serverSelectionTimeoutMS=2000)
    tickets = client.get_default_database()["tickets"]

    async def waiting() -> bool:
        with suppress(PyMongoError):
            return await tickets.find_one({"waiting": {"$gt": 0}}) is not None
        return False

    broker = scene.installation.hit("kafka", signal.SIGSTOP)
    try:
        await scene.until(waiting, 6.0)
        scene.installation.hit("router", signal.SIGKILL)
        await scene.clock.sleep(fault.lasts)
    finally:
        if broker is not None:
            scene.installation.resume(broker)
        client.close()


async def _disk_full(scene: Scene, fault: Planned) -> None:
    """No file of the worker may grow any more: what a full disk does to its state folder and its log.

    The limit is set on the running process (RLIMIT_FSIZE by prlimit), so no file system and no root is needed. What
    is started in its place has room again.
    """
    pid = scene.installation.pid(fault.target)
    if pid is None:
        return
    with suppress(ProcessLookupError, PermissionError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    await scene.clock.sleep(fault.lasts)
    with suppress(ProcessLookupError, PermissionError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


async def _slow_provider(scene: Scene, fault: Planned) -> None:
    chance = random.Random(fault.seed)
    await scene.installation.behave({"fail": 0.4, "timeout": 0.3, "delaySeconds": chance.uniform(0.0, 2.0)})
    try:
        await scene.clock.sleep(fault.lasts)
    finally:
        await scene.installation.behave({})


async def _send(scene: Scene, messages: Sequence[tuple[str, bytes | None, bytes | None, Headers, int | None]]) -> None:
    """Puts messages into topics; whether they landed is read from the log later, so a broker that is away may be."""
    producer = AIOKafkaProducer(bootstrap_servers=scene.installation.kafka, request_timeout_ms=10_000)
    try:
        async with asyncio.timeout(20.0):
            await producer.start()
            for topic, key, value, headers, partition in messages:
                await producer.send_and_wait(topic, value, key, partition=partition, headers=headers)
    except (KafkaError, OSError, TimeoutError) as error:
        scene.done(f"not all sent: {type(error).__name__}")
    finally:
        with suppress(KafkaError, OSError, TimeoutError):
            await asyncio.wait_for(producer.stop(), 10.0)


def _repeat(record: ConsumerRecord) -> tuple[str, bytes | None, bytes | None, Headers, int | None]:
    headers = [*record.headers, (MARK, b"repeat")]
    return record.topic, record.key, record.value, headers, record.partition


async def _duplicates(scene: Scene, fault: Planned) -> None:
    """Messages that were there come again, the newest as well as the oldest."""
    chance = random.Random(fault.seed)
    await _send(scene, [_repeat(r) for r in scene.observer.some(fault.target, chance, 30)])


async def _reordered(scene: Scene, fault: Planned) -> None:
    """All messages of some tickets come again, in the wrong order."""
    chance = random.Random(fault.seed)
    keys = {r.key for r in scene.observer.some(fault.target, chance, 5)}
    own = [
        r for r in scene.observer.records if r.topic == fault.target and r.key in keys and MARK not in dict(r.headers)
    ]
    await _send(scene, [_repeat(r) for r in sorted(own, key=lambda r: -r.offset)])


READERS: Mapping[str, tuple[str, str]] = {
    # Topic → its readers, and the message they all know.
    "complaints.v1": ("router,sla", "ComplaintSubmitted"),
    "tickets.v1": ("sla,notifier", "TicketEvent"),
    "escalations.v1": ("router,notifier", "TicketEscalated"),
    "vouchers.v1": ("router,notifier", "VoucherIssued"),
    "compensation-requests": ("sla", "CompensationRequested"),
    "sla-due": ("sla", "DueCame"),
    "sla-commands": ("sla", "SlaCommand"),
}


async def _poison(scene: Scene, fault: Planned) -> None:
    """No type, a type of somebody else, bytes that are no message."""
    chance = random.Random(fault.seed)
    readers, kind = READERS[fault.target]
    mark = (MARK, f"poison:{readers}".encode())
    wrong: list[tuple[bytes, Headers]] = [
        (b"\xff no protobuf", [mark]),
        (b"", [mark, ("ce_type", b"other.v9.Thing")]),
        (b"\xff\xff\xff", [mark, ("ce_type", f"pingxi.v1.{kind}".encode()), ("ce_id", b"x")]),
    ]
    messages = [
        (fault.target, chance.randbytes(4), value, headers, None) for value, headers in chance.sample(wrong, len(wrong))
    ]
    await _send(scene, messages)


async def _conflict(scene: Scene, fault: Planned) -> None:
    """Other complaints under ids that are taken: the router refuses them, and nothing is merged."""
    messages = []
    for record in scene.observer.some("complaints.v1", random.Random(fault.seed), 3):
        body = ComplaintSubmitted.FromString(record.value)
        body.fingerprint = "another complaint"
        headers = [*record.headers, (MARK, b"poison:router")]
        messages.append((record.topic, record.key, body.SerializeToString(), headers, record.partition))
    await _send(scene, messages)


FAULTS: Mapping[Kind, Act] = {
    Kind("kill -9", PROCESSES, weight=5): _kill,
    Kind("SIGTERM", SERVICES): _terminate,
    Kind("SIGSTOP", PROCESSES, (1.0, 8.0), weight=3): _freeze,
    Kind("kill -9 during rebuild", ("sla", "router", "notifier", "kafka")): _kill_and_again,
    Kind("rebalance", ("first dies", "second dies", "both go on"), (2.0, 6.0), weight=2): _second_worker,
    Kind("kill -9 between claim and send", ("notifier",), (0.5, 2.0)): _between_claim_and_send,
    Kind("kill -9 between store and publish", ("router",), (0.5, 2.0)): _between_store_and_publish,
    Kind("away", ("kafka", "mongo"), (10.0, 20.0)): _freeze,
    Kind("connections refused", ("mongo", "outbox"), (2.0, 12.0)): _cut_off,
    Kind("half-open", ("mongo", "outbox"), (3.0, 10.0)): _half_open,
    Kind("answers lost", ("mongo", "outbox"), (2.0, 8.0)): _answers_lost,
    Kind("disk full", ("sla",), (2.0, 4.0)): _disk_full,
    Kind("slow provider", ("outbox",), (4.0, 10.0)): _slow_provider,
    Kind("duplicates", (*JUDGED[:-1], *INTERNAL), weight=2): _duplicates,
    Kind("wrong order", JUDGED[:-1]): _reordered,
    Kind("poison", tuple(READERS), weight=2): _poison,
    Kind("conflicting complaint", ("complaints.v1",)): _conflict,
}
ACTS: Mapping[str, Act] = {kind.name: act for kind, act in FAULTS.items()}
# Long absences, one of each in a long run: `python -m chaos --only "away for a minute"`.
LONG: Mapping[Kind, Act] = {Kind("away for a minute", ("kafka", "mongo"), (60.0, 60.0)): _freeze}
