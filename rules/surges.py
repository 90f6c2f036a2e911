"""What a brand calls a surge: `policies/<brand>/surge.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from rules.words import Category

_MINUTES = (1, 5, 15, 60)
# Orders of a takeaway platform over the day, by hour, midnight first: where history is missing it is assumed so.
_DAY = (10, 6, 4, 3, 3, 5, 15, 35, 40, 35, 60, 160, 180, 110, 60, 50, 70, 140, 180, 140, 90, 70, 45, 22)
_FLOORS = {"all": 60, "region": 20, "station": 10, "merchant": 2, "product": 2}


@dataclass(frozen=True)
class RegionRule:
    """Complaints of `categories` above `percent` of the region's orders within `within` suggest another routing.

    Both minima keep one angry customer of five from moving a fleet.
    """

    categories: tuple[Category, ...] = (Category.DELIVERY,)
    percent: int = 10
    within: timedelta = timedelta(hours=1)
    minimum_complaints: int = 5
    minimum_orders: int = 30


@dataclass(frozen=True)
class QualityRule:
    """A value is flagged when its complaint rate is above `times_percent` of its peers' with `credible_permille`.

    History counts with a half-life of `half_life`; below `minimum` complaints nothing is flagged.
    """

    credible_permille: int = 999
    times_percent: int = 200
    minimum: int = 5
    half_life: timedelta = timedelta(days=7)


@dataclass(frozen=True)
class SurgePolicy:
    """How surges are found and closed. All lengths of time are multiples of `bucket`.

    `false_per_year`: how many incidents chance alone may open in a year over all series of the brand. `floors`:
    complaints a day that are never worth an alarm, by dimension: nothing is expected to be rarer. `variation_percent`:
    how much rates vary from day to day without a cause. `day`: the hours' weights until history has its say. `learn`:
    how long a new brand is only watched.
    """

    bucket: timedelta = timedelta(minutes=1)
    windows: tuple[timedelta, ...] = tuple(timedelta(minutes=m) for m in _MINUTES)
    late: timedelta = timedelta(minutes=10)
    minimum: int = 5
    false_per_year: int = 26
    half_life: timedelta = timedelta(days=28)
    variation_percent: int = 10
    floors: Mapping[str, int] = field(default_factory=lambda: dict(_FLOORS))
    day: tuple[int, ...] = _DAY
    learn: timedelta = timedelta(days=1)
    close_after: timedelta = timedelta(minutes=15)
    update_every: timedelta = timedelta(minutes=1)
    mute: timedelta = timedelta(days=1)
    compensate: tuple[str, ...] = ("region", "station", "merchant", "product")
    region: RegionRule = RegionRule()
    quality: QualityRule = QualityRule()
