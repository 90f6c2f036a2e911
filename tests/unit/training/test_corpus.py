"""The texts the model learns from."""

import json
from collections import Counter
from pathlib import Path

import pytest

from rules.simplified import PAIRS
from rules.text import normalise
from rules.words import Category
from training.characters import table
from training.corpus import held_out_texts, read, training_texts

GOOD = {"text": "冷了", "category": "product_quality", "urgent": False, "angry": False, "sentiment": "negative"}


def test_no_text_is_in_both_parts_or_twice() -> None:
    learnt = [normalise(row.text) for row in training_texts()]
    unseen = [normalise(row.text) for row in held_out_texts()]
    assert not set(learnt) & set(unseen)
    assert len(set(unseen)) == len(unseen)


def test_every_category_has_several_hundred_texts_and_urgent_ones_are_many() -> None:
    rows = training_texts()
    assert min(Counter(row.category for row in rows).values()) >= 300
    assert set(Counter(row.category for row in rows)) == set(Category)
    assert sum(row.urgent for row in rows) >= 150


def test_food_safety_is_labelled_urgent() -> None:
    rows = [row for row in [*training_texts(), *held_out_texts()] if row.category is Category.FOOD_SAFETY]
    complaints = [row for row in rows if row.intent == "complaint"]
    assert sum(row.urgent for row in complaints) / len(complaints) > 0.9


@pytest.mark.parametrize(
    "change", [{"category": "tasty"}, {"sentiment": "sad"}, {"intent": "poem"}, {"text": " "}, {"secondary": "price"}]
)
def test_a_row_that_is_wrong_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    file = tmp_path / "texts.jsonl"
    rows = [GOOD | {"intent": "complaint"}, GOOD | {"intent": "complaint"} | change]
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    with pytest.raises(ValueError, match=r"texts\.jsonl:2"):
        list(read(file))


def test_the_table_of_characters_is_what_its_command_makes() -> None:
    assert "".join(old + new for old, new in table().items()) == PAIRS
    assert normalise("騎手態度惡劣,麵條發黴,妳們的優惠券") == "骑手态度恶劣,面条发霉,你们的优惠券"
