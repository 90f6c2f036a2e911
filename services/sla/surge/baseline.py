"""What is usual: a profile by hour of the week times a level that forgets, each with what isn't known of it.

Old counts fade by *forward decay* (Cormode et al. 2009): a count of time t weighs 2^(t / half-life) and is divided by
the weight of the present when read, so that nothing has to be touched to grow old. A rate is the posterior mean of a
Gamma prior around its peers and Poisson counts (empirical Bayes, DuMouchel 1999): what has hardly been seen is like its
peers. What isn't known of season, habits and level adds up as relative variances, and makes alarms harder.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.sla.surge.model import HOUR_US, HOURS_OF_WEEK

# What the prior is worth: complaints for a level and for an hour of a shop's day, days for the day's profile, weeks for
# an hour of the week.
PRIOR_COMPLAINTS = 2.0
PRIOR_HABIT = 1.0
PRIOR_DAYS = 0.5
PRIOR_WEEKS = 1.0
# A shop that seems closed may open.
LEAST_HABIT = 0.5
# How well one day tells the next one's rate at the same hour, as pseudo-complaints.
PER_DAY = 8.0


def _zeros() -> list[float]:
    return [0.0] * HOURS_OF_WEEK


@dataclass
class Season:
    """The profile of one category, from its counts over all values. Weights are forward-decayed; `epoch` is their 0."""

    counts: list[float] = field(default_factory=_zeros)
    exposure: list[float] = field(default_factory=_zeros)
    # Σ weight × season over all hours so far: the exposure behind every level.
    lived: float = 0.0
    # Counts of hours that are over but not settled for all categories yet.
    pending: dict[int, float] = field(default_factory=dict)
    factors: list[float] = field(default_factory=lambda: [1.0] * HOURS_OF_WEEK)
    doubts: list[float] = field(default_factory=lambda: [1.0] * HOURS_OF_WEEK)
    # The part of all complaints so far that fell into each hour of the day.
    shares: list[float] = field(default_factory=lambda: [1.0 / 24] * 24)

    def learn(self, hour_of_week: int, weight: float, count: float) -> None:
        """One more hour has passed with that many complaints."""
        self.lived += weight * self.factors[hour_of_week]
        self.counts[hour_of_week] += weight * count
        self.exposure[hour_of_week] += weight

    def settle(self, weight: float, day: Sequence[int]) -> None:
        """Computes factors (mean 1 over the week) and doubts (relative variances) from what was learnt."""
        usual = _scaled(day)
        seen = sum(x * usual[h % 24] for h, x in enumerate(self.exposure)) / weight
        mean = (sum(self.counts) / weight) / seen if seen > 0 else 0.0
        if mean <= 0:
            self.factors = [usual[h % 24] for h in range(HOURS_OF_WEEK)]
        else:
            by_hour = [
                (_every_day(self.counts, h) / weight + PRIOR_DAYS * mean * usual[h])
                / (_every_day(self.exposure, h) / weight + PRIOR_DAYS)
                for h in range(24)
            ]
            rates = [
                (c / weight + PRIOR_WEEKS * by_hour[h % 24]) / (x / weight + PRIOR_WEEKS)
                for h, (c, x) in enumerate(zip(self.counts, self.exposure, strict=True))
            ]
            average = sum(rates) / HOURS_OF_WEEK
            self.factors = [rate / average for rate in rates]
        lived = [_every_day([f * x for f, x in zip(self.factors, self.exposure, strict=True)], h) for h in range(24)]
        self.shares = [each / sum(lived) for each in lived] if sum(lived) > 0 else [1.0 / 24] * 24
        days = [_every_day(self.exposure, h) / weight for h in range(24)]
        self.doubts = [1.0 / (1.0 + PER_DAY * days[h % 24]) for h in range(HOURS_OF_WEEK)]


def _scaled(day: Sequence[int]) -> list[float]:
    average = sum(day) / 24
    return [weight / average for weight in day]


def _every_day(values: Sequence[float], hour: int) -> float:
    return sum(values[hour::24])


@dataclass
class Level:
    """What one series has shown. `born` is the exposure its category had lived through when it began."""

    born: float = 0.0
    count: float = 0.0

    def per_hour(self, season: Season, weight: float, peers: float) -> tuple[float, float]:
        """(complaints an hour at season 1, how many complaints this knowledge is worth).

        `peers`: what a value of the same kind has on average, complaints an hour.
        """
        lived = max(0.0, season.lived - self.born) / weight
        worth = PRIOR_COMPLAINTS + self.count / weight
        return worth / (PRIOR_COMPLAINTS / peers + lived), worth


@dataclass
class Habits:
    """The hours of the day of one shop, region or station, over all categories: a breakfast shop isn't its city.

    A product has its shop's.
    """

    hours: list[float] = field(default_factory=lambda: [0.0] * 24)
    total: float = 0.0

    def learn(self, hour_of_day: int, weight: float, count: float) -> None:
        """So many complaints in an hour that has passed."""
        self.hours[hour_of_day] += weight * count
        self.total += weight * count

    def factor(self, share: float, hour_of_day: int, weight: float) -> tuple[float, float]:
        """(how many times more than its category it has at that hour, the relative variance of that).

        `share`: the part of all complaints that the category has at this hour of the day.
        """
        usual = PRIOR_HABIT + self.total / weight * share
        own = PRIOR_HABIT + self.hours[hour_of_day] / weight
        return max(own / usual, LEAST_HABIT), 1.0 / (own + usual)


def hour_of(us: int) -> int:
    """Whole hours since 1970."""
    return us // HOUR_US
