"""`python -m chaos.simulation`: many seeds, or one that is looked at closely. Exit 1 on any violation."""

import argparse
import sys

from chaos.records import record_of
from chaos.simulation.planted import BUGS
from chaos.simulation.play import Play


def main() -> int:
    """0: no violation."""
    parser = argparse.ArgumentParser(prog="python -m chaos.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="this one only, with everything that was published")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--bug", action="append", default=[], choices=[*BUGS], help="plant a bug")
    arguments = parser.parse_args()
    seeds = (
        [arguments.seed] if arguments.seed is not None else range(arguments.first, arguments.first + arguments.count)
    )
    bad = 0
    for number, seed in enumerate(seeds, 1):
        play = Play(seed, arguments.bug)
        violations = play.violations()
        bad += bool(violations)
        for violation in violations:
            print(
                f"seed {seed}: invariant {violation.invariant}: {violation.name} {violation.subject} {violation.detail}"
            )
        if arguments.seed is not None:
            _tell(play)
        elif number % 500 == 0:
            print(f"{number} seeds, {bad} with violations", file=sys.stderr)
    print(f"{len(seeds)} seeds, {bad} with violations")
    return 1 if bad else 0


def _tell(play: Play) -> None:
    for raw in sorted(play.world.log.everything(), key=lambda r: r.at):
        record = record_of(raw, raw.at)
        what = record if record is not None else f"{raw.topic}/{raw.partition} {raw.offset}"
        print(f"{raw.at:%H:%M:%S.%f} {what}")


if __name__ == "__main__":
    sys.exit(main())
