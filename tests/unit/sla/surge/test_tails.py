"""Tails of counts, against scipy and against sums by hand."""

from itertools import pairwise
from math import exp, inf, log

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from services.sla.surge.tails import log_likelihood_ratio, log_poisson_tail, log_tail


@given(st.integers(0, 3000), st.floats(1e-6, 1500))
def test_the_poisson_tail_is_that_of_the_reference(count: int, mean: float) -> None:
    expected = stats.poisson.logsf(count - 1, mean)
    if expected > -600:
        assert log_poisson_tail(count, mean) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(st.integers(0, 600), st.floats(1e-4, 300), st.floats(0.3, 500))
def test_the_tail_over_an_uncertain_rate_is_the_negative_binomial_one(count: int, mean: float, shape: float) -> None:
    expected = stats.nbinom.logsf(count - 1, shape, shape / (shape + mean))
    found = log_tail(count, mean, shape)
    if expected > -600:
        assert expected - 1e-7 <= found <= expected + 0.01


def test_a_tail_far_below_the_smallest_float_is_still_a_number() -> None:
    assert log_poisson_tail(1000, 0.01) == pytest.approx(1000 * log(0.01) - 0.01 - 5912.128178488163, rel=1e-9)


@given(st.integers(200_000, 300_000), st.sampled_from([50.0, 100.0, 400.0]))
def test_a_long_tail_is_bounded_from_above_and_closely(count: int, shape: float) -> None:
    expected = stats.nbinom.logsf(count - 1, shape, shape / (shape + 100_000.0))
    found = log_tail(count, 100_000.0, shape)
    assert expected - 1e-6 <= found <= expected + 0.7


def test_nothing_counted_is_certain_and_a_rate_known_for_sure_is_poisson() -> None:
    assert log_tail(0, 3.0, 5.0) == 0.0
    assert exp(log_tail(1, 3.0, inf)) == pytest.approx(1 - exp(-3))
    assert log_tail(9, 3.0, 1e7) == pytest.approx(log_poisson_tail(9, 3.0), rel=1e-5)


@given(st.floats(0.01, 50), st.floats(0.5, 100))
def test_more_complaints_are_never_more_probable_and_doubt_makes_them_more_probable(mean: float, shape: float) -> None:
    tails = [log_tail(count, mean, shape) for count in range(0, 200, 7)]
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(tails))
    far = int(mean * 3) + 5
    assert log_tail(far, mean, shape) >= log_tail(far, mean, shape * 4)


@pytest.mark.parametrize(("mean", "shape"), [(0.0, 1.0), (-1.0, 1.0), (1.0, 0.0), (float("nan"), 1.0)])
def test_a_mean_or_shape_that_is_not_positive_is_refused(mean: float, shape: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        log_tail(3, mean, shape)


def test_a_count_at_its_expectation_explains_nothing() -> None:
    assert log_likelihood_ratio(3, 3.0) == 0.0
    assert log_likelihood_ratio(2, 3.0) == 0.0
    assert log_likelihood_ratio(20, 1.0) > log_likelihood_ratio(70, 51.0) > 0
