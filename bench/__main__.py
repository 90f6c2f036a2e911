"""`python -m bench [name …]`: measures, prints a table of ratios, writes `bench/results/latest.json`.

Each figure stands beside a reference that was measured in turn with it, in the same run on the same machine. `--short`
does the same on a tenth of the load, for CI.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figures import Result, document
from bench.progress import Progress
from bench.suite import SUITE, chosen

RESULTS = Path(__file__).parent / "results" / "latest.json"


def machine() -> str:
    """What this was measured on, without its name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.machine()}, Python {platform.python_version()}"


def database() -> str:
    """Which database stood behind it."""
    return "SecantusDB (embedded)" if "mongo" in os.environ.get("PINGXI_EMBEDDED", "kafka,mongo") else "MongoDB"


def earlier(facts: Mapping[str, object]) -> list[dict[str, Any]]:
    """The rows written before under the same facts."""
    if not RESULTS.exists():
        return []
    before = json.loads(RESULTS.read_text())
    same = all(before.get(name) == value for name, value in facts.items())
    return list(before["results"]) if same else []


def table(results: list[Result]) -> Table:
    """What a person reads."""
    shown = Table("what", "median", "lowest … highest", "reference", "its median", "ratio", "runs", box=None)
    for each in results:
        spread = f"{each.spread[0]:,.4g} … {each.spread[1]:,.4g}" if each.spread else ""
        beside = "" if each.reference_value is None else f"{each.reference_value:,.4g}"
        ratio = "" if each.ratio is None else f"{each.ratio:.2f}"
        value = f"{each.value:,.4g} {each.unit}"
        shown.add_row(each.name, value, spread, each.reference, beside, ratio, str(each.runs))
    return shown


async def run(names: list[str], short: bool) -> list[Result]:
    """All that is asked for, one after the other. What fails ends the run: a missing row would look fine."""
    results: list[Result] = []
    for benchmark in chosen(names):
        progress = Progress(benchmark.name)
        progress.step(benchmark.what)
        try:
            results += await benchmark.measure(short, progress)
        finally:
            progress.close()
    return results


def main() -> int:
    """0 when everything asked for was measured."""
    rows = "\n".join(f"  {each.name:28} {each.what}" for each in SUITE)
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f"benchmarks:\n{rows}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="which; all that aren't for the asking only if absent")
    parser.add_argument("--short", action="store_true", help="a tenth of the load, for CI")
    args = parser.parse_args()
    load = f"{os.getloadavg()[0]:.1f} at the start"
    try:
        results = asyncio.run(run(args.names, args.short))
    except ValueError as error:
        parser.error(str(error))
    Console(width=None if sys.stdout.isatty() else 180).print(table(results))
    RESULTS.parent.mkdir(exist_ok=True)
    # A full run's rows aren't lost to one of a single benchmark; those of other circumstances are.
    facts = {"machine": machine(), "database": database(), "short": args.short}
    RESULTS.write_text(document({**facts, "load": load}, results, earlier(facts) if args.names else ()))
    print(f"written to {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
