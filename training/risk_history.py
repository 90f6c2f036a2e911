"""Deliveries of the past, as the order-risk model learns from them."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.sla.risk.columns import TAKEN, facts_of
from services.sla.risk.promise import Habits

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class History:
    """Deliveries: a row of features for each (the minutes allowed still unknown), and the minutes it took."""

    facts: Floats
    taken: Floats

    def some(self, places: Places) -> "History":
        return History(self.facts[places], self.taken[places])


def read(path: Path) -> History:
    """All rows of a file like deliveries.csv."""
    with path.open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    facts = [facts_of(row).features(np.nan) for row in rows]
    return History(np.array(facts, dtype=np.float64), np.array([float(row[TAKEN]) for row in rows]))


def promised(habits: Habits, history: History) -> Floats:
    """What each order would have been promised."""
    return np.array([habits.promise(hour, km) for hour, km in history.facts[:, :2]], dtype=np.float64)
