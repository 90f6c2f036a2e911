"""The surge detector: how many complaints it judges, and after how many it speaks up.

What the service does with a message of `surge-counts`, as far as it needs neither broker nor table: decode, judge, make
the events, and once for each second of complaints the rows that are stored. The reference parses the same messages and
counts them by series and minute. Both in CPU time of this process.
"""

import pickle
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from statistics import median

import numpy as np

from bench.figures import Result, beside
from bench.load import cpu_seconds
from bench.progress import Progress
from bench.simulate import START, Cause, City
from bench.surges import MINUTE, RULES, Trial, busy, keys_of, learnt, run_trial
from gen.pingxi.v1.internal_pb2 import SurgeCounts
from services.sla.surge.detector import Brand, take
from services.sla.surge.model import Counts, Dimension, Key
from services.sla.surge.rows import changed_rows, journal
from services.sla.surge.wire import counts_from_proto, counts_to_proto, outgoing

# Complaints before the first run: by then the city below has its 10,000 series.
LEARNT = 150_000
COMPLAINTS = 20_000
IN_A_MESSAGE = 200
A_SECOND = 5000
RUNS = 5
NAME = "simulated"
# The thresholds of docs/evaluation.md: as few false alarms as Pingxi is allowed.
FIXED, SCORE = 70, 20
RISES = (10.0, 30.0, 100.0)


async def throughput(short: bool, progress: Progress) -> Sequence[Result]:
    """`surge`."""
    learnt_from, count, runs = (LEARNT // 5, COMPLAINTS // 5, 3) if short else (LEARNT, COMPLAINTS, RUNS)
    progress.step("a brand gets used to 5,000 complaints a second")
    ours, coming = busy(City(11, per_day=200_000.0), learnt_from)
    offset = ours.offset
    messages = []
    for start in range(0, count, IN_A_MESSAGE):
        part = coming[start : start + IN_A_MESSAGE]
        rows = tuple((offset + start + index, each) for index, each in enumerate(part))
        messages.append(counts_to_proto(Counts(NAME, "0", rows)).SerializeToString())
    before = pickle.dumps(ours.brand)
    pairs = []
    for run in range(runs):
        progress.step("runs", run, runs)
        brand = pickle.loads(before)
        pairs.append((count / _judged(brand, messages), count / _counted(messages)))
    progress.step("runs", runs, runs)
    return [
        beside(
            "surge",
            pairs,
            "complaints/s",
            "the same messages parsed and counted by series and minute",
            "one core of Python: a complaint is in five series, each looked at over four windows",
            series=float(len(ours.brand.counted.series)),
            used_to_per_second=float(A_SECOND),
        )
    ]


def _judged(brand: Brand, messages: Sequence[bytes]) -> float:
    """Seconds of a core."""
    told = 0
    began = cpu_seconds()
    for number, value in enumerate(messages, 1):
        effects = take(brand, counts_from_proto(SurgeCounts.FromString(value), NAME), RULES)
        told += sum(outgoing(each).body.ByteSize() for each in effects)
        if number % (A_SECOND // IN_A_MESSAGE) == 0:
            told += sum(map(len, journal(NAME, number, changed_rows(brand, RULES)).values()))
    return cpu_seconds() - began


def _counted(messages: Sequence[bytes]) -> float:
    bare: Counter[tuple[Key, int]] = Counter()
    began = cpu_seconds()
    for value in messages:
        for _, complaint in counts_from_proto(SurgeCounts.FromString(value), NAME).complaints:
            for key in keys_of(complaint):
                bare[key, complaint.at_us // MINUTE] += 1
    return cpu_seconds() - began


async def delay(short: bool, progress: Progress) -> Sequence[Result]:
    """`surge_delay`: complaints of a cause until it is called a surge; a city a run."""
    cities, days, dimensions = (3, 8, (Dimension.MERCHANT,)) if short else (5, 14, tuple(Dimension)[1:])
    pairs = []
    found: list[Trial] = []
    every = cities * len(RISES) * len(dimensions)
    for seed in range(301, 301 + cities):
        city = City(seed)
        base = learnt(city, days, FIXED, SCORE)
        both = []
        for cause in _causes(city, days, dimensions, seed):
            found.append(run_trial(base, city, cause, FIXED, SCORE))
            progress.step("causes", len(found), every)
            if found[-1].ours and found[-1].score:
                both.append(found[-1])
        if both:
            pairs.append((median(t.ours[0] for t in both if t.ours), median(t.score[0] for t in both if t.score)))
    return [
        beside(
            "surge_delay",
            pairs,
            "complaints",
            f"a z-score ({SCORE} over 24 h) where both found it",
            "fewer can't be told from chance at the policy's rate of false alarms",
            causes=float(every),
            found=float(sum(trial.ours is not None for trial in found)),
            found_by_z_score=float(sum(trial.score is not None for trial in found)),
            found_by_fixed_threshold=float(sum(trial.fixed is not None for trial in found)),
        )
    ]


def _causes(city: City, days: int, dimensions: Sequence[Dimension], seed: int) -> list[Cause]:
    """One of each dimension and rise, around noon of the day after what was learnt."""
    chance = np.random.default_rng(seed)
    noon = START + timedelta(days=days, hours=12)
    return [
        Cause(
            dimension,
            city.some_value(dimension, noon, chance),
            "delivery" if dimension in (Dimension.REGION, Dimension.STATION) else "product_quality",
            noon,
            timedelta(hours=2),
            rise,
            at_least=1.0,
        )
        for dimension in dimensions
        for rise in RISES
    ]
