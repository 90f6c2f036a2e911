"""How late the watchdog finds breaches with many armed timers: `make bench BENCH=watchdog_lateness_p99_1m`.

Starts a system of its own (broker, database, sla), arms the timers through complaints.v1, lets `--rate` promises lapse
each second for `--seconds`, and reports lateness as an outsider sees it: from the deadline to the moment the breach is
read from sla-events.v1. Also the rate of arming, and the growth of the worker's memory for a ticket.
"""

import asyncio
import secrets
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.figures import Result, percentile
from bench.progress import Progress
from common.clock import SystemClock
from common.events import Outgoing
from common.policyfiles import load_brand
from common.publisher import Publisher
from common.words import from_timestamp, to_timestamp
from deploy.local.settings import ROOT
from deploy.local.system import System
from gen.pingxi.v1.complaint_pb2 import ComplaintSubmitted
from gen.pingxi.v1.sla_event_pb2 import SlaBreached
from rules import number
from rules.model import ComplaintFacts, Metric, Promise
from rules.routing import decide
from wire.promise import promise_to_proto, target_to_proto

CLOCK = SystemClock()
BATCH = 5000


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def complaints(count: int, due: list[datetime]) -> "list[ComplaintSubmitted]":
    """One clock each (first response); the first ones are due at `due`, the others in a day."""
    policies = load_brand(ROOT / "policies" / "default")
    decision = decide(policies, ComplaintFacts(declared="配送", text="还没送到", brand="default", channel="app"))
    target = next(t for t in decision.targets if t.metric is Metric.FIRST_RESPONSE)
    now = CLOCK.now()
    proto = target_to_proto(target, decision.sla_policy, policies.hash)
    far = now + timedelta(days=1)
    return [
        ComplaintSubmitted(
            ticket_id=number.from_random(secrets.randbits(60)),
            brand="default",
            customer_ref=f"c{index}",
            acknowledged_at=to_timestamp(now),
            promise=promise_to_proto(Promise(due[index] if index < len(due) else far, None)),
            targets=[proto],
            policy_hash=policies.hash,
        )
        for index in range(count)
    ]


async def publish(publisher: Publisher, messages: "list[ComplaintSubmitted]", progress: Progress) -> None:
    """Into the log, with progress."""
    now = CLOCK.now()
    for start in range(0, len(messages), BATCH):
        part = messages[start : start + BATCH]
        await publisher.publish_all(
            [Outgoing("complaints.v1", m.ticket_id, m.ticket_id, m.ticket_id, now, m) for m in part], 60.0
        )
        progress.step("complaints in the log", start + len(part), len(messages))


async def until_events(
    consumer: AIOKafkaConsumer, kind: bytes, count: int, progress: Progress, within: float
) -> list[float]:
    """Reads `count` events of a kind; seconds from deadline to reading, where the event has a deadline."""
    lateness: list[float] = []
    seen = 0
    give_up = CLOCK.monotonic() + within
    while seen < count and CLOCK.monotonic() < give_up:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            read_at = CLOCK.now()
            for record in records:
                if dict(record.headers).get("ce_type") != kind:
                    continue
                seen += 1
                if kind.endswith(b"SlaBreached"):
                    deadline = from_timestamp(SlaBreached.FromString(record.value).breached_at)
                    assert deadline is not None
                    lateness.append((read_at - deadline).total_seconds())
        progress.step(kind.decode().rpartition(".")[2], min(seen, count), count)
    if seen < count:
        raise RuntimeError(f"only {seen} of {count} {kind.decode()} within {within:.0f} s")
    return lateness


async def echoes(kafka: str, instants: Sequence[datetime], within: float) -> list[float]:
    """Seconds from each instant to the reading of a message that was sent at it: what timer and broker alone take."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True, linger_ms=2)
    consumer = AIOKafkaConsumer("dead-letters.v1", bootstrap_servers=kafka)
    await producer.start()
    await consumer.start()
    # From here on, not from whenever the first message has been sent.
    await consumer.seek_to_end()
    taken: list[float] = []

    async def send() -> None:
        sent = []
        for index, instant in enumerate(instants):
            await asyncio.sleep(max(0.0, (instant - CLOCK.now()).total_seconds()))
            sent.append(await producer.send("dead-letters.v1", b"%d" % index))
        await asyncio.gather(*sent)

    sending = asyncio.ensure_future(send())
    try:
        async with asyncio.timeout(within + 60):
            while len(taken) < len(instants):
                for records in (await consumer.getmany(timeout_ms=50)).values():
                    now = CLOCK.now()
                    taken += [(now - instants[int(record.value)]).total_seconds() for record in records]
            await sending
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await consumer.stop()
        await producer.stop()
    return taken


async def late(short: bool, progress: Progress) -> Sequence[Result]:
    """`watchdog_lateness_p99_1m` (20,000 timers in the short form), and what it costs to arm and to keep a timer."""
    timers, rate, seconds = (20_000, 500, 10) if short else (1_000_000, 1000, 60)
    lapsing = rate * seconds
    with tempfile.TemporaryDirectory() as folder, System(Path(folder), only=("kafka", "mongo", "sla")) as system:
        await asyncio.to_thread(system.ready)
        kafka = system.env["PINGXI_KAFKA"]
        publisher = Publisher(kafka, "bench")
        await publisher.start()
        consumer = AIOKafkaConsumer("sla-events.v1", bootstrap_servers=kafka, auto_offset_reset="earliest")
        await consumer.start()
        pid = system.pids("sla") or 0
        empty = resident_bytes(pid)
        started = CLOCK.monotonic()
        waiting = complaints(timers - lapsing, [])
        await publish(publisher, waiting, progress)
        del waiting
        bound = 60 + timers / 300
        await until_events(consumer, b"pingxi.v1.SlaArmed", timers - lapsing, progress, bound)
        arming = CLOCK.monotonic() - started
        # Armed in good time: lateness is to show the watchdog at `rate`, not the arming.
        first = CLOCK.now() + timedelta(seconds=10 + lapsing / 800)
        due = [first + timedelta(seconds=index / rate) for index in range(lapsing)]
        await publish(publisher, complaints(lapsing, due), progress)
        echo = asyncio.ensure_future(echoes(kafka, due[::10], bound + seconds))
        lateness = sorted(await until_events(consumer, b"pingxi.v1.SlaBreached", lapsing, progress, bound + seconds))
        echoed = sorted(await echo)
        if system.pids("sla") != pid:
            raise RuntimeError(f"sla didn't live through it:\n{system.log('sla')[-3000:]}")
        full = resident_bytes(pid)
        await consumer.stop()
        await publisher.stop()
    return [
        Result(
            "watchdog_lateness_p99_1m",
            percentile(lateness, 0.99),
            "s",
            "a message sent by a sleeping task at its instant and read back, p99, at the same time",
            percentile(echoed, 0.99),
            limit="the broker's acknowledgement of effects, then of the rows",
            facts={
                "timers": float(timers),
                "breaches_per_second": float(rate),
                "p50_seconds": percentile(lateness, 0.5),
                "max_seconds": lateness[-1],
                "armed_per_second": (timers - lapsing) / arming,
                "bytes_per_ticket": (full - empty) / timers,
            },
        )
    ]
