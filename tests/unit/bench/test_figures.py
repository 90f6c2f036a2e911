"""What a benchmark says."""

import json

import pytest

from bench.figures import Result, beside, document, percentile


def test_the_ratio_is_that_of_the_medians_and_the_spread_that_of_the_runs() -> None:
    row = beside("router", [(10.0, 40.0), (30.0, 20.0), (20.0, 80.0)], "complaints/s", "bare writes")
    assert (row.value, row.reference_value, row.ratio) == (20.0, 40.0, 0.5)
    assert (row.spread, row.runs) == ((10.0, 30.0), 3)


def test_a_figure_without_any_run_is_an_error() -> None:
    with pytest.raises(ValueError, match="router: no run"):
        beside("router", [], "complaints/s", "bare writes")


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(each) for each in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([7.0], 0.99)) == (51.0, 100.0, 7.0)


def test_a_row_measured_again_replaces_the_earlier_one_and_the_others_stay() -> None:
    before = json.loads(document({"machine": "m"}, [Result("a", 1.0, "s"), Result("b", 2.0, "s")]))
    after = json.loads(document({"machine": "m"}, [Result("b", 3.14159, "s", "echo", 2.0)], before["results"]))
    assert after["machine"] == "m"
    assert [(row["name"], row["value"], row["ratio"]) for row in after["results"]] == [
        ("a", 1.0, None),
        ("b", 3.142, 1.571),
    ]
