"""The learned model: linear over n-grams, concepts and signs, from one file of weights. No learning happens here.

`weights.npz` is written by `python -m training.train`; `report.json` beside it says what it learnt from.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rules.words import Category
from services.router.language.features import Hashes, hashes, spans, tokens

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
class Text:
    """A text that went through `rules.text.normalise`, taken apart once for everything that is asked of it."""

    normalised: str
    tokens: tuple[str, ...]
    features: Hashes

    @classmethod
    def of(cls, normalised: str) -> "Text":
        """Takes it apart."""
        found = tokens(normalised)
        return cls(normalised, tuple(found), hashes(found))


class Scorer:
    """Scores texts that went through `rules.text.normalise`. Its calls have no state: any number at once."""

    def __init__(self, path: Path = SHIPPED) -> None:
        with np.load(path, allow_pickle=False) as stored:
            self._facts: dict[str, Any] = json.loads(str(stored["facts"]))
            said, felt, meant = stored["said_keys"], stored["felt_keys"], stored["concept_keys"]
            # One ascending table of all that is known, so that a text is looked up once.
            self._keys: Hashes = np.union1d(np.union1d(said, felt), meant)
            columns = [
                self._spread(said, stored["said_weights"].astype(np.float32)),
                self._spread(said, np.ones((len(said), 1), dtype=np.float32)),
                self._spread(felt, stored["felt_weights"].astype(np.float32).reshape(-1, 1)),
                self._spread(felt, np.ones((len(felt), 1), dtype=np.float32)),
            ]
            # What was said, whether it is known, what was felt, whether that is known: one sum for a text.
            self._table: Floats = np.hstack(columns)
            self._said: Floats = self._table[:, :-3]
            self._bits: NDArray[np.uint64] = self._spread(meant, stored["concept_bits"])
            self._concept_weights: Floats = stored["concept_weights"].astype(np.float32)
            self._sign_weights: Floats = stored["sign_weights"].astype(np.float32)
            self._bias: Floats = stored["bias"].astype(np.float32)
        self._signs = {name: row for row, name in enumerate(self._facts["signs"])}
        self._categories = tuple(Category(name) for name in self._facts["categories"])
        self._intents = tuple(self._facts["intents"])
        self._products = {int(key): name for key, name in self._facts["products"].items()}
        self.version: str = self._facts["version"]

    def score(self, text: Text, signs: Collection[str] = ()) -> Scores:
        """`signs` are what rules saw in the text (signs.py); unknown ones are passed over."""
        found, good = self._raw(self._find(text.features), signs)
        if found is None:
            return self._nothing()
        raw: list[float] = found.tolist()
        one, two = len(self._categories), len(self._categories) + len(self._intents)
        categories = _shares(raw[:one], self._facts["category_sharpness"])
        intents = _shares(raw[one:two], self._facts["intent_sharpness"])
        return Scores(
            category=dict(zip(self._categories, categories, strict=True)),
            intent=dict(zip(self._intents, intents, strict=True)),
            angry=_chance(raw[two]),
            urgent=_chance(raw[two + 1]),
            good=_chance(good),
        )

    def words_for(self, text: Text, category: Category, most: int = 3) -> tuple[str, ...]:
        """The n-grams of the text that speak most for a category; only n-grams that training texts of several people
        had, so nothing personal."""
        column = self._categories.index(category)
        found = text.tokens
        weighed: list[tuple[float, str]] = []
        for length, features in enumerate(spans(found), 1):
            places = np.searchsorted(self._keys, features)
            places[places == len(self._keys)] = 0
            weights = self._said[places, column] * (self._keys[places] == features) * length**0.5
            for start in np.argsort(-weights, kind="stable")[: 2 * most].tolist():
                phrase = found[start : start + length]
                if weights[start] > 0 and all(token.isalnum() for token in phrase):
                    weighed.append((-float(weights[start]), _written(phrase)))
        best: list[str] = []
        for _, word in sorted(weighed):
            if not any(word in other or other in word for other in best):
                best.append(word)
        return tuple(best[:most])

    def products(self, text: Text) -> tuple[str, ...]:
        """The goods a text names, in its order, of the list the model knows; the longest name counts."""
        named = [self._products[key] for key in self._products.keys() & text.features.tolist()]
        longest = [name for name in named if not any(name != other and name in other for other in named)]
        return tuple(sorted(longest, key=lambda name: (text.normalised.find(name), name)))

    def _nothing(self) -> Scores:
        """Of a text without a word that is known: everything is as likely."""
        categories = {each: 1 / len(self._categories) for each in self._categories}
        intents = {each: 1 / len(self._intents) for each in self._intents}
        return Scores(categories, intents, angry=0.0, urgent=0.0, good=0.5)

    def _spread(self, keys: Hashes, values: NDArray[Any]) -> NDArray[Any]:
        """Rows for `keys` as rows of the whole table; the others are zero."""
        whole = np.zeros((len(self._keys), *values.shape[1:]), dtype=values.dtype)
        whole[np.searchsorted(self._keys, keys)] = values
        return whole

    def _find(self, features: Hashes) -> NDArray[np.intp]:
        """The rows of the features that are known."""
        places = np.searchsorted(self._keys, features)
        places[places == len(self._keys)] = 0
        known: NDArray[np.intp] = places[self._keys[places] == features]
        return known

    def _raw(self, rows: NDArray[np.intp], signs: Collection[str]) -> tuple[Floats | None, float]:
        sums: Floats = self._table[rows].sum(axis=0)
        said, feeling, felt = sums[-3:].tolist()
        if not said:
            return None, 0.0
        raw = sums[:-3] / np.float32(said**0.5) + self._bias[:-1]
        bits = int(np.bitwise_or.reduce(self._bits[rows]))
        if bits:
            present = [place for place in range(bits.bit_length()) if bits >> place & 1]
            raw = raw + self._concept_weights[present].sum(axis=0)
        if seen := [self._signs[sign] for sign in signs if sign in self._signs]:
            raw = raw + self._sign_weights[seen].sum(axis=0)
        return raw, feeling / max(1.0, felt) ** 0.5 + float(self._bias[-1])


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


def _shares(values: Sequence[float], sharpness: float) -> list[float]:
    highest = max(values)
    grown = [exp((value - highest) * sharpness) for value in values]
    whole = sum(grown)
    return [each / whole for each in grown]


def _chance(value: float) -> float:
    return 1 / (1 + exp(-min(max(value, -30.0), 30.0)))
