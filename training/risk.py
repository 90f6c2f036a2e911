"""The order-risk model: `python -m training.risk` learns it, judges it, and renews "Order risk" in docs/evaluation.md.

Reads deliveries.csv (`--data`), keeps a fifth of it aside, learns from the rest, and writes what ships:
`services/sla/risk/promise.json` (how long orders take, by hour and distance: the promise, and the rules) and
`forest.npz` (trees as arrays). The report is of exactly these files, on the fifth they have not seen. `--check` only
judges what ships.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from services.sla.risk.facts import FEATURES, KNOWN_TO_ORDERS
from services.sla.risk.forest import load_forest
from services.sla.risk.model import FOREST, PROMISE
from services.sla.risk.promise import HOURS, habits_of
from training.risk_history import Floats, History, promised, read
from training.risk_report import section

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data" / "deliveries" / "deliveries.csv"
PLACE = ROOT / "docs" / "evaluation.md"
BEGIN, END = "<!-- risk:begin -->", "<!-- risk:end -->"
SEED = 20261124
ASIDE = 0.2
BANDS_KM = (4.0, 6.0, 8.0, 10.0, 13.0)
LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))
PROMISE_LEVEL = 0.8
# A quantile needs so many orders; with fewer, neighbouring hours count too.
ENOUGH = 200
TREES = 320


def parts(history: History) -> tuple[History, History]:
    """What is learnt from, and what is kept aside; always the same."""
    order = np.random.default_rng(SEED).permutation(len(history.taken))
    aside = int(len(order) * ASIDE)
    return history.some(order[aside:]), history.some(order[:aside])


def habits_from(history: History) -> dict[str, Any]:
    """Quantiles of the minutes taken, by hour and band, never falling with the distance."""
    hour, band = history.facts[:, 0], np.digitize(history.facts[:, 1], BANDS_KM)
    minutes: list[list[list[float]]] = []
    for h in range(HOURS):
        away = np.minimum((hour - h) % HOURS, (h - hour) % HOURS)
        cells: list[list[float]] = []
        for b in range(len(BANDS_KM) + 1):
            near = next(
                n for width in range(HOURS) if (n := (band == b) & (away <= width)).sum() >= ENOUGH or width == 12
            )
            cell = [float(ceil(q)) for q in np.quantile(history.taken[near], LEVELS, method="higher")]
            cells.append(cell if not cells else [max(pair) for pair in zip(cell, cells[-1], strict=True)])
        minutes.append(cells)
    return {"bands_km": BANDS_KM, "levels": LEVELS, "promise_level": PROMISE_LEVEL, "minutes": minutes}


def learn(history: History, promise: Floats) -> HistGradientBoostingClassifier:
    """Learns "takes longer than so many minutes" for any minutes and whatever is unknown.

    Each delivery is seen four times: with its promise, with other minutes near it, as an event of orders.v1 tells it,
    and with some facts missing. More minutes never raise the probability.
    """
    random = np.random.default_rng(SEED + 1)
    count = len(promise)
    hidden_in_events = [i for i, name in enumerate(FEATURES[:-1]) if name not in KNOWN_TO_ORDERS]
    rows, late = [], []
    for view in range(4):
        minutes = promise if view == 0 else promise + np.round(random.normal(0, 9, count))
        if view >= 2:
            minutes = np.where(random.random(count) < 0.5, promise, minutes)
        x = history.facts.copy()
        if view == 2:
            x[:, hidden_in_events] = np.nan
        elif view == 3:
            hidden = random.random((count, len(FEATURES) - 1)) < 0.3
            hidden[:, 0] = False
            x[:, :-1][hidden] = np.nan
        x[:, -1] = minutes
        rows.append(x)
        late.append(history.taken > minutes)
    trees = HistGradientBoostingClassifier(
        max_iter=TREES,
        learning_rate=0.08,
        max_leaf_nodes=16,
        min_samples_leaf=60,
        l2_regularization=1.0,
        monotonic_cst=[0] * (len(FEATURES) - 1) + [-1],
        early_stopping=False,
        random_state=SEED,
    )
    return trees.fit(np.vstack(rows), np.concatenate(late))


def save_forest(trees: HistGradientBoostingClassifier, path: Path) -> None:
    """Writes the trees as arrays (see `services/sla/risk/forest.py`)."""
    roots, columns = [], []
    start = 0
    for (predictor,) in trees._predictors:
        nodes = predictor.nodes
        roots.append(start)
        leaf = nodes["is_leaf"].astype(bool)
        columns.append(
            (
                np.where(leaf, -1, nodes["feature_idx"]).astype(np.int8),
                np.where(leaf, 0.0, nodes["num_threshold"]),
                nodes["missing_go_to_left"].astype(bool) & ~leaf,
                np.where(leaf, 0, nodes["left"].astype(np.int32) + start).astype(np.int32),
                np.where(leaf, 0, nodes["right"].astype(np.int32) + start).astype(np.int32),
                np.where(leaf, nodes["value"], 0.0).astype(np.float32),
            )
        )
        start += len(nodes)
    feature, threshold, unknown_left, left, right, value = (np.concatenate(c) for c in zip(*columns, strict=True))
    np.savez_compressed(
        path,
        features=np.array(FEATURES),
        base=float(np.ravel(trees._baseline_prediction)[0]),
        roots=np.array(roots, dtype=np.int32),
        feature=feature,
        threshold=threshold,
        unknown_left=unknown_left,
        left=left,
        right=right,
        value=value,
    )


def renew(section: str) -> None:
    """Puts the section between its markers, or at the end of the page."""
    page = PLACE.read_text() if PLACE.exists() else "# Evaluation\n\nEach section is renewed by the command it names.\n"
    block = f"{BEGIN}\n{section}\n{END}"
    if BEGIN in page:
        before, _, rest = page.partition(BEGIN)
        page = before + block + rest.partition(END)[2]
    else:
        page = f"{page.rstrip()}\n\n{block}\n"
    PLACE.write_text(page)


def main(arguments: Sequence[str]) -> int:
    """Learns, judges and writes; 2 without the data."""
    parser = argparse.ArgumentParser(prog="python -m training.risk", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="a file like deliveries.csv")
    parser.add_argument("--check", action="store_true", help="judge what ships, learn and write nothing")
    options = parser.parse_args(arguments)
    if not options.data.exists():
        sys.stderr.write(f"risk: no {options.data.name}; --data names it\n")
        return 2
    learnt, aside = parts(read(options.data))
    if not options.check:
        stored = habits_from(learnt)
        PROMISE.write_text(json.dumps(stored, separators=(",", ":")).replace("]],[[", "]],\n[[") + "\n")
        print(f"learning from {len(learnt.taken):,} deliveries, some minutes")
        save_forest(learn(learnt, promised(habits_of(stored), learnt)), FOREST)
    text = section(learnt, aside, habits_of(json.loads(PROMISE.read_text())), load_forest(FOREST))
    print(text)
    if not options.check:
        renew(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
