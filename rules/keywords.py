"""Words in a complaint that decide its way: groups of terms, matched on normalised text in one pass."""

import re
from dataclasses import dataclass
from functools import cached_property

from rules.text import normalise

_GAP = r"[^。!?;.\n]{0,10}?"
_WORDS = r" (?:[^。!?;.\n ]+ ){0,4}?"
_ASCII = re.compile(r"[\x00-\x7f]+")


@dataclass(frozen=True)
class KeywordGroup:
    """A named list of terms, Chinese or English; simplified, traditional, full width and case read alike.

    `*` stands for an English word's ending (`spoil*`), between spaces for up to four words (`rider * rude`), and in a
    Chinese term for up to ten characters, all within a sentence. A hit counts unless it overlaps one of `exceptions`
    ("优惠券过期") or follows one of `negations` ("没有变质", but not "有没有变质").
    """

    name: str
    terms: tuple[str, ...]
    exceptions: tuple[str, ...] = ()
    negations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Keywords:
    """All groups of a brand. `match` is fast: everything is compiled once per set."""

    groups: tuple[KeywordGroup, ...]

    @cached_property
    def _buckets(self) -> "_Buckets":
        buckets: _Buckets = {}
        for group in self.groups:
            for term in group.terms:
                _put(buckets, group.name, term, counts=True)
            for term in group.exceptions:
                _put(buckets, group.name, term, counts=False)
        return buckets

    @cached_property
    def _negations(self) -> dict[str, tuple[str, ...]]:
        return {g.name: tuple(normalise(word) for word in g.negations) for g in self.groups}

    def match(self, normalised: str) -> dict[str, list[str]]:
        """The groups found in a text that went through `normalise`, with the terms that hit, as the policy has them."""
        hits, masks = _scan(self._buckets, normalised)
        found: dict[str, list[str]] = {}
        for start, end, group, term in hits:
            if term in found.get(group, ()):
                continue
            if any(mask[2] == group and mask[0] < end and start < mask[1] for mask in masks):
                continue
            if not _negated(normalised, start, self._negations[group]):
                found.setdefault(group, []).append(term)
        return found


_Hit = tuple[int, int, str, str]
"""Start, end, group, term as written."""
_Buckets = dict[str, dict[str, list[tuple[str, re.Pattern[str] | None, str, str, bool]]]]
"""First character → second one ("" if that isn't literal) → (normalised term, pattern or None, group, term, counts)."""


def _put(buckets: _Buckets, group: str, term: str, counts: bool) -> None:
    plain = normalise(term)
    literal = "*" not in plain and not _ASCII.search(plain)
    pattern = None if literal else re.compile(_expression(plain))
    second = "" if plain[1:2] == "*" else plain[1:2]
    buckets.setdefault(plain[0], {}).setdefault(second, []).append((plain, pattern, group, term, counts))


def _expression(term: str) -> str:
    """English letters need a word's edge on their side; `*` as documented at KeywordGroup."""
    parts = ["(?<![a-z0-9])"] if re.match(r"[a-z0-9]", term) else []
    marked = term.replace(" * ", "\n")
    for index, letter in enumerate(marked):
        if letter == "\n":
            parts.append(_WORDS)
        elif letter != "*":
            parts.append(re.escape(letter))
        elif index and marked[index - 1].isascii() and marked[index - 1].isalpha():
            parts.append("[a-z]*")
        else:
            parts.append(_GAP)
    return "".join(parts) + ("(?![a-z0-9])" if re.search(r"[a-z0-9]$", term) else "")


def _scan(buckets: _Buckets, text: str) -> tuple[list[_Hit], list[_Hit]]:
    """Every term, and every exception, in the order of the text."""
    hits: list[_Hit] = []
    masks: list[_Hit] = []
    for start, letter in enumerate(text):
        seconds = buckets.get(letter)
        if seconds is None:
            continue
        for second in ("", text[start + 1 : start + 2] or "\n"):
            for literal, pattern, group, term, counts in seconds.get(second, ()):
                if pattern is None:
                    end = start + len(literal) if text.startswith(literal, start) else 0
                else:
                    found = pattern.match(text, start)
                    end = found.end() if found else 0
                if end:
                    (hits if counts else masks).append((start, end, group, term))
    return hits, masks


def _negated(text: str, start: int, negations: tuple[str, ...]) -> bool:
    """Whether a negation stands directly before `start`; "有没有" and "是不是" are questions, not negations."""
    before = text[:start].rstrip()
    for word in negations:
        if before.endswith(word.rstrip()):
            rest = before[: len(before) - len(word.rstrip())]
            return not rest.endswith(word.rstrip()[-1])
    return False
