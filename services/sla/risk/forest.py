"""A forest of trees from arrays. No learning happens here, and nothing of the library that learnt it is needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.sla.risk.facts import FEATURES

Floats = NDArray[np.float64]
Whole = NDArray[np.int32]


@dataclass(frozen=True)
class Forest:
    """Nodes of all trees, one after another; `roots` say where each begins.

    A node with `feature` −1 is a leaf and `value` its part of the log-odds; else a row goes `left` where its feature is
    ≤ `threshold`, or unknown and `unknown_left`, and `right` otherwise. Places count from the forest's beginning.
    """

    base: float
    roots: Whole
    feature: Whole
    threshold: Floats
    unknown_left: NDArray[np.bool_]
    left: Whole
    right: Whole
    value: Floats

    def probabilities(self, rows: Sequence[Sequence[float]]) -> list[float]:
        """One probability for each row of features."""
        x = np.asarray(rows, dtype=np.float64)
        if x.shape[1:] != (len(FEATURES),):
            raise ValueError(f"a row has {len(FEATURES)} features: {', '.join(FEATURES)}")
        node = np.tile(self.roots, (len(x), 1))
        of_row = np.arange(len(x))[:, None]
        while True:
            feature = self.feature[node]
            inner = feature >= 0
            if not inner.any():
                break
            told = x[of_row, np.maximum(feature, 0)]
            goes_left = np.where(np.isnan(told), self.unknown_left[node], told <= self.threshold[node])
            node = np.where(inner, np.where(goes_left, self.left[node], self.right[node]), node)
        odds = self.base + self.value[node].sum(axis=1)
        return [float(p) for p in 1 / (1 + np.exp(-odds))]


def load_forest(path: Path) -> Forest:
    """From `forest.npz`. Raises OSError without it, ValueError where it was learnt from other features."""
    with np.load(path, allow_pickle=False) as stored:
        if tuple(stored["features"].tolist()) != FEATURES:
            raise ValueError(f"{path.name}: learnt from other features; run python -m training.risk")
        return Forest(
            base=float(stored["base"]),
            roots=stored["roots"].astype(np.int32),
            feature=stored["feature"].astype(np.int32),
            threshold=stored["threshold"],
            unknown_left=stored["unknown_left"],
            left=stored["left"].astype(np.int32),
            right=stored["right"].astype(np.int32),
            value=stored["value"].astype(np.float64),
        )
