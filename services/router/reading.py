"""Reads complaints with the model that ships in this package."""

from dataclasses import replace

from rules.lateness import lateness
from rules.model import PolicySet
from rules.text import normalise
from rules.thanks import doubtful, only_thanks
from rules.words import Category
from services.router.language.scorer import Scorer, Text, shipped
from services.router.language.signs import signs_of
from services.router.model import Understanding
from services.router.understanding import Seen, understand

_SURE, _UNLIKELY = 0.9, 0.05


class Reader:
    """The `Reads` of ports.py."""

    def __init__(self, scorer: Scorer | None = None) -> None:
        self._scorer = scorer or shipped()
        self.version = self._scorer.version

    def read(
        self, policies: PolicySet, text: str, declared: Category | None = None, channel: str = ""
    ) -> Understanding:
        return self._read(policies, Text.of(normalise(text)), declared, channel)

    def explained(
        self, policies: PolicySet, text: str, declared: Category | None = None, channel: str = ""
    ) -> Understanding:
        parts = Text.of(normalise(text))
        found = self._read(policies, parts, declared, channel)
        return replace(found, features=self._scorer.words_for(parts, found.category)) if found.followed else found

    def thanks(self, text: str) -> bool:
        """By its words (rules/thanks.py), or by the model where it is sure and nothing in the text objects."""
        if only_thanks(text):
            return True
        if doubtful(text):
            return False
        scores = self._scorer.score(Text.of(normalise(text)))
        return scores.intent["thanks"] >= _SURE and scores.good >= _SURE and scores.urgent < _UNLIKELY

    def _read(self, policies: PolicySet, text: Text, declared: Category | None, channel: str) -> Understanding:
        words = policies.keywords.match(text.normalised)
        scores = self._scorer.score(text, signs_of(words, lateness(text.normalised)))
        seen = Seen(
            words=words,
            category=scores.category,
            intent=scores.intent,
            angry=scores.angry,
            urgent=scores.urgent,
            good=scores.good,
            products=self._scorer.products(text),
            model=self._scorer.version,
        )
        return understand(seen, declared, channel, policies.routing.anger_keywords)
