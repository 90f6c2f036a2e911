"""How the order-risk model is learnt, on deliveries made up here."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="only who trains needs it")

from services.sla.risk.facts import FEATURES
from services.sla.risk.forest import load_forest
from services.sla.risk.promise import habits_of
from training import risk, risk_report
from training.risk_history import History, promised


def history(count: int, seed: int) -> History:
    """20 minutes and 1 more each km, 15 more with a second order; the courier's load is all there is to know."""
    random = np.random.default_rng(seed)
    facts = np.zeros((count, len(FEATURES)))
    facts[:, 0] = random.integers(9, 12, count)
    facts[:, 1] = random.uniform(1, 20, count)
    load = FEATURES.index("orders_at_once")
    facts[:, load] = random.random(count) < 0.15
    taken = np.round(20 + facts[:, 1] + 15 * facts[:, load] + random.normal(0, 2, count))
    return History(facts, taken)


def test_habits_never_fall_with_the_distance_and_cover_every_hour() -> None:
    habits = habits_of(risk.habits_from(history(2000, 1)))
    for hour in range(24):
        promises = [habits.promise(hour, km) for km in (1, 5, 7, 9, 12, 20)]
        assert promises == sorted(promises)
    assert 35 <= habits.promise(10, 12.0) <= 45


def test_the_arrays_answer_as_the_trees_they_came_from(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(risk, "TREES", 20)
    learnt = history(1500, 2)
    habits = habits_of(risk.habits_from(learnt))
    trees = risk.learn(learnt, promised(habits, learnt))
    path = tmp_path / "forest.npz"  # type: ignore[operator]
    risk.save_forest(trees, path)
    rows = learnt.facts[:300].copy()
    rows[:, -1] = promised(habits, learnt)[:300]
    rows[::3, 1] = np.nan
    said = load_forest(path).probabilities(rows.tolist())
    assert said == pytest.approx(trees.predict_proba(rows)[:, 1].tolist(), abs=1e-5)


def test_what_only_the_courier_tells_is_learnt_and_judged_on_other_orders(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(risk, "TREES", 40)
    learnt, aside = risk.parts(history(4000, 3))
    habits = habits_of(risk.habits_from(learnt))
    path = tmp_path / "forest.npz"  # type: ignore[operator]
    risk.save_forest(risk.learn(learnt, promised(habits, learnt)), path)
    rows = aside.facts.copy()
    rows[:, -1] = promised(habits, aside)
    late = aside.taken > rows[:, -1]
    forest = load_forest(path)
    judged = risk_report.judge("forest", late, np.array(forest.probabilities(rows.tolist())))
    baseline = risk_report.judge("hour", late, risk_report.by_hour(learnt, promised(habits, learnt), aside))
    assert judged.auc > 0.95 > baseline.auc
    assert judged.brier < baseline.brier / 2
    assert "| forest, all columns |" in risk_report.section(learnt, aside, habits, forest)


def test_what_is_kept_aside_is_never_learnt_from() -> None:
    everything = history(1000, 4)
    learnt, aside = risk.parts(everything)
    assert len(aside.taken) == 200
    rows = {tuple(row) for row in np.nan_to_num(learnt.facts, nan=-1).tolist()}
    assert not rows & {tuple(row) for row in np.nan_to_num(aside.facts, nan=-1).tolist()}
