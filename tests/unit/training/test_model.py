"""The shipped model is as good as it was, and learning is repeatable."""

from pathlib import Path

import numpy as np
import pytest

import training.train as train
from common.policyfiles import load_brand
from rules.model import PolicySet
from services.router.language.scorer import shipped
from services.router.reading import Reader
from training.corpus import held_out_texts, training_texts
from training.evaluate import Measured, accuracy, macro_f1, measure, rate, replace_section


@pytest.fixture(scope="module")
def policies() -> PolicySet:
    return load_brand(Path(__file__).parents[3] / "policies" / "default")


@pytest.fixture(scope="module")
def complaints(policies: PolicySet) -> Measured:
    return measure([row for row in held_out_texts() if row.intent == "complaint"], policies, Reader())


def test_categories_of_unseen_complaints_keep_their_floor(complaints: Measured) -> None:
    assert accuracy(complaints.categories) >= 0.79
    assert macro_f1(complaints.categories) >= 0.77


def test_urgent_ones_among_unseen_complaints_are_found(complaints: Measured) -> None:
    assert complaints.urgent.recall >= 0.92
    assert complaints.urgent.precision >= 0.70
    assert complaints.food_safety.recall >= 0.94


def test_sentiment_of_unseen_texts_keeps_its_floor(complaints: Measured) -> None:
    assert accuracy(complaints.sentiments) >= 0.9


def test_the_shipped_weights_are_of_the_shipped_report() -> None:
    assert f'"version": "{shipped().version}"' in train.REPORT.read_text(encoding="utf-8")


def test_learning_twice_from_the_same_texts_gives_the_same_weights(
    policies: PolicySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "reviews", lambda: [("好吃,推荐", True), ("难吃,差评", False)] * 10)
    rows = training_texts()[::12]
    (one, report), (two, _) = train.learn(rows, policies), train.learn(rows, policies)
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert report["texts"] == len(rows)


def test_figures_are_what_their_names_say() -> None:
    pairs = [(True, True), (True, False), (False, True), (True, True)]
    found = rate(pairs)
    assert (found.precision, found.recall, found.count) == (2 / 3, 2 / 3, 3)
    assert accuracy([("a", "a"), ("a", "b")]) == 0.5
    assert macro_f1([("a", "a"), ("b", "b")]) == 1


def test_a_section_replaces_itself_and_leaves_the_others() -> None:
    page = "# Evaluations\n\n## Bot\n<!-- bot: start -->\nold\n<!-- bot: end -->\n"
    once = replace_section(page, "understanding", "Understanding", ["first"])
    twice = replace_section(once, "understanding", "Understanding", ["second"])
    assert "second" in twice
    assert "first" not in twice
    assert twice.startswith(page.rstrip())
    assert twice.count("## ") == 2
