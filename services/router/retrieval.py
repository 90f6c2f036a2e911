"""Which topic a question is nearest to. Pure.

Characters, words and pairs of them are weighed by how rare they are (TF-IDF) and compared by cosine.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import log, sqrt

from rules.answers import Answers
from rules.text import normalise
from services.router.answering import Nearness
from services.router.language.features import tokens

_LONGEST = 2
# Says hello and please, and nothing of what is asked.
_POLITE = ("请问一下", "请问", "你好", "您好", "麻烦问下", "麻烦", "问一下", "问下", "谢谢", "hello", "please", "hi ")
_OTHERS = ""


class Retrieval:
    """The examples of a brand, ready to be compared with."""

    def __init__(self, answers: Answers) -> None:
        examples = [(topic.name, grams(each)) for topic in answers.topics for each in topic.examples]
        examples += [(_OTHERS, grams(each)) for each in answers.others]
        seen = Counter(gram for _, each in examples for gram in set(each))
        self._rarity = {gram: 1 + log((1 + len(examples)) / (1 + count)) for gram, count in seen.items()}
        self._unseen = 1 + log(1 + len(examples))
        self._examples = [(name, self._vector(each)) for name, each in examples]

    def nearest(self, text: str) -> Nearness:
        """Where the text belongs. What no example has is far from all of them."""
        wanted = self._vector(grams(text))
        best: dict[str, float] = {}
        for name, example in self._examples:
            best[name] = max(best.get(name, 0.0), _product(wanted, example))
        if not best:
            return Nearness(_OTHERS, 0.0, 0.0)
        first, *rest = sorted(best, key=lambda name: -best[name])
        return Nearness(first, best[first], best[rest[0]] if rest else 0.0)

    def _vector(self, found: Iterable[str]) -> Mapping[str, float]:
        weights = {gram: self._rarity.get(gram, self._unseen) for gram in set(found)}
        length = sqrt(sum(weight * weight for weight in weights.values()))
        return {gram: weight / length for gram, weight in weights.items()} if length else {}


def grams(text: str) -> list[str]:
    """The characters or English words, alone and in pairs, without marks and politeness."""
    plain = normalise(text)
    for words in _POLITE:
        plain = plain.replace(words, " ")
    found: Sequence[str] = [token for token in tokens(plain) if token[0].isalnum()]
    return [" ".join(found[at : at + n]) for n in range(1, _LONGEST + 1) for at in range(len(found) - n + 1)]


def _product(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    return sum(weight * other[gram] for gram, weight in one.items() if gram in other)
