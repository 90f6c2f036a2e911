"""A seed decides which faults come when; a fault is a row."""

import importlib
import itertools
import sys
from pathlib import Path

import pytest

from chaos import planted
from chaos.checker import CHECKS
from chaos.faults import ACTS, FAULTS, LONG, READERS
from chaos.installation import PROCESSES
from chaos.schedule import Kind, plan

KINDS = [*FAULTS]


def test_a_seed_gives_the_same_schedule_and_another_one_another() -> None:
    assert plan(KINDS, 1, 200.0) == plan(KINDS, 1, 200.0)
    assert plan(KINDS, 1, 200.0) != plan(KINDS, 2, 200.0)


def test_faults_follow_each_other_within_the_time_and_one_at_a_time() -> None:
    planned = plan(KINDS, 3, 300.0)
    assert [fault.number for fault in planned] == list(range(1, len(planned) + 1))
    assert all(a.at + a.lasts < b.at for a, b in itertools.pairwise(planned))
    assert 0 < planned[0].at < planned[-1].at < 300.0


def test_there_are_at_most_so_many() -> None:
    assert len(plan(KINDS, 3, 300.0, 4)) == 4
    assert plan(KINDS, 3, 300.0, 0) == []


def test_every_kind_comes_before_one_comes_more_often_than_its_weight() -> None:
    planned = plan(KINDS, 5, 10_000.0)[: sum(kind.weight for kind in KINDS)]
    assert {fault.name for fault in planned} == {kind.name for kind in KINDS}


def test_a_fault_lasts_as_long_as_its_row_says_and_hits_one_of_its_targets() -> None:
    rows = {kind.name: kind for kind in KINDS}
    for fault in plan(KINDS, 7, 2000.0):
        kind = rows[fault.name]
        assert kind.lasts[0] <= fault.lasts <= kind.lasts[1]
        assert fault.target in kind.targets


def test_each_process_is_killed_and_stopped_in_the_long_run() -> None:
    hit = {(fault.name, fault.target) for fault in plan(KINDS, 1, 20_000.0)}
    assert {(name, process) for name in ("kill -9", "SIGSTOP") for process in PROCESSES} <= hit


def test_the_names_of_faults_are_different_and_each_topic_with_poison_has_readers() -> None:
    assert len({kind.name for kind in (*FAULTS, *LONG)}) == len(FAULTS) + len(LONG)
    assert len(ACTS) == len(FAULTS)
    assert all(readers for readers, _ in READERS.values())
    assert plan([Kind("a", ("b",))], 1, 6.0)[0].name == "a"


@pytest.mark.parametrize("name", planted.PLANTS)
def test_a_planted_bug_names_checks_and_faults_there_are(name: str) -> None:
    row = planted.PLANTS[name]
    assert set(row.found) <= {check.__name__ for check in CHECKS}
    assert set(row.only) <= {kind.name for kind in KINDS}


def test_a_module_is_changed_by_a_planted_bug_when_it_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "healthy_module.py").write_text("answer = 42\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])

    def spoil(module: object) -> None:
        module.answer = 43  # type: ignore[attr-defined]

    monkeypatch.setattr(planted, "PLANTS", {"off by one": planted.Plant("healthy_module", spoil, ())})
    planted.plant("off by one")
    assert importlib.import_module("healthy_module").answer == 43
    del sys.modules["healthy_module"]
