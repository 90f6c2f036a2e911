"""How late the watchdog finds breaches with many armed timers: `python -m bench.watchdog --timers 1000000`.

Starts a system of its own (broker, database, sla), arms the timers through complaints.v1, lets `--rate` promises lapse
each second for `--seconds`, and reports lateness as an outsider sees it: from the deadline to the moment the breach is
read from sla-events.v1. Also the rate of arming, and the growth of the worker's memory for a ticket.
"""

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from aiokafka import AIOKafkaConsumer

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


async def publish(publisher: Publisher, messages: "list[ComplaintSubmitted]", what: str) -> None:
    """Into the log, with progress."""
    now = CLOCK.now()
    for start in range(0, len(messages), BATCH):
        part = messages[start : start + BATCH]
        await publisher.publish_all(
            [Outgoing("complaints.v1", m.ticket_id, m.ticket_id, m.ticket_id, now, m) for m in part], 60.0
        )
        print(f"\r{what}: {start + len(part)}/{len(messages)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


async def until_events(consumer: AIOKafkaConsumer, kind: bytes, count: int, what: str, within: float) -> list[float]:
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
        print(f"\r{what}: {seen}/{count}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if seen < count:
        raise SystemExit(f"{what}: only {seen} of {count} within {within:.0f} s")
    return lateness


async def measure(timers: int, rate: int, seconds: int) -> dict[str, float]:
    """Runs it once."""
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
        await publish(publisher, waiting, "published")
        del waiting
        bound = 60 + timers / 300
        await until_events(consumer, b"pingxi.v1.SlaArmed", timers - lapsing, "armed", bound)
        arming = CLOCK.monotonic() - started
        # Armed in good time: lateness is to show the watchdog at `rate`, not the arming.
        first = CLOCK.now() + timedelta(seconds=10 + lapsing / 800)
        due = [first + timedelta(seconds=index / rate) for index in range(lapsing)]
        await publish(publisher, complaints(lapsing, due), "lapsing")
        lateness = sorted(await until_events(consumer, b"pingxi.v1.SlaBreached", lapsing, "breached", bound + seconds))
        full = resident_bytes(pid)
        await consumer.stop()
        await publisher.stop()
    return {
        "timers": timers,
        "rate": rate,
        "breaches": lapsing,
        "armed_per_second": round((timers - lapsing) / arming, 1),
        "lateness_p50": round(lateness[len(lateness) // 2], 4),
        "lateness_p99": round(lateness[len(lateness) * 99 // 100], 4),
        "lateness_max": round(lateness[-1], 4),
        "bytes_per_ticket": round((full - empty) / timers, 1),
    }


def main() -> int:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timers", type=int, default=100_000, help="armed timers in all")
    parser.add_argument("--rate", type=int, default=1000, help="promises that lapse each second")
    parser.add_argument("--seconds", type=int, default=20, help="for how long they lapse")
    args = parser.parse_args()
    if not 0 < args.rate * args.seconds <= args.timers <= 2_000_000:
        parser.error("expected 0 < rate × seconds <= timers <= 2000000")
    print(json.dumps(asyncio.run(measure(args.timers, args.rate, args.seconds)), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
