"""False alarms are kept within what the policy allows, over all series and over time."""

from math import exp, log

import numpy as np
import pytest

from services.sla.surge.control import Finding, alarms, improbable, log_chance_per_week
from services.sla.surge.model import Dimension, Key


def finding(name: str, log_chance: float) -> Finding:
    return Finding(Key("price", Dimension.MERCHANT, name), 5, 9, 1.0, 10.0, log_chance)


def test_the_more_series_the_stricter() -> None:
    one = [finding("a", log(0.5 / (10_000 * 4)) - 0.01)]
    assert alarms(one, 10_000, 4, 0.5) == one
    assert alarms(one, 20_000, 4, 0.5) == []


def test_a_small_brand_is_judged_as_if_it_had_two_hundred_series() -> None:
    edge = log(0.5 / (200 * 4))
    assert alarms([finding("a", edge - 0.01)], 1, 4, 0.5)
    assert alarms([finding("a", edge + 0.01)], 1, 4, 0.5) == []


def test_findings_that_come_together_may_each_be_weaker_by_their_number() -> None:
    alone = log(0.5 / (10_000 * 4))
    three = [finding(name, alone + log(2.9)) for name in "abc"]
    assert alarms(three, 10_000, 4, 0.5) == three
    assert alarms(three[:2], 10_000, 4, 0.5) == []
    assert alarms([], 10_000, 4, 0.5) == []


@pytest.mark.parametrize(("mean", "windows"), [(0.5, 60), (2.0, 60), (2.0, 15)])
def test_the_chance_of_a_week_bounds_what_a_scan_really_brings(mean: float, windows: int) -> None:
    rng = np.random.default_rng(3)
    weeks = 2000
    # Counts by minute of quiet weeks, scanned with a window that moves by the minute.
    counts = rng.poisson(mean / windows, (weeks, 10_080))
    sums = np.cumsum(counts, axis=1)
    scanned = sums[:, windows:] - sums[:, :-windows]
    most = scanned.max(axis=1)
    for count in range(int(mean) + 4, int(mean) + 12):
        seen = float((most >= count).mean())
        if seen < 0.3:
            bound = exp(log_chance_per_week(count, mean, 1e9, 10_080 / windows))
            assert seen <= bound * 1.15 + 3 * (seen / weeks) ** 0.5


def test_what_is_ordinary_is_not_worth_a_look() -> None:
    assert not improbable(12, 9.0, 100.0)
    assert improbable(30, 9.0, 100.0)
    assert not improbable(30, 9.0, 2.0), "not where so little is known of the rate"
