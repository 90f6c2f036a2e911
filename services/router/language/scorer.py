"""The learned model: linear over n-grams, concepts and signs, from one file of weights. No learning happens here.

`weights.npz` is written by `python -m training.train`; `report.json` beside it says what it learnt from.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rules.words import Category
from services.router.language.features import Hashes, hash_of, hashes, phrases, tokens

SHIPPED = Path(__file__).parent / "weights.npz"

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Scores:
    """Probabilities, 0 to 1, as far as a linear model can tell. `good`: a happy customer rather than an unhappy one."""

    category: Mapping[Category, float]
    intent: Mapping[str, float]
    angry: float
    urgent: float
    good: float


@dataclass(frozen=True)
class Table:
    """n-grams that mean something: ascending hashes, and a row of weights for each."""

    keys: Hashes
    weights: Floats

    def find(self, features: Hashes) -> NDArray[np.intp]:
        """The rows of the features that are known."""
        places = np.searchsorted(self.keys, features)
        places[places == len(self.keys)] = 0
        known: NDArray[np.intp] = places[self.keys[places] == features]
        return known


class Scorer:
    """Scores texts that went through `rules.text.normalise`. Its calls have no state: any number at once."""

    def __init__(self, path: Path = SHIPPED) -> None:
        with np.load(path, allow_pickle=False) as stored:
            self._facts: dict[str, Any] = json.loads(str(stored["facts"]))
            self._said = Table(stored["said_keys"], stored["said_weights"].astype(np.float32))
            self._felt = Table(stored["felt_keys"], stored["felt_weights"].astype(np.float32))
            self._concepts = Table(stored["concept_keys"], stored["concept_bits"])
            self._concept_weights: Floats = stored["concept_weights"].astype(np.float32)
            self._sign_weights: Floats = stored["sign_weights"].astype(np.float32)
            self._bias: Floats = stored["bias"].astype(np.float32)
        self._signs = {name: row for row, name in enumerate(self._facts["signs"])}
        self._categories = tuple(Category(name) for name in self._facts["categories"])
        self._intents = tuple(self._facts["intents"])
        self._products = {int(key): name for key, name in self._facts["products"].items()}
        self.version: str = self._facts["version"]

    def score(self, normalised: str, signs: Collection[str] = ()) -> Scores:
        """`signs` are what rules saw in the text (understanding.signs_of); unknown ones are passed over."""
        features = hashes(tokens(normalised))
        raw, good = self._raw(features, signs)
        one, two = len(self._categories), len(self._categories) + len(self._intents)
        categories = _shares(raw[:one] * self._facts["category_sharpness"])
        intents = _shares(raw[one:two] * self._facts["intent_sharpness"])
        return Scores(
            category=dict(zip(self._categories, categories, strict=True)),
            intent=dict(zip(self._intents, intents, strict=True)),
            angry=_chance(float(raw[two])),
            urgent=_chance(float(raw[two + 1])),
            good=_chance(good),
        )

    def words_for(self, normalised: str, category: Category, most: int = 3) -> tuple[str, ...]:
        """The n-grams of the text that speak most for a category; only n-grams that training texts of several people
        had, so nothing personal."""
        column = self._categories.index(category)
        weighed: dict[str, float] = {}
        for phrase in phrases(tokens(normalised)):
            row = self._said.find(np.array([hash_of(phrase)], dtype=np.uint32))
            if len(row) and (weight := float(self._said.weights[row[0], column])) > 0:
                weighed[_written(phrase)] = weight * len(phrase) ** 0.5
        best: list[str] = []
        for word in sorted(weighed, key=lambda each: (-weighed[each], each)):
            if not any(word in other or other in word for other in best):
                best.append(word)
            if len(best) == most:
                break
        return tuple(best)

    def products(self, normalised: str) -> tuple[str, ...]:
        """The goods a text names, in its order, of the list the model knows; the longest name counts."""
        found = tokens(normalised)
        named = dict.fromkeys(
            name for phrase in phrases(found) if (name := self._products.get(hash_of(phrase))) is not None
        )
        longest = [name for name in named if not any(name != other and name in other for other in named)]
        return tuple(sorted(longest, key=lambda name: (normalised.find(name), name)))

    def _raw(self, features: Hashes, signs: Collection[str]) -> tuple[Floats, float]:
        said = self._said.find(features)
        raw = self._said.weights[said].sum(axis=0) / np.float32(max(1, len(said)) ** 0.5) + self._bias[:-1]
        meant = self._concepts.find(features)
        if len(meant):
            bits = int(np.bitwise_or.reduce(self._concepts.weights[meant]))
            raw = raw + self._concept_weights[[place for place in range(bits.bit_length()) if bits >> place & 1]].sum(axis=0)
        rows = [self._signs[sign] for sign in signs if sign in self._signs]
        if rows:
            raw = raw + self._sign_weights[rows].sum(axis=0)
        felt = self._felt.find(features)
        good = float(self._felt.weights[felt].sum()) / max(1, len(felt)) ** 0.5 + float(self._bias[-1])
        return raw, good


@cache
def shipped() -> Scorer:
    """The model in this package, read once a process."""
    return Scorer()


def _written(phrase: Sequence[str]) -> str:
    text = ""
    for token in phrase:
        apart = text and token[0].isascii() and token[0].isalpha() and text[-1].isascii() and text[-1].isalnum()
        text += f" {token}" if apart else token
    return text


def _shares(values: Floats) -> list[float]:
    grown = np.exp(values - values.max())
    shares: list[float] = (grown / grown.sum()).tolist()
    return shares


def _chance(value: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(value, -30.0, 30.0))))
