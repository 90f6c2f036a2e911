"""What a benchmark says: a figure, the reference it stands beside, and how much both moved between runs. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Result:
    """One row of `latest.json`.

    `ratio` is value over reference, None where nothing in the machine does the same. `spread` is the lowest and the
    highest of the runs behind the median.
    """

    name: str
    value: float
    unit: str
    reference: str = ""
    reference_value: float | None = None
    runs: int = 1
    spread: tuple[float, float] | None = None
    limit: str = ""
    facts: dict[str, float | str] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """How much of the reference is reached."""
        return None if not self.reference_value else self.value / self.reference_value


def of_runs(name: str, values: Sequence[float], unit: str, **others: Any) -> Result:
    """The median of several runs, with their spread. Raises ValueError without any."""
    if not values:
        raise ValueError(f"{name}: no run")
    return Result(name, median(values), unit, runs=len(values), spread=(min(values), max(values)), **others)


def beside(
    name: str, runs: Sequence[tuple[float, float]], unit: str, reference: str, limit: str = "", **facts: float | str
) -> Result:
    """Medians of pairs (value, reference) that were measured in turn, so that a noisy machine is noisy for both.

    The ratio is that of the medians. Raises ValueError without any pair.
    """
    if not runs:
        raise ValueError(f"{name}: no run")
    values, references = [value for value, _ in runs], [other for _, other in runs]
    return of_runs(
        name, values, unit, reference=reference, reference_value=median(references), limit=limit, facts=dict(facts)
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of the ordered values lies (nearest rank). Raises ValueError for none."""
    if not ordered:
        raise ValueError("no values")
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def document(facts: Mapping[str, Any], results: Sequence[Result], kept: Sequence[Mapping[str, Any]] = ()) -> str:
    """`latest.json`; the form is of `interfaces.md`, the further fields are ours. `facts` are those of the run, `kept`
    rows of an earlier one: those measured again give way."""
    rows = [
        {
            "name": each.name,
            "value": _short(each.value),
            "unit": each.unit,
            "reference": each.reference,
            "referenceValue": _short(each.reference_value),
            "ratio": _short(each.ratio),
            "runs": each.runs,
            "spread": [_short(bound) for bound in each.spread] if each.spread else None,
            "limit": each.limit,
            "facts": {name: _short(fact) if isinstance(fact, float) else fact for name, fact in each.facts.items()},
        }
        for each in results
    ]
    new = {row["name"] for row in rows}
    rows = [*(dict(row) for row in kept if row["name"] not in new), *rows]
    return json.dumps({**facts, "results": rows}, indent=2, ensure_ascii=False) + "\n"


def _short(value: float | None) -> float | None:
    """Four significant digits: more would be noise."""
    return None if value is None else float(f"{value:.4g}")
