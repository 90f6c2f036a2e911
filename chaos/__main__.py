"""`python -m chaos`: fault runs against the running system (docs/reliability.md). Exit 1 on any violation."""

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from chaos.faults import FAULTS, LONG
from chaos.planted import PLANTS, Plant
from chaos.runner import Run, run
from chaos.schedule import plan
from common.clock import SystemClock
from deploy.local.system import SystemFailed

# Seconds of one run; then comes a fresh system with the next seed.
LONGEST = 240.0
PLANTED_SECONDS = 40.0
HEADINGS = (
    "seed",
    "faults",
    "acknowledged",
    "unknown",
    "breaches",
    "lost",
    "duplicated",
    "violations",
    "latest breach",
)


def main() -> int:
    """0: no violation. 1: some. 2: a wrong argument."""
    arguments = _arguments()
    kinds = [*FAULTS, *LONG]
    if arguments.list:
        for kind in kinds:
            print(f"{kind.name:36} {', '.join(kind.targets)}")
        return 0
    if arguments.only:
        kinds = [kind for kind in kinds if kind.name in arguments.only]
        if not kinds:
            print(f"There is no fault of that name; --list shows them: {', '.join(arguments.only)}", file=sys.stderr)
            return 2
    else:
        kinds = list(FAULTS)
    clock = SystemClock()
    began = clock.monotonic()
    planted = {name: PLANTS[name] for name in PLANTS if arguments.planted in ("all", name)}
    if arguments.planted and not planted:
        print(f"There is no planted bug {arguments.planted!r}; there are: {', '.join(PLANTS)}", file=sys.stderr)
        return 2

    def say(line: str) -> None:
        print(f"[{clock.monotonic() - began:7.1f}] {line}", flush=True)

    first = arguments.seed if arguments.seed is not None else secrets.randbelow(10**6)
    base = Path(tempfile.mkdtemp(prefix="pingxi-chaos-"))
    if planted:
        return _planted(planted, base, first, say)
    rounds = max(1, round(arguments.seconds / LONGEST))
    runs: list[Run] = []
    for number in range(rounds):
        seed, seconds = first + number, arguments.seconds / rounds
        schedule = plan(kinds, seed, seconds, arguments.faults)
        folder = base / str(seed)
        folder.mkdir()
        try:
            done = asyncio.run(run(folder, seed, schedule, seconds, clock, say))
        except SystemFailed as error:
            say(str(error))
            return 1
        runs.append(done)
        for violation in done.violations:
            say(
                f"VIOLATION of invariant {violation.invariant}: {violation.name} {violation.subject} {violation.detail}"
            )
        if not done.violations and not arguments.keep:
            shutil.rmtree(folder)
        say(f"seed {seed}: {len(schedule)} faults, {len(done.violations)} violations")
    print(table(runs))
    bad = [each for each in runs if each.violations]
    for each in bad:
        print(f"\nSeed {each.seed}: logs and what was observed are in {each.folder}")
        print(f"Again: python -m chaos --seed {each.seed} --seconds {arguments.seconds / rounds:.0f}")
    return 1 if bad else 0


def _planted(plants: Mapping[str, Plant], base: Path, seed: int, say: Callable[[str], None]) -> int:
    """A short run with each bug: 0 where every one of them was found."""
    missed = []
    for number, (name, planted) in enumerate(plants.items()):
        kinds = [kind for kind in FAULTS if kind.name in planted.only]
        schedule = plan(kinds, seed + number, PLANTED_SECONDS)
        folder = base / str(number)
        folder.mkdir()
        say(f"planted: {name}")
        done = asyncio.run(run(folder, seed + number, schedule, PLANTED_SECONDS, SystemClock(), say, planted=name))
        names = Counter(violation.name for violation in done.violations)
        hit = any(names[each] for each in planted.found)
        say(f"{'found' if hit else 'MISSED'}: {name}: {dict(names)}")
        if not hit:
            missed.append(name)
            say(f"logs and what was observed are in {folder}")
        else:
            shutil.rmtree(folder)
    return 1 if missed else 0


def table(runs: Sequence[Run]) -> str:
    """The table of faults, and that of runs."""
    faults = Counter((fault.name, fault.target) for each in runs for fault in each.faults)
    lines = ["", "| fault | where | times |", "|---|---|---|"]
    lines += [f"| {name} | {target} | {count} |" for (name, target), count in sorted(faults.items())]
    lines += ["", "| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    for each in runs:
        f = each.figures
        row = (
            *(each.seed, len(each.faults), f.acknowledged, f.unknown, f.breaches, f.lost, f.duplicated),
            *(len(each.violations), f"{f.late.total_seconds():.1f} s"),
        )
        lines.append("| " + " | ".join(map(str, row)) + " |")
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the first run; the same one gives the same schedule")
    parser.add_argument("--seconds", type=float, default=90.0, help="of load and faults, in runs of some minutes")
    parser.add_argument("--faults", type=int, help="at most so many in a run")
    parser.add_argument("--only", action="append", help="only faults of this name; may be repeated")
    parser.add_argument("--list", action="store_true", help="the faults there are")
    parser.add_argument("--keep", action="store_true", help="keep the folder of a good run, too")
    parser.add_argument("--planted", nargs="?", const="all", default="", help="planted bugs: all, or the one named")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
