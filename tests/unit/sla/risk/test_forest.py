"""The forest as arrays, the rules without it, and what both answer."""

import json
from math import exp, nan
from pathlib import Path

import numpy as np
import pytest

from services.sla.risk.facts import FEATURES, RiskFacts, traffic_of, weather_of
from services.sla.risk.forest import Forest, load_forest
from services.sla.risk.model import FOREST, PROMISE, RiskModel, load_risk_model
from services.sla.risk.promise import Habits, habits_of

KM = FEATURES.index("distance_km")
MINUTES = FEATURES.index("minutes")


def forest() -> Forest:
    """Two trees: over 5 km adds 1 to the log-odds (as does an unknown distance), over 30 minutes takes 2."""
    return Forest(
        base=0.5,
        roots=np.array([0, 3], dtype=np.int32),
        feature=np.array([KM, -1, -1, MINUTES, -1, -1], dtype=np.int32),
        threshold=np.array([5.0, 0, 0, 30.0, 0, 0]),
        unknown_left=np.array([False, False, False, True, False, False]),
        left=np.array([1, 0, 0, 4, 0, 0], dtype=np.int32),
        right=np.array([2, 0, 0, 5, 0, 0], dtype=np.int32),
        value=np.array([0, 0.0, 1.0, 0, 0.0, -2.0]),
    )


def habits() -> Habits:
    """Every hour: below 5 km 10, 20 and 30 minutes at 20, 50 and 80%; above it 20, 30, 40."""
    near, far = (10.0, 20.0, 30.0), (20.0, 30.0, 40.0)
    return Habits((5.0,), (0.2, 0.5, 0.8), 0.8, [[near, far]] * 24)


def logistic(odds: float) -> float:
    return 1 / (1 + exp(-odds))


@pytest.mark.parametrize(
    ("km", "minutes", "odds"),
    [(5.0, 30.0, 0.5), (5.1, 30.0, 1.5), (nan, 30.0, 1.5), (2.0, 31.0, -1.5), (nan, nan, 1.5)],
)
def test_a_row_goes_down_every_tree_and_unknown_takes_the_side_it_was_taught(
    km: float, minutes: float, odds: float
) -> None:
    rows = [RiskFacts(hour=12, distance_km=km).features(minutes), RiskFacts(hour=3, distance_km=1).features(99)]
    first, second = forest().probabilities(rows)
    assert first == pytest.approx(logistic(odds))
    assert second == pytest.approx(logistic(-1.5))


def test_a_row_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="hour, distance_km"):
        forest().probabilities([[1.0, 2.0]])


def test_what_ships_can_be_read_and_is_small() -> None:
    model = load_risk_model()
    assert model.forest is not None
    assert FOREST.stat().st_size + PROMISE.stat().st_size < 1_000_000


def test_without_the_forest_the_rules_answer(tmp_path: Path) -> None:
    model = load_risk_model(forest=tmp_path / "none.npz")
    assert model.forest is None
    facts = RiskFacts(hour=19, distance_km=9.0, traffic=traffic_of("jam"))
    minutes = model.promised_minutes(facts)
    assert 0.05 < model.late_probability(facts, minutes) <= 0.21
    assert model.late_probability(facts, minutes) == model.late_probability(
        RiskFacts(hour=19, distance_km=9.0), minutes
    )


def test_a_forest_of_other_features_is_refused(tmp_path: Path) -> None:
    with np.load(FOREST) as stored:
        arrays = dict(stored)
    arrays["features"] = np.array(["moon", *FEATURES[1:]])
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(ValueError, match="other features"):
        load_forest(tmp_path / "other.npz")


def test_the_promise_is_the_80_percent_quantile_of_the_hour_and_distance() -> None:
    assert habits().promise(8, 4.9) == 30
    assert habits().promise(8, 5.0) == 40
    assert habits().promise(8, nan) == 40


@pytest.mark.parametrize(
    ("minutes", "longer"),
    [(0, 1.0), (5, 0.9), (10, 0.8), (15, 0.65), (20, 0.5), (30, 0.2), (60, 0.1)],
)
def test_the_base_rate_lies_between_the_quantiles(minutes: float, longer: float) -> None:
    assert habits().longer(8, 3.0, minutes) == pytest.approx(longer)


def test_quantiles_that_are_equal_count_as_the_highest() -> None:
    flat = Habits((), (0.2, 0.5, 0.8), 0.8, [[(10.0, 10.0, 20.0)]] * 24)
    assert flat.longer(8, 3.0, 10) == pytest.approx(0.5)


def test_a_promise_table_that_lacks_an_hour_is_refused() -> None:
    stored = json.loads(PROMISE.read_text())
    stored["minutes"] = stored["minutes"][:23]
    with pytest.raises(ValueError, match="24 hours"):
        habits_of(stored)


def test_longer_promises_are_kept_more_often_whatever_is_known() -> None:
    model = load_risk_model()
    for facts in (
        RiskFacts(hour=19, distance_km=12.0),
        RiskFacts(hour=8),
        RiskFacts(19, 12.0, 4, weather_of("fog"), traffic_of("jam"), 2, 1, 0, 0, 2, 38, 4.2),
    ):
        said = [model.late_probability(facts, minutes) for minutes in range(5, 90, 5)]
        assert said == sorted(said, reverse=True)
        assert all(0 <= p <= 1 for p in said)


def test_a_courier_with_three_orders_in_a_jam_is_likelier_late() -> None:
    model = load_risk_model()
    easy = RiskFacts(19, 9.0, 1, weather_of("sunny"), traffic_of("medium"), 2, 1, 0, 2, 0, 25, 4.9)
    hard = RiskFacts(19, 9.0, 1, weather_of("fog"), traffic_of("jam"), 2, 0, 0, 0, 3, 38, 4.1)
    minutes = model.promised_minutes(easy)
    assert model.late_probability(easy, minutes) < 0.1
    assert model.late_probability(hard, minutes) > 0.8


@pytest.mark.parametrize("with_forest", [True, False])
def test_the_longer_an_order_is_on_its_way_the_likelier_it_is_late(with_forest: bool) -> None:
    model = RiskModel(habits(), forest() if with_forest else None)
    facts = RiskFacts(hour=19, distance_km=3.0)
    said = [model.late_probability(facts, 30, elapsed) for elapsed in (0, 15, 29, 30, 40)]
    assert said == sorted(said)
    assert said[0] < 1
    assert said[-2:] == [1.0, 1.0]


def test_words_nobody_knows_are_unknown() -> None:
    assert weather_of("Rain ") == weather_of("stormy")
    assert weather_of("meteor") != weather_of("meteor")
    assert traffic_of("") != traffic_of("")
