"""The surge detector on simulated cities: `python -m bench.surges`, which renews "Surges" in docs/evaluation.md.

Three detectors read the same complaints in the same run: Pingxi's, a fixed threshold on the count of 15 minutes, and a
z-score of that count over the last 24 hours. The two thresholds are set on one city's quiet weeks so that they give as
few false incidents as Pingxi is allowed to; all figures are from other cities, with other seeds. `--quick` is a short
form.
"""

import argparse
import json
import pickle
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import sqrt
from pathlib import Path
from statistics import median
from textwrap import wrap

import numpy as np

from bench.load import cpu_seconds
from bench.simulate import START, Cause, City, complaints
from deploy.local.settings import ROOT
from rules.surges import SurgePolicy
from services.sla.surge.detector import Brand, take
from services.sla.surge.model import DIMENSIONS, Complaint, Counts, Dimension, IncidentTold, Key
from services.sla.surge.rules import compile_rules

RULES = compile_rules(SurgePolicy(), "UTC")
MINUTE, QUARTER, DAY = 60_000_000, 900_000_000, 86_400_000_000
TUNED = (1, 2, 5)
# Of the cities that are reported on.
SHAPE = {"regions": 14, "merchants": 260, "products_each": 5}
PLACE = ROOT / "docs" / "evaluation.md"
BEGIN, END = "<!-- surges:begin -->", "<!-- surges:end -->"
FIXED = (5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 70, 100)
SCORES = (3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40)

MADE = """Made by `python -m bench.surges`; a simulated city (`bench/simulate.py`) with seasons, breakfast and
night shops, drift, new shops, busy and calm days. Nothing here is real traffic: a real city varies in
ways nobody simulated. Tried out on seeds {tuned} (10 regions, 300 shops of 4 products); reported on
quiet seed 101 and seeds {seeds} (14 regions, 260 shops of 5 products). The policy is that of `default`."""
QUIET = """**Quiet.** {weeks:.0f} simulated weeks, not compressed ({seen:,} complaints, each judged as it comes;
the first week, in which everybody learns, isn't counted), {series:,} series. The policy allows chance
{most:.2f} false incidents a week; the thresholds of the other two were set so on the first city
({tune_days} days)."""
CAUSES = """**Causes.** {trials} causes of two hours, put one at a time into cities that were learnt for
{learn_days} days. A rise of 10 is ten times the usual complaints of that value (taken as at least one
an hour). Delay: complaints of the value, and seconds, from the start of the cause to the first alarm;
medians over what was found. In each cell Pingxi · fixed threshold · z-score."""
FOUND = """Of the {found} causes found, {right} ({share:.1%}) ended under the right dimension and value. A cause
made {ours:.2f} incidents on average, {fixed:.1f} alarms with the fixed threshold and {score:.1f} with
the z-score, which judge every series by itself. What isn't found has too few complaints to be told from
chance at this rate of false alarms."""
SPEED = """**Speed.** {per_second:,.0f} complaints a second of one core (CPU time) over {series:,.0f} series,
used to 5,000 a second, against {bare_per_second:,.0f}/s for a bare count of the same complaints by
series and minute in the same run: ratio {ratio:.2f}. This is the detector by itself; the way
through Kafka comes on top."""


def keys_of(complaint: Complaint) -> list[Key]:
    """The series a complaint counts in."""
    return [Key(complaint.category, dimension, complaint.value(dimension)) for dimension in DIMENSIONS]


@dataclass
class Alarm:
    """A series was called a surge."""

    at_us: int
    key: Key


@dataclass
class Simple:
    """A threshold on each series by itself: on its count of 15 minutes, or on how many standard deviations that is
    above the mean of the last 24 hours' quarters. An incident lasts until a series was below for 15 minutes.
    """

    fixed: Sequence[float]
    scores: Sequence[float]
    recent: dict[Key, deque[int]] = field(default_factory=lambda: defaultdict(deque))
    quarters: dict[Key, deque[tuple[int, int]]] = field(default_factory=lambda: defaultdict(deque))
    alarms: dict[tuple[str, float], list[Alarm]] = field(default_factory=lambda: defaultdict(list))
    until: dict[tuple[str, float, Key], int] = field(default_factory=dict)

    def take(self, complaint: Complaint) -> None:
        """One complaint."""
        now = complaint.at_us
        quarter = now // QUARTER
        for key in keys_of(complaint):
            recent, past = self.recent[key], self.quarters[key]
            recent.append(now)
            while recent[0] <= now - QUARTER:
                recent.popleft()
            while past and past[0][0] < quarter - 96:
                past.popleft()
            count = len(recent)
            if count >= 5:
                counts = [each for number, each in past if number < quarter]
                mean = sum(counts) / 96
                spread = sqrt(max(sum(each * each for each in counts) / 96 - mean * mean, 1 / 96))
                self._judge("fixed", count, self.fixed, key, now)
                self._judge("score", (count - mean) / spread, self.scores, key, now)
            if past and past[-1][0] == quarter:
                past[-1] = (quarter, past[-1][1] + 1)
            else:
                past.append((quarter, 1))

    def _judge(self, kind: str, value: float, thresholds: Sequence[float], key: Key, now: int) -> None:
        for threshold in thresholds:
            if value < threshold:
                break
            if self.until.get((kind, threshold, key), 0) <= now:
                self.alarms[kind, threshold].append(Alarm(now, key))
            self.until[kind, threshold, key] = now + QUARTER


@dataclass
class Ours:
    """Pingxi's detector; messages as they come from one source."""

    brand: Brand = field(default_factory=lambda: Brand("simulated"))
    offset: int = 0
    alarms: list[Alarm] = field(default_factory=list)
    last: dict[str, Key] = field(default_factory=dict)
    orders: set[tuple[str, str]] = field(default_factory=set)

    def take(self, batch: Sequence[Complaint]) -> None:
        """Some complaints in one message."""
        rows = tuple((self.offset + index, complaint) for index, complaint in enumerate(batch))
        self.offset += len(batch)
        for effect in take(self.brand, Counts("simulated", "0", rows), RULES):
            if isinstance(effect, IncidentTold):
                if effect.change == "opened":
                    self.alarms.append(Alarm(effect.at_us, effect.incident.key))
                self.last[effect.incident.id] = effect.incident.key


def by_minute(stream: Iterable[Complaint]) -> Iterable[list[Complaint]]:
    """Complaints of a minute together."""
    batch: list[Complaint] = []
    for complaint in stream:
        if batch and complaint.at_us // MINUTE != batch[0].at_us // MINUTE:
            yield batch
            batch = []
        batch.append(complaint)
    if batch:
        yield batch


@dataclass
class Quiet:
    """What a time without any cause gave."""

    weeks: float
    seen: int
    series: int
    ours: list[Alarm]
    simple: dict[tuple[str, float], list[Alarm]]


def run_quiet(city: City, days: int, fixed: Sequence[float], scores: Sequence[float], what: str) -> Quiet:
    """A quiet city; the first week, in which everybody learns, isn't counted."""
    ours, simple, seen = Ours(), Simple(fixed, scores), 0
    said = -1
    for batch in by_minute(complaints(city, START, days * 24)):
        seen += len(batch)
        ours.take(batch)
        for complaint in batch:
            simple.take(complaint)
        day = int((batch[0].at_us - START.timestamp() * 1e6) // DAY)
        if day != said:
            said = day
            print(f"\r{what}: day {day + 1}/{days}, {seen} complaints", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    first = int(START.timestamp() * 1e6) + 7 * DAY
    return Quiet(
        (days - 7) / 7,
        seen,
        len(ours.brand.counted.series),
        [alarm for alarm in ours.alarms if alarm.at_us >= first],
        {kind: [alarm for alarm in found if alarm.at_us >= first] for kind, found in simple.alarms.items()},
    )


def tuned(quiet: Quiet, kind: str, thresholds: Sequence[float], most: float) -> float:
    """The smallest threshold with so few false incidents a week."""
    good = [t for t in thresholds if len(quiet.simple.get((kind, t), ())) / quiet.weeks <= most]
    return min(good, default=thresholds[-1])


@dataclass
class Trial:
    """One cause and what each detector made of it; delays from its start, in complaints of it and seconds."""

    dimension: Dimension
    rise: float
    ours: tuple[int, float] | None = None
    fixed: tuple[int, float] | None = None
    score: tuple[int, float] | None = None
    right: bool = False
    named: str = ""
    incidents: int = 0
    fixed_alarms: int = 0
    score_alarms: int = 0


def run_trial(base: bytes, city: City, cause: Cause, fixed: float, score: float) -> Trial:
    """The same four hours for all three, from the same learnt state."""
    ours, simple = pickle.loads(base)
    ours.alarms, simple.fixed, simple.scores = [], [fixed], [score]
    simple.alarms.clear()
    started = int(cause.start.timestamp() * 1e6)
    key = Key(cause.category, cause.dimension, cause.value)
    trial = Trial(cause.dimension, cause.rise)
    caused = 0
    for complaint in complaints(city, cause.start.replace(minute=0), 4, [cause]):
        caused += complaint.at_us >= started and key in keys_of(complaint)
        ours.take([complaint])
        simple.take(complaint)
        place = (caused, (complaint.at_us - started) / 1e6)
        if complaint.at_us < started:
            continue
        if trial.ours is None and any(a.at_us >= started for a in ours.alarms):
            trial.ours = place
        if trial.fixed is None and any(a.at_us >= started for a in simple.alarms["fixed", fixed]):
            trial.fixed = place
        if trial.score is None and any(a.at_us >= started for a in simple.alarms["score", score]):
            trial.score = place
    named = list(ours.last.values())
    trial.right = key in named
    trial.named = " ".join(f"{each.dimension}:{each.value}" for each in named)
    trial.incidents = len(ours.last)
    trial.fixed_alarms = len(simple.alarms["fixed", fixed])
    trial.score_alarms = len(simple.alarms["score", score])
    return trial


def causes(city: City, day: datetime, rises: Sequence[float], each: int, seed: int) -> list[Cause]:
    """So many causes of every dimension and rise, at hours when people order."""
    rng = np.random.default_rng(seed)
    found = []
    for dimension in (Dimension.PRODUCT, Dimension.MERCHANT, Dimension.STATION, Dimension.REGION, Dimension.ALL):
        for rise in rises:
            for _ in range(each):
                at = day + timedelta(
                    hours=int(rng.choice([8, 10, 11, 12, 14, 17, 18, 19, 21])), minutes=int(rng.integers(60))
                )
                category = {Dimension.ALL: "system", Dimension.REGION: "delivery", Dimension.STATION: "delivery"}
                found.append(
                    Cause(
                        dimension,
                        city.some_value(dimension, at, rng),
                        category.get(dimension, "product_quality"),
                        at,
                        timedelta(hours=2),
                        rise,
                        at_least=1.0,
                    )
                )
    return found


def learnt(city: City, days: int, fixed: float, score: float) -> bytes:
    """Detectors that have seen so many quiet days, to start trials from."""
    ours, simple = Ours(), Simple([fixed], [score])
    for batch in by_minute(complaints(city, START, days * 24)):
        ours.take(batch)
        for complaint in batch:
            simple.take(complaint)
    ours.last.clear()
    RULES.hour_of_week(0)
    return pickle.dumps((ours, simple))


def busy(city: City, count: int) -> tuple[Ours, list[Complaint]]:
    """A detector of a brand that is used to 5,000 complaints a second, and as many as it has seen, `count`, to come."""
    rows: list[Complaint] = []
    for complaint in complaints(city, START, 24 * 400):
        rows.append(complaint)
        if len(rows) == 2 * count:
            break
    packed = [replace(row, at_us=rows[0].at_us + index * 200) for index, row in enumerate(rows)]
    ours = Ours()
    for start in range(0, count, 200):
        ours.take(packed[start : start + 200])
    counted = ours.brand.counted
    counted.born_us -= 14 * DAY
    weight = counted.weight(counted.now_us // (3600 * 1_000_000), RULES)
    lived = 336.0
    for season in counted.seasons.values():
        season.lived = lived * weight
        season.exposure = [2.0 * weight] * 168
        season.counts = [2.0 * weight] * 168
        season.settle(weight, RULES.policy.day)
    for key, series in counted.series.items():
        series.level.born = 0.0
        series.level.count = series.total / (count / 5000 / 3600) * lived * weight
        counted.peers[key.category, key.dimension].count += series.level.count
    return ours, packed[count:]


def throughput(city: City, count: int) -> dict[str, float]:
    """Complaints a second of CPU time through the detector, in messages of 200, of a brand that is used to 5,000 a
    second; and the same through a bare count by series and minute."""
    ours, coming = busy(city, count // 2)
    began = cpu_seconds()
    for start in range(0, len(coming), 200):
        ours.take(coming[start : start + 200])
    ours_seconds = cpu_seconds() - began
    bare: Counter[tuple[Key, int]] = Counter()
    began = cpu_seconds()
    for complaint in coming:
        for key in keys_of(complaint):
            bare[key, complaint.at_us // MINUTE] += 1
    bare_seconds = cpu_seconds() - began
    return {
        "per_second": len(coming) / ours_seconds,
        "bare_per_second": len(coming) / bare_seconds,
        "series": len(ours.brand.counted.series),
        "incidents": len(ours.alarms),
    }


def run_trials(
    seed: int, learn_days: int, rises: Sequence[float], each: int, fixed: float, score: float
) -> list[Trial]:
    """All causes of one city."""
    city = City(seed, **SHAPE)
    base = learnt(city, learn_days, fixed, score)
    todo = causes(city, START + timedelta(days=learn_days), rises, each, seed)
    trials = []
    for done, cause in enumerate(todo, 1):
        trials.append(run_trial(base, city, cause, fixed, score))
        print(f"\rcity {seed}: cause {done}/{len(todo)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return trials


def report(args: argparse.Namespace) -> tuple[str, dict[str, object]]:
    """The section of docs/evaluation.md, and the figures."""
    most = RULES.false_per_week
    calm = run_quiet(City(TUNED[0]), args.tune_days, FIXED, SCORES, "setting the thresholds")
    fixed, score = tuned(calm, "fixed", FIXED, most), tuned(calm, "score", SCORES, most)
    with ProcessPoolExecutor(2) as pool:
        year = pool.submit(run_quiet, City(101, **SHAPE), args.quiet_days, [fixed], [score], "quiet year")
        runs = [
            pool.submit(run_trials, seed, args.learn_days, args.rises, args.each, fixed, score) for seed in args.seeds
        ]
        trials = [trial for run in runs for trial in run.result()]
        quiet = year.result()
    # By itself: nothing else of ours runs meanwhile.
    speed = throughput(City(11, per_day=200_000.0), args.throughput)
    found = [trial for trial in trials if trial.ours]
    figures: dict[str, object] = {
        "false_per_week": len(quiet.ours) / quiet.weeks,
        "series": quiet.series,
        "right": sum(trial.right for trial in found) / max(1, len(found)),
        "found": len(found),
        "trials": len(trials),
        **speed,
    }
    return _section(args, most, fixed, score, quiet, trials, speed), figures


def _section(
    args: argparse.Namespace,
    most: float,
    fixed: float,
    score: float,
    quiet: Quiet,
    trials: Sequence[Trial],
    speed: dict[str, float],
) -> str:
    found = [trial for trial in trials if trial.ours]
    false = {
        "Pingxi": len(quiet.ours) / quiet.weeks,
        f"fixed threshold ({fixed:g} in 15 min)": len(quiet.simple.get(("fixed", fixed), ())) / quiet.weeks,
        f"z-score ({score:g} over 24 h)": len(quiet.simple.get(("score", score), ())) / quiet.weeks,
    }
    said = {
        "tuned": ", ".join(map(str, TUNED)),
        "seeds": ", ".join(map(str, args.seeds)),
        "weeks": quiet.weeks,
        "seen": quiet.seen,
        "series": quiet.series,
        "most": most,
        "tune_days": args.tune_days,
        "learn_days": args.learn_days,
        "trials": len(trials),
    }
    lines = [
        *_paragraph(MADE.format_map(said)),
        *_paragraph(QUIET.format_map(said)),
        "| detector | false incidents a week | in all |",
        "|---|---|---|",
        *(f"| {name} | {rate:.2f} | {rate * quiet.weeks:.0f} |" for name, rate in false.items()),
        "",
        *_paragraph(CAUSES.format_map(said)),
        "| cause | rise | found | delay in complaints | delay in seconds | right dimension and value (Pingxi) |",
        "|---|---|---|---|---|---|",
    ]
    for dimension in (Dimension.PRODUCT, Dimension.MERCHANT, Dimension.STATION, Dimension.REGION, Dimension.ALL):
        for rise in args.rises:
            rows = [trial for trial in trials if (trial.dimension, trial.rise) == (dimension, rise)]
            ours = [trial for trial in rows if trial.ours]
            cells = [
                f"{dimension}",
                f"×{rise:g}",
                " · ".join(str(sum(getattr(t, name) is not None for t in rows)) for name in ("ours", "fixed", "score"))
                + f" of {len(rows)}",
                " · ".join(_middle(rows, name, 0) for name in ("ours", "fixed", "score")),
                " · ".join(_middle(rows, name, 1) for name in ("ours", "fixed", "score")),
                f"{sum(t.right for t in ours)} of {len(ours)}" if ours else "–",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    right = sum(trial.right for trial in found)
    noisy = [sum(getattr(t, name) for t in found) / max(1, len(found)) for name in _COUNTS]
    told = {
        "found": len(found),
        "right": right,
        "share": right / max(1, len(found)),
        "ours": noisy[0],
        "fixed": noisy[1],
        "score": noisy[2],
        "ratio": speed["per_second"] / speed["bare_per_second"],
        **speed,
    }
    lines += ["", *_paragraph(FOUND.format_map(told)), *_paragraph(SPEED.format_map(told))[:-1]]
    return "\n".join(lines)


def _paragraph(text: str) -> list[str]:
    """The text in lines of the width of this document, and an empty line."""
    return [*wrap(" ".join(text.split()), 118, break_on_hyphens=False), ""]


_COUNTS = ("incidents", "fixed_alarms", "score_alarms")


def _middle(rows: Sequence[Trial], name: str, place: int) -> str:
    values = [getattr(trial, name)[place] for trial in rows if getattr(trial, name) is not None]
    return f"{median(values):.0f}" if values else "–"


def put(section: str, place: Path) -> None:
    """Puts the section between its markers; the rest of the document stays."""
    text = place.read_text(encoding="utf-8") if place.exists() else "# Evaluation\n"
    if BEGIN not in text:
        text = f"{text.rstrip()}\n\n## Surges\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    place.write_text(f"{before}{BEGIN}\n{section}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def main() -> int:
    """Prints the figures as JSON, renews the document unless told not to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="minutes instead of half an hour; doesn't touch the document"
    )
    parser.add_argument("--quiet-days", type=int, default=371)
    parser.add_argument("--tune-days", type=int, default=63)
    parser.add_argument("--learn-days", type=int, default=28)
    parser.add_argument("--each", type=int, default=10, help="causes for each city, dimension and rise")
    parser.add_argument("--rises", type=float, nargs="+", default=[3.0, 10.0, 30.0, 100.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[201, 202])
    parser.add_argument("--throughput", type=int, default=600_000, help="complaints for the measure of speed")
    args = parser.parse_args()
    if args.quick:
        args.quiet_days, args.tune_days, args.learn_days, args.each = 28, 14, 14, 2
        args.seeds, args.throughput = args.seeds[:1], 60_000
    section, figures = report(args)
    if args.quick:
        print(section)
    else:
        put(section, PLACE)
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
