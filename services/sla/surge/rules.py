"""A brand's policy in the detector's own units: buckets, hours, numbers. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from rules.surges import SurgePolicy
from services.sla.surge.model import HOUR_US, Dimension

_US = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Rules:
    """`windows`, `late`, `closing`, `within` count buckets; `floors` are complaints an hour."""

    policy: SurgePolicy
    hour_of_week: Callable[[int], int]
    bucket_us: int
    windows: tuple[int, ...]
    late: int
    closing: int
    false_per_week: float
    half_life_hours: float
    variance: float
    floors: Mapping[Dimension, float]
    learn_us: int
    update_us: int
    mute_us: int
    compensate: frozenset[Dimension]
    within: int
    quality_half_life_us: int

    @property
    def reach(self) -> int:
        """The longest span of buckets that is ever looked at."""
        return max(*self.windows, self.closing, self.within)

    @property
    def size(self) -> int:
        """Buckets a series has to remember."""
        return self.reach + self.late

    def hours(self, buckets: int) -> float:
        """How long so many buckets are."""
        return buckets * self.bucket_us / HOUR_US

    def windows_a_week(self, buckets: int) -> float:
        """How many windows of that length follow each other in a week."""
        return 168.0 / self.hours(buckets)


def compile_rules(policy: SurgePolicy, time_zone: str) -> Rules:
    """The rules of a policy whose hours are those of a time zone. Raises ZoneInfoNotFoundError."""

    def buckets(length: timedelta) -> int:
        return max(1, -(-length // policy.bucket))

    return Rules(
        policy=policy,
        hour_of_week=_hours_of(time_zone),
        bucket_us=policy.bucket // _US,
        windows=tuple(buckets(window) for window in policy.windows),
        late=buckets(policy.late),
        closing=buckets(policy.close_after),
        false_per_week=policy.false_per_year / 52.18,
        half_life_hours=policy.half_life / timedelta(hours=1),
        variance=(policy.variation_percent / 100) ** 2,
        floors={dimension: policy.floors[dimension.value] / 24 for dimension in Dimension},
        learn_us=policy.learn // _US,
        update_us=policy.update_every // _US,
        mute_us=policy.mute // _US,
        compensate=frozenset(map(Dimension, policy.compensate)),
        within=buckets(policy.region.within),
        quality_half_life_us=policy.quality.half_life // _US,
    )


def _hours_of(time_zone: str) -> Callable[[int], int]:
    zone = ZoneInfo(time_zone)

    @lru_cache(maxsize=4096)
    def hour_of_week(hour: int) -> int:
        local = (_EPOCH + timedelta(hours=hour)).astimezone(zone)
        return local.weekday() * 24 + local.hour

    return hour_of_week
