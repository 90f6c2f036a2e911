"""What the supervisor runs, as data, and the pure decisions about it."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deploy.local.backends import kafka_command, mongo_command
from deploy.local.probes import Probe, http_ready, kafka_ready, mongo_ready
from deploy.local.settings import ROOT, LocalSettings

BACKENDS = ("kafka", "mongo")
FIRST_DELAY = 0.2
LONGEST_DELAY = 5.0
STABLE_AFTER = 10.0


@dataclass(frozen=True)
class Process:
    """One row of the table.

    `listens` are the variables of its addresses, `after` the processes that must be ready first, `stop_within` the
    seconds between SIGTERM and SIGKILL, `needs` the file that must exist for it to run at all. A `once` process is
    ready when it has ended with 0, and isn't started again.
    """

    name: str
    command: tuple[str, ...]
    listens: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    probe: Probe | None = None
    once: bool = False
    stop_within: float = 5.0
    needs: Path | None = None


# name, addresses besides metrics, what must be ready first. Intake accepts complaints without the database.
_SERVICES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("intake", ("PINGXI_INTAKE_HTTP", "PINGXI_INTAKE_GRPC", "PINGXI_INTAKE_SMTP"), ("topics",)),
    ("router", ("PINGXI_ROUTER_GRPC",), ("topics", "mongo")),
    ("sla", ("PINGXI_SLA_GRPC",), ("topics", "mongo")),
    ("notifier", ("PINGXI_NOTIFIER_GRPC",), ("topics", "mongo", "outbox")),
)


def table(settings: LocalSettings) -> list[Process]:
    """Every process of an installation; kafka and mongo only if they are embedded."""
    python = sys.executable
    rows = []
    if "kafka" in settings.embedded:
        ports = ("PINGXI_KAFKA", "PINGXI_KAFKA_CONTROLLER")
        ready = partial(kafka_ready, settings.address("PINGXI_KAFKA"))
        rows.append(Process("kafka", kafka_command(settings), ports, probe=ready, stop_within=4.0))
    if "mongo" in settings.embedded:
        ready = partial(mongo_ready, settings.address("PINGXI_MONGO"))
        rows.append(Process("mongo", mongo_command(settings), ("PINGXI_MONGO",), probe=ready, stop_within=4.0))
    topics = ROOT / "common" / "topics.py"
    rows.append(Process("topics", (python, "-m", "common.topics"), after=("kafka",), once=True, needs=topics))
    ready = partial(http_ready, settings.address("PINGXI_OUTBOX"))
    rows.append(Process("outbox", (python, "-m", "deploy.local.outbox"), ("PINGXI_OUTBOX",), probe=ready))
    for name, own, after in _SERVICES:
        metrics = f"PINGXI_{name.upper()}_METRICS"
        rows.append(
            Process(
                name=name,
                command=(python, "-m", f"services.{name}"),
                listens=(*own, metrics),
                after=after,
                probe=partial(http_ready, settings.address(metrics)),
                needs=ROOT / "services" / name / "__main__.py",
            )
        )
    return rows


def choose(rows: Sequence[Process], only: Sequence[str]) -> list[Process]:
    """The rows named by `only` (all if empty), in the table's order; topics come with any service.

    Raises ValueError with a sentence for an unknown name.
    """
    names = [row.name for row in rows]
    for name in only:
        if name not in names:
            raise ValueError(f"There is no process {name!r} to start; there are {', '.join(names)}.")
    if not only:
        return list(rows)
    chosen = [row for row in rows if row.name in only]
    wants_topics = any("topics" in row.after for row in chosen)
    return [row for row in rows if row in chosen or (row.name == "topics" and wants_topics)]


def missing_programs(rows: Sequence[Process]) -> list[str]:
    """A sentence for each row whose program isn't in this checkout."""
    return [
        f"{row.name} has no program ({row.needs.relative_to(ROOT)} is missing); --only names what to start without it."
        for row in rows
        if row.needs and not row.needs.exists()
    ]


def taken_ports(rows: Sequence[Process], settings: LocalSettings, is_free: Callable[[str], bool]) -> list[str]:
    """A sentence for each address that something else listens on, naming the variable that changes it."""
    return [
        f"{settings.address(variable)} is taken by another program, and {row.name} needs it; {variable} changes it."
        for row in rows
        for variable in row.listens
        if not is_free(settings.address(variable))
    ]


def next_delay(previous: float, uptime: float) -> float:
    """Seconds before a dead process is started again: 0.2, doubling to 5; from 0.2 again once it was up for 10 s.

    `previous` is 0 at the first death.
    """
    if previous == 0 or uptime >= STABLE_AFTER:
        return FIRST_DELAY
    return min(previous * 2, LONGEST_DELAY)
