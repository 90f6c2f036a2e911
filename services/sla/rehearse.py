"""Runs rehearsals on the history in Kafka.

    python -m services.sla rehearse policies/default [--from 2026-11-01] [--to 2026-11-20T12:00:00Z]

reads the policies in that folder (a brand's; what it inherits comes from PINGXI_POLICIES) and prints what would have
differed, for it and for every brand that inherits from it. `make rehearse POLICY=…` does the same.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from common.clock import SystemClock
from common.errors import Unavailable
from common.policyfiles import Files, PolicyError, Texts, from_json, load_from, texts_under
from common.settings import load_settings
from gen.pingxi.v1.policy_pb2 import PolicyVersion
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from rules.model import Calendar, PolicySet
from rules.rehearsal import Comparison, table
from services.sla.history import read_history
from services.sla.rehearsal import Rehearsal
from services.sla.rehearsal_orders import KINDS as ORDER_KINDS
from services.sla.rehearsal_orders import LateOrders
from services.sla.settings import SlaSettings

# An order is placed before its promised time.
_ORDERED_AHEAD = timedelta(days=7)

# From messages done and messages in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Outcome:
    """The comparison, how many tickets it is of, and how many events couldn't be replayed."""

    rows: list[Comparison]
    tickets: int
    unreadable: int


class Known:
    """Every policy version by hash and every calendar of one; the `Calendars` of ports.py."""

    def __init__(self, present: Mapping[str, PolicySet]) -> None:
        self._present = present
        self._by_hash: dict[str, PolicySet] = {}
        self._calendars: dict[str, Calendar] = {}
        for policies in present.values():
            self.add(policies)

    def add(self, policies: PolicySet) -> None:
        """One more version."""
        self._by_hash[policies.hash] = policies
        for calendar in policies.calendars.values():
            self._calendars[calendar.hash] = calendar

    def calendar(self, calendar_hash: str) -> Calendar | None:
        """None where no version has it."""
        return self._calendars.get(calendar_hash)

    def version(self, brand: str, policy_hash: str) -> PolicySet | None:
        """That version, else the brand's present one."""
        return self._by_hash.get(policy_hash) or self._present.get(brand)


async def rehearse(
    bootstrap: str,
    topic_prefix: str,
    changed: Mapping[str, PolicySet],
    present: Mapping[str, PolicySet],
    start: datetime | None,
    end: datetime,
    progress: Progress = lambda done, total: None,
) -> Outcome:
    """Plays tickets.v1 and orders.v1 against `changed`. Raises Unavailable. The loop stays free: threads work."""
    known = Known(present)
    async for batch in read_history(bootstrap, f"{topic_prefix}policies.v1", [PolicyVersion]):
        for message in batch.messages:
            assert isinstance(message.body, PolicyVersion)
            try:
                known.add(from_json(message.body.content))
            except ValueError:
                # Of another program's making: its tickets fall back to the present version, or count as unreadable.
                continue
    rehearsal = Rehearsal(changed, known.version, known, start, end)

    def replay(events: Sequence[TicketEvent]) -> None:
        for event in events:
            rehearsal.event(event)

    async for batch in read_history(bootstrap, f"{topic_prefix}tickets.v1", [TicketEvent], start):
        await asyncio.to_thread(replay, [m.body for m in batch.messages if isinstance(m.body, TicketEvent)])
        progress(batch.done, batch.total)
    orders = LateOrders(changed, present, start, end)
    async for batch in read_history(
        bootstrap, f"{topic_prefix}orders.v1", ORDER_KINDS, start and start - _ORDERED_AHEAD
    ):
        for message in batch.messages:
            orders.event(message.body)
    rows = await asyncio.to_thread(rehearsal.result)
    return Outcome([*rows, *orders.result()], rehearsal.tickets, rehearsal.unreadable)


def with_heirs(
    brands: Mapping[str, Files], brand: str, files: Files, place: Callable[[str, str], str]
) -> dict[str, PolicySet]:
    """The brand's policies with these files, and those of brands that the change reaches. Raises PolicyError."""
    after = Texts({**brands, brand: files}, place)
    changed = {brand: load_from(after, brand)}
    for other in brands:
        if other != brand and (heir := load_from(after, other)).hash != load_from(Texts(brands, place), other).hash:
            changed[other] = heir
    return changed


def main(arguments: Sequence[str]) -> int:
    """The command; 0 once the table is printed, 1 with sentences on standard error."""
    parser = argparse.ArgumentParser(prog="python -m services.sla rehearse", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="a brand's folder with the changed policies")
    parser.add_argument("--from", dest="start", type=_instant, help="tickets acknowledged from then on")
    parser.add_argument("--to", dest="end", type=_instant, help="and before then (default: now)")
    options = parser.parse_args(arguments)
    settings = load_settings(SlaSettings)
    folder: Path = options.folder.resolve()
    try:
        brands = texts_under(settings.policies)
        files = texts_under(folder.parent).get(folder.name, {})
        present = {brand: load_from(Texts(brands), brand) for brand in brands}
        changed = with_heirs(
            brands,
            folder.name,
            files,
            lambda brand, name: str((options.folder if brand == folder.name else settings.policies / brand) / name),
        )
        end = options.end or SystemClock().now()
        outcome = asyncio.run(
            rehearse(settings.kafka, settings.topic_prefix, changed, present, options.start, end, _told())
        )
    except (PolicyError, Unavailable, UnicodeDecodeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(report(outcome, sorted(changed)) + "\n")
    return 0


def report(outcome: Outcome, brands: Sequence[str]) -> str:
    """What is printed: before → after."""
    if not outcome.rows:
        return f"No tickets of {', '.join(brands)} in this time: nothing to compare."
    lines = [f"{outcome.tickets} tickets replayed: as it was → with the changed policy", "", table(outcome.rows)]
    if outcome.unreadable:
        lines += ["", f"{outcome.unreadable} events could not be replayed (their policy version is gone)."]
    return "\n".join(lines)


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a time such as 2026-11-20 or 2026-11-20T12:00:00Z: {text}"
        ) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _told() -> Progress:
    """Says on standard error how far it is, at most once a second."""
    clock = SystemClock()
    last = clock.monotonic()

    def told(done: int, total: int) -> None:
        nonlocal last
        if clock.monotonic() - last >= 1 or (done == total and total > 0):
            last = clock.monotonic()
            sys.stderr.write(f"{done:,} of {total:,} messages\n")

    return told
