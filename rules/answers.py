"""What a brand lets a machine answer: its topics, when, and in which words. Pure."""

import string
from collections.abc import Mapping
from dataclasses import dataclass

from rules.words import Category

Locales = Mapping[str, str]

VARIABLES = ("status", "promised", "eta")
"""What an answer may say of an order: how far it is, when it was promised for, when it is expected now."""


@dataclass(frozen=True)
class AnswerTopic:
    """One kind of simple question. `examples`: ways to ask it, in any script.

    `answers` are forms of the answer, each a text per locale; the first whose variables are all known is said, the last
    has none. `intents` and `categories` (none given: any) say when it is answered; `first_word_for`: also complaints of
    these categories get it as a first word.
    """

    name: str
    examples: tuple[str, ...]
    answers: tuple[Locales, ...]
    intents: tuple[str, ...] = ("question", "follow_up")
    categories: tuple[Category, ...] = ()
    first_word_for: tuple[Category, ...] = ()


@dataclass(frozen=True)
class Answers:
    """The answers of a brand; without the file (the default) a machine says nothing.

    A question is answered where it is as near to a topic as `threshold` (0 to 1), and nearer than to any other by
    `margin`. `others` are questions that are left to people, to tell them apart. `hand_over_words` call a person, and
    `hand_over`, at the end of every answer, says so.
    """

    enabled: bool = False
    threshold: float = 1.0
    margin: float = 0.0
    hand_over_words: tuple[str, ...] = ()
    hand_over: Locales | None = None
    topics: tuple[AnswerTopic, ...] = ()
    others: tuple[str, ...] = ()


NO_ANSWERS = Answers()


def variables(text: str) -> tuple[str, ...]:
    """The variables a text names, `{eta}`. Raises ValueError for braces that aren't a variable."""
    found = []
    for _, name, spec, conversion in string.Formatter().parse(text):
        if name is not None:
            if spec or conversion or not name.isidentifier():
                raise ValueError(f"not a variable: {{{name}}}")
            found.append(name)
    return tuple(found)
