"""The promise, and the rules: how long orders of an hour and a distance take. Pure.

A platform promises before it knows the courier, the day's weather or the jam ahead: by the hour and the distance alone.
`promise` is the 80% quantile of such orders in whole minutes, so that four in five are kept on an ordinary day.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HOURS = 24


@dataclass(frozen=True)
class Habits:
    """Quantiles of the minutes taken, by hour (0–23) and band of distance.

    `bands` are the upper ends of all bands but the last, km. `levels` ascend between 0 and 1;
    `minutes[hour][band][i]` is the quantile at `levels[i]`. `promise_level` is one of `levels`.
    """

    bands: tuple[float, ...]
    levels: tuple[float, ...]
    promise_level: float
    minutes: Sequence[Sequence[Sequence[float]]]

    def _cell(self, hour: float, distance_km: float) -> Sequence[float]:
        # An unknown distance (NaN is above every bound and below none) is promised like the middle band.
        band = (len(self.bands) + 1) // 2 if distance_km != distance_km else bisect_right(self.bands, distance_km)
        return self.minutes[int(hour)][band]

    def promise(self, hour: float, distance_km: float) -> int:
        """Minutes from the order to the promised time."""
        return int(self._cell(hour, distance_km)[self.levels.index(self.promise_level)])

    def longer(self, hour: float, distance_km: float, minutes: float) -> float:
        """The base rate: the share of such orders that take longer than `minutes`."""
        cell = self._cell(hour, distance_km)
        at = bisect_right(cell, minutes)
        if at == 0:
            return 1 - self.levels[0] * max(0.0, minutes) / cell[0]
        if at == len(cell):
            return (1 - self.levels[-1]) * cell[-1] / minutes
        share = (minutes - cell[at - 1]) / (cell[at] - cell[at - 1])
        return 1 - self.levels[at - 1] - share * (self.levels[at] - self.levels[at - 1])


def habits_of(stored: Mapping[str, Any]) -> Habits:
    """From `promise.json`. Raises ValueError where it isn't whole."""
    habits = Habits(tuple(stored["bands_km"]), tuple(stored["levels"]), stored["promise_level"], stored["minutes"])
    if len(habits.minutes) != HOURS or habits.promise_level not in habits.levels:
        raise ValueError("promise.json: 24 hours and the promised level are needed")
    for hour in habits.minutes:
        if len(hour) != len(habits.bands) + 1 or any(len(cell) != len(habits.levels) for cell in hour):
            raise ValueError("promise.json: a quantile for each band and level is needed")
    return habits
