"""When a count is an alarm: false discoveries are controlled over all series and over time. Pure.

Each finding is judged by how often chance alone would bring it about in a week somewhere within its series: the mean
number of false alarms of a scan with that window (Naus 1982 and Alm 1983 for scanning Poisson processes; public health
calls its inverse the recurrence interval, Kulldorff 2001, "Prospective time periodic geographical disease surveillance
using a scan statistic"). What a brand allows in a week is spent evenly over its series and windows (alpha spending: a
new series makes every test stricter, time doesn't), and findings that come together are judged together by the step-up
rule of Benjamini & Hochberg 1995, batch by batch as in Zrnic, Jiang, Ramdas & Jordan 2020, "The power of batching in
multiple hypothesis testing": of R accepted, each may be R times weaker. Series are positively dependent (a complaint
counts in its product, merchant and region), for which that rule holds (Benjamini & Yekutieli 2001).
"""

from collections.abc import Sequence
from math import log, sqrt
from typing import NamedTuple

from services.sla.surge.model import Key
from services.sla.surge.tails import log_tail

# Below so many standard deviations no tail is worth computing: none would pass.
_WORTH_A_LOOK = 4.0
# A brand with fewer series is judged as if it had these: it will grow.
FEWEST_SERIES = 200


class Finding(NamedTuple):
    """A series that has more complaints in a window than usual. `log_chance`: ln of false alarms a week."""

    key: Key
    window: int
    complaints: int
    expected: float
    shape: float
    log_chance: float


def improbable(count: int, expected: float, shape: float) -> bool:
    """Whether a tail is worth computing."""
    return count - expected > _WORTH_A_LOOK * sqrt(expected + expected * expected / shape)


def log_chance_per_week(count: int, expected: float, shape: float, windows_a_week: float) -> float:
    """ln of the mean number of times a week in which so much or more is seen in some window by chance.

    Windows overlap: around each of the `windows_a_week` separate ones a scan has `count − expected` chances to be
    unlucky (the clumping factor of Alm's approximation).
    """
    return log_tail(count, expected, shape) + log(windows_a_week) + log(max(1.0, count - expected))


def alarms(findings: Sequence[Finding], series: int, windows: int, false_per_week: float) -> list[Finding]:
    """Those of a batch that are alarms; `series` and `windows` say how many tests there are."""
    tests = max(series, FEWEST_SERIES) * windows
    ranked = sorted(findings, key=lambda finding: finding.log_chance)
    accepted = 0
    for rank, finding in enumerate(ranked, 1):
        if finding.log_chance <= log(false_per_week * rank / tests):
            accepted = rank
    return ranked[:accepted]
