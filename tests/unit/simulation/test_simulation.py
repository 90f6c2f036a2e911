"""Thousands of schedules of deaths, repeats, delays and jumps of the clock: every invariant holds at the end of each.

A seed that fails is named; `python -m chaos.simulation --seed N` plays it again and tells what was published.
"""

import pytest

from chaos.checker import CHECKS, check
from chaos.observation import Breached, Changed, Voucher
from chaos.simulation.planted import BUGS
from chaos.simulation.play import PROCESSES, Play, deaths

# Shared out, so that they run side by side.
BLOCKS, SEEDS_IN_A_BLOCK = 10, 200
# The story of this seed has a red complaint nobody answers and an ordinary one that is answered.
QUIET = 7


@pytest.mark.parametrize("block", range(BLOCKS))
def test_whatever_happens_the_invariants_hold_at_the_end(block: int) -> None:
    seeds = range(block * SEEDS_IN_A_BLOCK, (block + 1) * SEEDS_IN_A_BLOCK)
    found = {seed: violations for seed in seeds if (violations := Play(seed).violations())}
    assert found == {}


@pytest.mark.parametrize("bug", BUGS)
def test_what_a_planted_bug_breaks_is_whole_without_it(bug: str) -> None:
    assert Play(BUGS[bug][1]).violations() == []


@pytest.mark.parametrize("process", [*PROCESSES, "intake"])
def test_a_process_may_die_at_each_of_its_steps(process: str) -> None:
    places = [place for place in deaths(QUIET) if place.process == process]
    assert places
    found = {place: violations for place in places if (violations := Play(QUIET, dies=place).violations())}
    assert found == {}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str) -> None:
    name, known = BUGS[bug]
    found = (violation.name for seed in (known, *range(500)) for violation in check(Play(seed, [bug]).run()))
    assert name in found


def test_each_check_finds_a_planted_bug() -> None:
    assert {name for name, _ in BUGS.values()} == {found.__name__ for found in CHECKS}


def test_a_seed_gives_the_same_schedule_again() -> None:
    assert Play(3).run() == Play(3).run()


def test_the_schedules_see_everything_happen() -> None:
    """Breaches, vouchers, answers in time, deaths: an invariant that has nothing to hold for shows nothing."""
    seen = [Play(seed).run() for seed in range(40)]
    records = [record for observation in seen for record in observation.records]
    assert any(isinstance(record, Breached) for record in records)
    assert any(isinstance(record, Voucher) for record in records)
    assert {"replied", "resolved", "escalation_noted"} <= {r.change for r in records if isinstance(r, Changed)}
    assert any(observation.poisoned for observation in seen)
    assert any(r.outcome == "unknown" for observation in seen for r in observation.requests)
    assert any(c.outcome == "ok" for observation in seen for c in observation.commands)
