"""`python -m training.train` learns the weights that the router ships, the same bytes from the same texts.

Two linear learners that err differently, a support vector machine and complement naive Bayes, are added up: the sum
is linear again. What their scores are worth as probabilities is measured on folds they haven't seen.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import ComplementNB
from sklearn.svm import LinearSVC

from common.policyfiles import load_brand
from rules.lateness import lateness
from rules.model import PolicySet
from rules.text import normalise
from rules.words import Category
from services.router.language.features import Hashes, hash_of, hashes, tokens
from services.router.language.scorer import SHIPPED
from services.router.language.signs import signs_of
from training.corpus import INTENTS, Labelled, reviews, training_texts

ROOT = Path(__file__).parents[1]
REPORT = SHIPPED.with_name("report.json")
CONCEPTS = Path(__file__).with_name("concepts.yaml")
PRODUCTS = Path(__file__).with_name("products.yaml")

Floats = NDArray[np.float64]

_SEED = 20261124
_FOLDS = 5
# n-grams of fewer texts say nothing about the next text.
_LEAST_TEXTS, _LEAST_REVIEWS = 2, 8
# How much a concept and a sign weigh beside all n-grams of a text, which have length 1 together.
_CONCEPT, _SIGN = 0.2, 0.2
# These rules were completed while reading the training texts: there they miss almost nothing, and a model that trusts
# them wouldn't learn to see what they miss elsewhere.
_FITTED_SIGNS = frozenset({"words:food_safety", "words:illness", "words:very_late", "late:two_hours"})
_MARGIN_C, _BAYES_ALPHA, _BAYES_SHARE = 0.5, 0.3, 1.0
_YES_NO_C = 6.0
_REVIEWS_C = 4.0
# Our own texts are few beside the reviews, and closer to what will be read.
_OWN_FEELING = 3.0


@dataclass(frozen=True)
class Design:
    """Texts as the model sees them: known n-grams (length 1 each), concepts, signs."""

    keys: Hashes
    concept_keys: Hashes
    concept_bits: NDArray[np.uint64]
    concepts: tuple[str, ...]
    signs: tuple[str, ...]

    def rows(self, texts: Sequence[Hashes], signs: Sequence[Sequence[str]]) -> csr_matrix:
        """One row a text: n-grams, then concepts, then signs."""
        return hstack([_grams(self.keys, texts), _CONCEPT * self._meant(texts), _SIGN * self._seen(signs)]).tocsr()

    def _meant(self, texts: Sequence[Hashes]) -> Floats:
        places = {int(key): int(bits) for key, bits in zip(self.concept_keys, self.concept_bits, strict=True)}
        found = np.zeros((len(texts), len(self.concepts)))
        for row, features in enumerate(texts):
            for feature in features.tolist():
                bits = places.get(feature, 0)
                for column in range(len(self.concepts)):
                    if bits >> column & 1:
                        found[row, column] = 1
        return found

    def _seen(self, signs: Sequence[Sequence[str]]) -> Floats:
        return np.array([[float(sign in present) for sign in self.signs] for present in signs])


def _grams(keys: Hashes, texts: Sequence[Hashes]) -> csr_matrix:
    columns: list[NDArray[np.intp]] = []
    values: list[Floats] = []
    ends = [0]
    for features in texts:
        places = np.searchsorted(keys, features)
        places[places == len(keys)] = 0
        known = places[keys[places] == features]
        columns.append(known)
        values.append(np.full(len(known), 1 / max(1, len(known)) ** 0.5))
        ends.append(ends[-1] + len(known))
    return csr_matrix((np.concatenate(values), np.concatenate(columns), ends), shape=(len(texts), len(keys)))


def read_texts(texts: Sequence[str]) -> list[Hashes]:
    """The features of each."""
    return [hashes(tokens(normalise(text))) for text in texts]


def read_signs(policies: PolicySet, texts: Sequence[str]) -> list[tuple[str, ...]]:
    """What the rules of a brand see in each."""
    plain = [normalise(text) for text in texts]
    return [signs_of(policies.keywords.match(text), lateness(text)) for text in plain]


def concept_table(path: Path = CONCEPTS) -> tuple[tuple[str, ...], Hashes, NDArray[np.uint64]]:
    """Names of the concepts; the features that mean one; and for each which (bit n: concept n)."""
    spec: dict[str, str] = yaml.safe_load(path.read_text(encoding="utf-8"))
    bits: dict[int, int] = {}
    for place, words in enumerate(spec.values()):
        for word in words.split():
            key = _feature(word)
            bits[key] = bits.get(key, 0) | 1 << place
    keys = np.array(sorted(bits), dtype=np.uint32)
    return tuple(spec), keys, np.array([bits[int(key)] for key in keys], dtype=np.uint64)


def product_table(path: Path = PRODUCTS) -> dict[int, str]:
    """Feature to name of the goods customers speak of."""
    lists: dict[str, str] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {_feature(word): word.replace("_", " ") for words in lists.values() for word in words.split()}


def _feature(word: str) -> int:
    return hash_of([word] if word.endswith("*") else tokens(normalise(word.replace("_", " "))))


def _common(texts: Sequence[Hashes], least: int) -> Hashes:
    counts: Counter[int] = Counter()
    for features in texts:
        counts.update(features.tolist())
    return np.array(sorted(key for key, count in counts.items() if count >= least), dtype=np.uint32)


@dataclass(frozen=True)
class Head:
    """Linear weights, one column a class (one alone for yes or no), and the bias of each."""

    weights: Floats
    bias: Floats

    def scores(self, rows: csr_matrix) -> Floats:
        """One row a text."""
        scored: Floats = rows @ self.weights + self.bias
        return scored


def fit_classes(rows: csr_matrix, labels: NDArray[np.str_], order: Sequence[str]) -> Head:
    """One column for each of `order`."""
    margin = LinearSVC(C=_MARGIN_C, class_weight="balanced", random_state=_SEED).fit(rows, labels)
    bayes = ComplementNB(alpha=_BAYES_ALPHA).fit(rows, labels)
    columns = [list(margin.classes_).index(name) for name in order]
    weights = (margin.coef_ + _BAYES_SHARE * bayes.feature_log_prob_).T
    return Head(weights[:, columns], margin.intercept_[columns])


def fit_yes_no(
    rows: csr_matrix, labels: NDArray[np.bool_], weights: Floats | None = None, c: float = _YES_NO_C
) -> Head:
    """A column of log odds."""
    learnt = LogisticRegression(C=c, solver="liblinear", random_state=_SEED).fit(rows, labels, sample_weight=weights)
    return Head(learnt.coef_.T, learnt.intercept_)


def unseen_classes(rows: csr_matrix, labels: NDArray[np.str_], order: Sequence[str]) -> Floats:
    """The scores of each text by a model that didn't see it."""
    scores = np.zeros((len(labels), len(order)))
    for seen, unseen in StratifiedKFold(_FOLDS, shuffle=True, random_state=_SEED).split(rows, labels):
        scores[unseen] = fit_classes(rows[seen], labels[seen], order).scores(rows[unseen])
    return scores


def unseen_yes_no(rows: csr_matrix, labels: NDArray[np.bool_]) -> Floats:
    """As `unseen_classes`: log odds."""
    scores = np.zeros(len(labels))
    for seen, unseen in StratifiedKFold(_FOLDS, shuffle=True, random_state=_SEED).split(rows, labels):
        scores[unseen] = fit_yes_no(rows[seen], labels[seen]).scores(rows[unseen])[:, 0]
    return scores


def sharpness(scores: Floats, labels: NDArray[np.str_], order: Sequence[str]) -> float:
    """What scores are multiplied by so that their softmax is as right as it claims (least log loss)."""
    right = np.array([list(order).index(label) for label in labels])

    def loss(factor: float) -> float:
        grown = scores * factor
        grown = grown - grown.max(axis=1, keepdims=True)
        return float((np.log(np.exp(grown).sum(axis=1)) - grown[np.arange(len(right)), right]).mean())

    return float(minimize_scalar(loss, bounds=(0.1, 30.0), method="bounded").x)


def threshold(scores: Floats, labels: NDArray[np.bool_], precision: float) -> float:
    """The lowest probability from which on at least `precision` of what is called so is so."""
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(labels[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(right >= precision)
    lowest = scores[order[enough[-1]]] if len(enough) else scores.max()
    return float(1 / (1 + np.exp(-lowest)))


def learn(rows: Sequence[Labelled], policies: PolicySet) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays of the weights' file (with `facts`), and the report."""
    texts = [row.text for row in rows]
    features, signs = read_texts(texts), read_signs(policies, texts)
    names, concept_keys, concept_bits = concept_table()
    known_signs = tuple(sorted({sign for present in signs for sign in present} - _FITTED_SIGNS))
    design = Design(_common(features, _LEAST_TEXTS), concept_keys, concept_bits, names, known_signs)
    matrix = design.rows(features, signs)

    categories = [str(category) for category in Category]
    by_category = np.array([str(row.category) for row in rows])
    by_intent = np.array([row.intent for row in rows])
    angry, urgent = np.array([row.angry for row in rows]), np.array([row.urgent for row in rows])
    heads = [
        fit_classes(matrix, by_category, categories),
        fit_classes(matrix, by_intent, INTENTS),
        fit_yes_no(matrix, angry),
        fit_yes_no(matrix, urgent),
    ]
    category_unseen = unseen_classes(matrix, by_category, categories)
    intent_unseen = unseen_classes(matrix, by_intent, INTENTS)
    urgent_unseen, angry_unseen = unseen_yes_no(matrix, urgent), unseen_yes_no(matrix, angry)
    felt_keys, feeling = _learn_feeling(rows, features)

    weights = np.hstack([head.weights for head in heads])
    grams, concepts = len(design.keys), len(names)
    arrays: dict[str, Any] = {
        "said_keys": design.keys,
        "said_weights": weights[:grams].astype(np.float16),
        "concept_keys": concept_keys,
        "concept_bits": concept_bits,
        "concept_weights": (weights[grams : grams + concepts] * _CONCEPT).astype(np.float16),
        "sign_weights": (weights[grams + concepts :] * _SIGN).astype(np.float16),
        "felt_keys": felt_keys,
        "felt_weights": feeling.weights[:, 0].astype(np.float16),
        "bias": np.concatenate([head.bias for head in [*heads, feeling]]).astype(np.float32),
    }
    facts = {
        "version": _version(arrays),
        "categories": categories,
        "intents": INTENTS,
        "signs": known_signs,
        "products": product_table(),
        "category_sharpness": round(sharpness(category_unseen, by_category, categories), 4),
        "intent_sharpness": round(sharpness(intent_unseen, by_intent, INTENTS), 4),
    }
    guessed = np.array(categories)[category_unseen.argmax(axis=1)]
    intents = np.array(INTENTS)[intent_unseen.argmax(axis=1)]
    report = {
        "version": facts["version"],
        "texts": len(rows),
        "reviews": len(reviews()),
        "ngrams": grams,
        "ngramsOfReviews": len(felt_keys),
        "categories": dict(sorted(Counter(by_category.tolist()).items())),
        "intents": dict(sorted(Counter(by_intent.tolist()).items())),
        "urgent": int(urgent.sum()),
        "angry": int(angry.sum()),
        "unseenFolds": {
            "categoryAccuracy": round(float((guessed == by_category).mean()), 4),
            "categoryAccuracyOfComplaints": round(float((guessed == by_category)[by_intent == "complaint"].mean()), 4),
            "intentAccuracy": round(float((intents == by_intent).mean()), 4),
            "urgentAtPrecision90": round(threshold(urgent_unseen, urgent, 0.90), 4),
            "angryAtPrecision75": round(threshold(angry_unseen, angry, 0.75), 4),
        },
    }
    return arrays | {"facts": np.array(json.dumps(facts, ensure_ascii=False, sort_keys=True))}, report


def _learn_feeling(rows: Sequence[Labelled], features: Sequence[Hashes]) -> tuple[Hashes, Head]:
    """Good or bad: reviews, and our own texts that are clearly one of them."""
    known = reviews()
    judged = [(each, row.sentiment == "positive") for each, row in zip(features, rows, strict=True) if _clear(row)]
    texts = [*read_texts([text for text, _ in known]), *(each for each, _ in judged)]
    good = np.array([good for _, good in known] + [good for _, good in judged])
    own = np.array([False] * len(known) + [True] * len(judged))
    # Among our own, good ones are rare: all good ones together count as much as all bad ones.
    weights = np.ones(len(good))
    for side in (True, False):
        weights[own & (good == side)] = _OWN_FEELING * own.sum() / 2 / max(1, (own & (good == side)).sum())
    keys = np.union1d(_common(texts[: len(known)], _LEAST_REVIEWS), _common(texts[len(known) :], _LEAST_TEXTS))
    return keys, fit_yes_no(_grams(keys, texts), good, weights, _REVIEWS_C)


def _clear(row: Labelled) -> bool:
    return row.sentiment != "neutral"


def _version(arrays: dict[str, Any]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()[:12]


def main() -> None:
    """Writes weights and report, and says how well they did on folds they hadn't seen."""
    arrays, report = learn(training_texts(), load_brand(ROOT / "policies" / "default"))
    np.savez_compressed(SHIPPED, **arrays)
    REPORT.write_text(json.dumps(report, ensure_ascii=False, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    print(json.dumps(report, ensure_ascii=False, indent=2, sort_keys=True))


if __name__ == "__main__":
    main()
