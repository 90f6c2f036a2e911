"""docs/adr/0009-understanding.md: text and declared type together."""

from dataclasses import replace

import pytest

from rules.words import Category
from services.router.understanding import Seen, believed, facts_of, understand

ANGER = ("anger",)


def seen(main: Category, share: float, **more: object) -> Seen:
    rest = (1 - share) / (len(Category) - 1)
    shares = {each: share if each is main else rest for each in Category}
    intents = {"complaint": 0.9, "thanks": 0.1}
    return replace(Seen({}, shares, intents, angry=0.0, urgent=0.0, good=0.1), **more)  # type: ignore[arg-type]


def test_with_nothing_declared_the_text_decides() -> None:
    assert understand(seen(Category.SYSTEM, 0.4), None, "app", ANGER).category is Category.SYSTEM


def test_a_text_that_says_nothing_keeps_what_was_declared() -> None:
    flat = seen(Category.SYSTEM, 1 / 9)
    for declared in (Category.DELIVERY, Category.PRODUCT_QUALITY, Category.OTHER):
        assert understand(flat, declared, "app", ANGER).category is declared
    assert understand(flat, None, "app", ANGER).category is Category.OTHER


def test_a_clear_text_overrules_what_was_ticked() -> None:
    found = understand(seen(Category.FOOD_SAFETY, 0.9), Category.PRICE, "app", ANGER)
    assert (found.category, found.followed) == (Category.FOOD_SAFETY, True)


def test_an_unclear_text_does_not() -> None:
    found = understand(seen(Category.SYSTEM, 0.3), Category.DELIVERY, "app", ANGER)
    assert found.category is Category.DELIVERY


def test_what_was_declared_decides_between_two_that_the_text_allows() -> None:
    shares = dict.fromkeys(Category, 0.0) | {Category.PRICE: 0.55, Category.DELIVERY: 0.45}
    both = replace(seen(Category.PRICE, 0.5), category=shares)
    assert understand(both, Category.DELIVERY, "app", ANGER).category is Category.DELIVERY
    assert understand(both, Category.PRICE, "app", ANGER).category is Category.PRICE


def test_declared_food_safety_is_never_talked_out_of() -> None:
    found = understand(seen(Category.PRICE, 0.99), Category.FOOD_SAFETY, "app", ANGER)
    assert (found.category, found.followed) == (Category.FOOD_SAFETY, False)


@pytest.mark.parametrize("channel", ["sms", "mail", "wechat"])
def test_other_says_nothing_where_there_is_no_form(channel: str) -> None:
    text = seen(Category.PROMOTION, 0.35)
    assert understand(text, Category.OTHER, channel, ANGER).category is Category.PROMOTION
    assert understand(text, Category.OTHER, "app", ANGER).confidence != pytest.approx(0.35)


@pytest.mark.parametrize("declared", [None, *Category])
def test_beliefs_add_up_to_one(declared: Category | None) -> None:
    assert sum(believed(seen(Category.PRICE, 0.5).category, declared).values()) == pytest.approx(1)


def test_anger_is_in_the_words_or_in_the_whole() -> None:
    calm = seen(Category.PRICE, 0.5)
    assert not understand(calm, None, "app", ANGER).angry
    assert understand(replace(calm, angry=0.9), None, "app", ANGER).angry
    assert understand(replace(calm, words={"anger": ["骗子"]}), None, "app", ANGER).angry


def test_an_intent_other_than_complaint_has_to_be_clear() -> None:
    text = seen(Category.OTHER, 0.5)
    assert (
        understand(replace(text, intent={"complaint": 0.3, "thanks": 0.35, "question": 0.35}), None, "", ANGER).intent
        == "complaint"
    )
    assert understand(replace(text, intent={"complaint": 0.2, "thanks": 0.8}), None, "", ANGER).intent == "thanks"


@pytest.mark.parametrize(("good", "word"), [(0.0, "negative"), (0.44, "negative"), (0.5, "neutral"), (0.9, "positive")])
def test_sentiment_has_three_words(good: float, word: str) -> None:
    assert understand(seen(Category.OTHER, 0.5, good=good), None, "", ANGER).sentiment == word


def test_routing_hears_only_of_what_is_followed() -> None:
    clear = understand(seen(Category.SYSTEM, 0.9), Category.OTHER, "app", ANGER)
    assert facts_of(clear, "", "default", "app", "其他").suggested is Category.SYSTEM
    unclear = understand(seen(Category.SYSTEM, 0.2), Category.DELIVERY, "app", ANGER)
    assert facts_of(replace(unclear, followed=False), "", "default", "app", "配送").suggested is None
