"""One run: a system, load, a schedule of faults, rest, and the verdict."""

import asyncio
import json
import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from chaos.checker import Summary, Violation, check, summary
from chaos.clients import TEXTS, Clients, Told
from chaos.faults import ACTS, LONG, Scene
from chaos.installation import SERVICES, Installation
from chaos.looking import at_rest, look
from chaos.observation import Observation
from chaos.reading import Observer
from chaos.schedule import Planned
from common.clock import Clock

RATE = 1.0
# A busy machine takes its time; nothing here is a promise of the product.
REST_WITHIN = 420.0
# The desk resolves nothing in the last part: a resolved ticket closes 60 s later by itself.
CLOSES_AFTER = 35.0


@dataclass(frozen=True)
class Run:
    """What became of a run. `faults` are those that were done."""

    seed: int
    faults: Sequence[Planned]
    figures: Summary
    violations: Sequence[Violation]
    folder: Path


async def run(
    folder: Path,
    seed: int,
    schedule: Sequence[Planned],
    seconds: float,
    clock: Clock,
    say: Callable[[str], None],
    *,
    planted: str = "",
) -> Run:
    """Raises SystemFailed where the system doesn't even start."""
    installation = Installation(folder, clock, planted=planted)
    told = Told()
    try:
        say(f"seed {seed}: starting the system in {folder}")
        await installation.start()
        observation = await _observed(installation, seed, schedule, seconds, told, clock, say)
    finally:
        await installation.stop()
    violations = check(observation)
    await asyncio.to_thread(_keep, folder, observation, schedule, violations)
    return Run(seed, schedule, summary(observation, violations), violations, folder)


async def _observed(
    installation: Installation,
    seed: int,
    schedule: Sequence[Planned],
    seconds: float,
    told: Told,
    clock: Clock,
    say: Callable[[str], None],
) -> Observation:
    observer = Observer(installation.kafka, clock)
    watching = asyncio.ensure_future(observer.run())
    clients = Clients(installation, random.Random(seed), told, clock)
    began = clock.monotonic()
    try:
        load = asyncio.ensure_future(clients.keep_busy(seconds, RATE, max(0.0, seconds - CLOSES_AFTER)))
        scene = Scene(installation, observer, clock, say)
        for fault in schedule:
            await clock.sleep(max(0.0, fault.at - (clock.monotonic() - began)))
            say(f"{clock.monotonic() - began:6.1f} s  {fault.number:3}/{len(schedule)}  {fault}")
            await {**ACTS, **{kind.name: act for kind, act in LONG.items()}}[fault.name](scene, fault)
        await load
        installation.resume_all()
        await installation.end_second_worker()
        await installation.behave({})
        say(f"{clock.monotonic() - began:6.1f} s  no more load; waiting until everything has come to rest")
        why = await at_rest(installation, observer, clock.monotonic(), clock, REST_WITHIN)
        if why:
            say(f"        it didn't come to rest within {REST_WITHIN:.0f} s: {why}")
            # Their logs then say where they stand.
            for name in SERVICES:
                installation.hit(name, signal.SIGUSR1)
        return await look(installation, observer, told, clock, sealed=[*told.contacts, *(text for _, text in TEXTS)])
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await clients.close()


def _keep(folder: Path, observation: Observation, schedule: Sequence[Planned], violations: Sequence[Violation]) -> None:
    """The observation as JSON lines, for whoever looks for the cause."""

    def plain(value: Any) -> Any:
        return value.isoformat() if isinstance(value, datetime) else str(value)

    with open(folder / "observation.jsonl", "w") as file:
        for kind in ("requests", "commands", "records", "poisoned", "tickets", "ledger", "budgets", "sent", "lags"):
            for item in getattr(observation, kind):
                row = {"kind": kind, "type": type(item).__name__, **asdict(item)}
                file.write(json.dumps(row, default=plain, ensure_ascii=False) + "\n")
        for violation in violations:
            file.write(json.dumps({"kind": "violation", **asdict(violation)}, ensure_ascii=False) + "\n")
    (folder / "schedule.txt").write_text("\n".join(f"{fault.at:.1f} {fault}" for fault in schedule) + "\n")
