"""All series of one brand: what was counted, what is expected. Pure: state in, state changed, no clock.

Memory is bounded: a series is a ring of some 75 counts, a shop has the 24 hours of its day; those that were silent
for months go; beyond `MOST_SERIES` new values aren't followed, but counted in `unfollowed`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from services.sla.surge.baseline import Habits, Season, hour_of
from services.sla.surge.control import Finding, improbable, log_chance_per_week
from services.sla.surge.model import DIMENSIONS, HOUR_US, Complaint, Dimension, Key
from services.sla.surge.rules import Rules
from services.sla.surge.series import Series

_NONE = Habits()
_NOBODY: dict[str, Complaint] = {}
MOST_SERIES = 50_000
# Of a category and bucket so many complaints are kept whole, for drill-down and to see which series overlap.
MOST_RECENT = 200
# A level that is worth so much isn't moved at will by what looks like a surge: an hour counts for at most so many times
# what was expected, and some.
SETTLED = 20.0
CLIP_TIMES, CLIP_MORE = 3.0, 5.0
SILENT = 0.3
# Hours without a word that are learnt as such, at most: half a year.
LONGEST_GAP = 26 * 168
# No rate is taken for less than this part of the floor.
LEAST_SHARE = 0.01


@dataclass
class Peers:
    """The values of a (category, dimension): how many there are, and their complaints (forward-decayed)."""

    values: int = 0
    count: float = 0.0


class Expectation(NamedTuple):
    """For each window, and at last for the closing time: `means` are never below the floor, `bare` are without it, to
    compare series with each other. `shape`: of what isn't known of them (`tails.log_tail`)."""

    means: list[float]
    bare: list[float]
    shape: float


def _kin(key: Key, complaint: Complaint) -> tuple[Dimension, str]:
    if key.dimension is Dimension.PRODUCT and complaint.merchant:
        return Dimension.MERCHANT, complaint.merchant
    return key.dimension, key.value


@dataclass
class Counted:
    """The counts of one brand. `now_us`: the latest instant seen; `hour`: the last hour that has been learnt from."""

    born_us: int = 0
    now_us: int = 0
    hour: int = 0
    seasons: dict[str, Season] = field(default_factory=dict)
    series: dict[Key, Series] = field(default_factory=dict)
    peers: dict[tuple[str, Dimension], Peers] = field(default_factory=dict)
    habits: dict[tuple[Dimension, str], Habits] = field(default_factory=dict)
    recent: dict[tuple[str, int], dict[str, Complaint]] = field(default_factory=dict)
    dropped: int = 0
    unfollowed: int = 0
    # What was touched since it was last stored.
    changed: set[Key] = field(default_factory=set)
    changed_recent: set[tuple[str, int]] = field(default_factory=set)
    changed_habits: set[tuple[Dimension, str]] = field(default_factory=set)
    _expected: dict[Key, Expectation] = field(default_factory=dict)
    _expected_at: int = -1

    def head(self, rules: Rules) -> int:
        """The newest bucket."""
        return self.now_us // rules.bucket_us

    def weight(self, hour: int, rules: Rules) -> float:
        """What a count of that hour weighs (forward decay)."""
        return float(2.0 ** ((hour - hour_of(self.born_us)) / rules.half_life_hours))

    def learning(self, rules: Rules) -> bool:
        """Whether the brand is still too new for alarms."""
        return self.now_us - self.born_us < rules.learn_us

    def move(self, now_us: int, rules: Rules) -> None:
        """Time has come that far; what has passed is learnt from."""
        if not self.born_us:
            self.born_us = self.now_us = now_us
            self.hour = hour_of(now_us) - 1
        self.now_us = max(self.now_us, now_us)
        settled = (self.head(rules) - rules.size) * rules.bucket_us // HOUR_US - 1
        if settled > self.hour:
            self._settle(settled, rules)

    def count(self, complaint: Complaint, rules: Rules) -> list[Key] | None:
        """Counts one complaint; its series, or None where it is too late for detection or known already."""
        self.move(complaint.at_us, rules)
        head, bucket = self.head(rules), complaint.at_us // rules.bucket_us
        if head - bucket > rules.late:
            self.dropped += 1
            return None
        kept = self.recent.setdefault((complaint.category, bucket), {})
        if complaint.ticket in kept:
            # Published twice: the router repeats an event whose acknowledgement it didn't see.
            return None
        touched = []
        for dimension in DIMENSIONS:
            value = complaint.value(dimension)
            if not value and dimension is not Dimension.ALL:
                continue
            key = Key(complaint.category, dimension, value)
            series = self._series(key, complaint, head, rules)
            if series is not None:
                series.add(bucket)
                touched.append(key)
        self.changed.update(touched)
        if len(kept) < MOST_RECENT:
            kept[complaint.ticket] = complaint
            self.changed_recent.add((complaint.category, bucket))
        return touched

    def _series(self, key: Key, complaint: Complaint, head: int, rules: Rules) -> Series | None:
        series = self.series.get(key)
        if series is None:
            if len(self.series) >= MOST_SERIES and key.dimension is not Dimension.ALL:
                self.unfollowed += 1
                return None
            series = self.series[key] = Series(head, [0] * rules.size, _kin(key, complaint))
            self.peers.setdefault((key.category, key.dimension), Peers()).values += 1
            season = self._season(key.category, rules)
            # Not heard of before: one silent week is assumed, not a silent year.
            series.level.born = max(0.0, season.lived - 168.0 * self.weight(hour_of(self.now_us), rules))
        elif series.head < head:
            self._advance(key, series, head, rules)
        return series

    def _season(self, category: str, rules: Rules) -> Season:
        season = self.seasons.get(category)
        if season is None:
            season = self.seasons[category] = Season()
            season.settle(self.weight(self.hour, rules), rules.policy.day)
        return season

    def _advance(self, key: Key, series: Series, head: int, rules: Rules) -> None:
        for bucket, count in series.advance(head):
            hour = bucket * rules.bucket_us // HOUR_US
            if hour != series.hour:
                self._flush(key, series, rules)
                series.hour = hour
            series.in_hour += count

    def _flush(self, key: Key, series: Series, rules: Rules) -> None:
        """The hour that was summed up is over: the level learns it, within bounds."""
        if not series.in_hour:
            return
        hour, count = series.hour, float(series.in_hour)
        series.in_hour = 0
        season = self._season(key.category, rules)
        which, weight = rules.hour_of_week(hour), self.weight(hour, rules)
        rate, worth = self._level(key, series, season, weight, rules)
        if worth > SETTLED:
            usual = rate * self._factor(series, season, which, weight)[0]
            count = min(count, CLIP_TIMES * usual + CLIP_MORE)
        series.level.count += weight * count
        if key.dimension is series.kin[0] and key.dimension is not Dimension.ALL:
            self.habits.setdefault(series.kin, Habits()).learn(which % 24, weight, count)
            self.changed_habits.add(series.kin)
        self.peers[key.category, key.dimension].count += weight * count
        if key.dimension is Dimension.ALL:
            season.pending[hour] = count
        self.changed.add(key)

    def _factor(self, series: Series, season: Season, hour_of_week: int, weight: float) -> tuple[float, float]:
        """(the season of a series at an hour, its relative variance): its category's, times its own habits."""
        common, doubt = season.factors[hour_of_week], season.doubts[hour_of_week]
        habits = self.habits.get(series.kin)
        if series.kin[0] is Dimension.ALL:
            return common, doubt
        times, more = (habits or _NONE).factor(season.shares[hour_of_week % 24], hour_of_week % 24, weight)
        return common * times, doubt + more

    def _settle(self, until: int, rules: Rules) -> None:
        head = self.head(rules)
        for category, season in self.seasons.items():
            key = Key(category, Dimension.ALL, "")
            series = self.series[key]
            self._advance(key, series, head, rules)
            if series.hour <= until:
                self._flush(key, series, rules)
            for hour in range(max(self.hour + 1, until - LONGEST_GAP), until + 1):
                season.learn(rules.hour_of_week(hour), self.weight(hour, rules), season.pending.pop(hour, 0.0))
            season.settle(self.weight(until, rules), rules.policy.day)
        if until // 168 != self.hour // 168:
            self._forget(self.weight(until, rules))
        self.hour = until
        self._expected.clear()
        for old in [place for place in self.recent if place[1] < head - rules.size]:
            del self.recent[old]
            self.changed_recent.add(old)

    def _forget(self, weight: float) -> None:
        gone = [
            key
            for key, series in self.series.items()
            if not series.total
            and not series.in_hour
            and series.level.count < SILENT * weight
            and key.dimension is not Dimension.ALL
        ]
        for key in gone:
            peers = self.peers[key.category, key.dimension]
            peers.values -= 1
            peers.count -= self.series.pop(key).level.count
            self.changed.add(key)

    def _level(self, key: Key, series: Series, season: Season, weight: float, rules: Rules) -> tuple[float, float]:
        peers = self.peers[key.category, key.dimension]
        lived = season.lived
        floor = rules.floors[key.dimension]
        average = peers.count / (peers.values * lived) if lived > 0 else 0.0
        return series.level.per_hour(season, weight, max(average, floor / 4))

    def expected(self, key: Key, rules: Rules) -> Expectation:
        """What is usual in each window up to now."""
        head = self.head(rules)
        if head != self._expected_at:
            self._expected.clear()
            self._expected_at = head
        found = self._expected.get(key)
        if found is None:
            windows = (*rules.windows, rules.closing)
            found = self._expected[key] = self._compute(key, windows, rules)
        return found

    def _compute(self, key: Key, windows: tuple[int, ...], rules: Rules) -> Expectation:
        series, season = self.series[key], self._season(key.category, rules)
        hour = hour_of(self.now_us)
        weight = self.weight(hour, rules)
        rate, worth = self._level(key, series, season, weight, rules)
        floor = rules.floors[key.dimension]
        factors: dict[int, float] = {}
        doubts: list[float] = []

        def factor(at_us: int) -> float:
            """Between the middles of two hours in a straight line: rates climb within an hour too."""
            place, within = divmod(at_us - HOUR_US // 2, HOUR_US)
            for each in (place, place + 1):
                if each not in factors:
                    factors[each], doubt = self._factor(series, season, rules.hour_of_week(each), weight)
                    doubts.append(doubt)
            share = within / HOUR_US
            return factors[place] * (1 - share) + factors[place + 1] * share

        bare = []
        end = (self.head(rules) + 1) * rules.bucket_us
        for window in windows:
            length = window * rules.bucket_us
            parts = 4 if length > HOUR_US // 4 else 1
            mean = sum(factor(end - length * (2 * part + 1) // (2 * parts)) for part in range(parts)) / parts
            bare.append(rules.hours(window) * max(rate * mean, floor * LEAST_SHARE))
        means = [max(each, rules.hours(window) * floor) for window, each in zip(windows, bare, strict=True)]
        # Taken for more than it seems to be, a rate is less in doubt: the same spread around a greater mean.
        lifted = min(bare[0] / means[0], 1.0)
        return Expectation(means, bare, 1.0 / (rules.variance + (max(doubts) + 1.0 / worth) * lifted * lifted))

    def counts(self, key: Key, rules: Rules) -> list[int]:
        """Complaints in each window up to now."""
        series, head = self.series.get(key), self.head(rules)
        return [series.count(head, window) if series else 0 for window in (*rules.windows, rules.closing)]

    def values(self, key: Key) -> int:
        """How many values its category has in its dimension."""
        peers = self.peers.get((key.category, key.dimension))
        return peers.values if peers else 1

    def finding(self, key: Key, rules: Rules, longest: int) -> Finding | None:
        """The window of at most `longest` buckets in which the series is least like itself, if any is worth a look."""
        series = self.series[key]
        if series.total < rules.policy.minimum:
            return None
        head = self.head(rules)
        if series.count(head, rules.reach) < rules.policy.minimum:
            return None
        means, _, shape = self.expected(key, rules)
        best: Finding | None = None
        for window, mean in zip(rules.windows, means, strict=False):
            if window > longest:
                continue
            count = series.count(head, window)
            if count < rules.policy.minimum or not improbable(count, mean, shape):
                continue
            chance = log_chance_per_week(count, mean, shape, rules.windows_a_week(window))
            if best is None or chance < best.log_chance:
                best = Finding(key, window, count, mean, shape, chance)
        return best

    def rows(self, category: str, window: int, rules: Rules) -> Iterator[Complaint]:
        """The complaints kept of a category within a window."""
        head = self.head(rules)
        for bucket in range(head - window + 1, head + 1):
            yield from self.recent.get((category, bucket), _NOBODY).values()
