"""The report of the order-risk model: what ships, judged on orders it has not seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss, precision_score, recall_score, roc_auc_score

from services.sla.risk.facts import FEATURES, KNOWN_TO_ORDERS, OF_COURIER
from services.sla.risk.forest import Forest
from services.sla.risk.promise import Habits
from training.risk_history import Floats, History, promised

# The default of `riskAbove` in orders.yaml.
THRESHOLD = 0.5

TEXT = """\
## Order risk

Renewed by `python -m training.risk`; the report is of the files that ship.

**Data.** Learnt from {learnt:,} of {all:,} deliveries of one public data set (training_data.csv of the repository
liamarguedas/uber-eats-delivery-time, MIT licence); the figures are of the other {aside:,}, drawn at random once and for
all. They are not the brand's own orders, and they look partly made up: no orders from 1 to 7 o'clock, the distances of
an hour in narrow bands, times between 10 and 54 minutes. They have no dates, so the split is by order and not by time.
Trust the method more than the numbers, and learn again from a brand's own orders (`--data`).

**Promise.** The {level:.0%} quantile of the minutes taken, by hour of day and band of distance, in whole minutes and
never falling with the distance: what a platform can say before it knows the courier, the weather and the jam. Late is
longer than that: {late:.1%} of the orders kept aside (whole minutes make it less than {over:.0%}). What the promise
knows already can't tell late orders apart. That is why the base rate by hour is hardly better than chance; what the
forest adds is the courier, the load and the day.

| on {aside:,} orders not seen | ROC AUC | Brier | precision at {threshold} | recall at {threshold} |
|---|---|---|---|---|
{rows}

Always saying {late:.1%} has a Brier score of {constant:.4f}. Calibration of the forest with all columns, in ten groups
of equal size, {off:.3f} off on average:

| orders | said | late |
|---|---|---|
{groups}

The service judges by what `orders.v1` tells: hour, weekday, distance, weather and traffic, and the courier's rating and
load where the platform sends them. So its warnings lie between the first row and the third.
"""


@dataclass(frozen=True)
class Judged:
    """How good some probabilities are."""

    name: str
    auc: float
    brier: float
    precision: float
    recall: float


def by_hour(learnt: History, promise: Floats, judged: History) -> Floats:
    """The baseline: the share of late orders of the same hour."""
    late = learnt.taken > promise
    share = {h: late[learnt.facts[:, 0] == h].mean() for h in np.unique(learnt.facts[:, 0])}
    return np.array([share.get(h, late.mean()) for h in judged.facts[:, 0]], dtype=np.float64)


def judge(name: str, late: NDArray[np.bool_], probability: Floats) -> Judged:
    """ROC AUC, Brier score, precision and recall at the threshold."""
    warned = probability >= THRESHOLD
    return Judged(
        name,
        float(roc_auc_score(late, probability)),
        float(brier_score_loss(late, probability)),
        float(precision_score(late, warned, zero_division=0.0)),
        float(recall_score(late, warned)),
    )


def calibration(late: NDArray[np.bool_], probability: Floats) -> list[tuple[int, float, float]]:
    """Ten groups of equal size by probability: how many, said on average, late in truth."""
    groups = np.array_split(np.argsort(probability, kind="stable"), 10)
    return [(len(g), float(probability[g].mean()), float(late[g].mean())) for g in groups]


def without(x: Floats, names: tuple[str, ...]) -> Floats:
    """The same rows with these features unknown."""
    hidden = x.copy()
    hidden[:, [FEATURES.index(name) for name in names]] = np.nan
    return hidden


def section(learnt: History, aside: History, habits: Habits, forest: Forest) -> str:
    """The section of docs/evaluation.md."""
    promise = promised(habits, aside)
    late = aside.taken > promise
    x = aside.facts.copy()
    x[:, -1] = promise
    not_in_events = tuple(name for name in FEATURES[:-1] if name not in KNOWN_TO_ORDERS)
    told = np.array(forest.probabilities(x.tolist()))
    rules = np.array([habits.longer(h, km, m) for (h, km), m in zip(aside.facts[:, :2], promise, strict=True)])

    def forest_without(names: tuple[str, ...]) -> Floats:
        return np.array(forest.probabilities(without(x, names).tolist()))

    rows = [
        judge("forest, all columns", late, told),
        judge("forest, nothing of the courier", late, forest_without(OF_COURIER)),
        judge(
            "forest, only what orders.v1 always tells",
            late,
            forest_without(not_in_events),
        ),
        judge("rules: base rate by hour and distance", late, rules),
        judge("baseline: base rate by hour", late, by_hour(learnt, promised(habits, learnt), aside)),
    ]
    groups = calibration(late, told)
    return TEXT.format(
        learnt=len(learnt.taken),
        all=len(learnt.taken) + len(aside.taken),
        aside=len(aside.taken),
        level=habits.promise_level,
        over=1 - habits.promise_level,
        late=late.mean(),
        constant=late.mean() * (1 - late.mean()),
        threshold=THRESHOLD,
        off=sum(count * abs(said - true) for count, said, true in groups) / len(late),
        rows="\n".join(
            f"| {r.name} | {r.auc:.3f} | {r.brier:.4f} | {r.precision:.2f} | {r.recall:.2f} |" for r in rows
        ),
        groups="\n".join(f"| {count} | {said:.3f} | {true:.3f} |" for count, said, true in groups),
    )
