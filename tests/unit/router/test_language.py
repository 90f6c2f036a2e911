"""The shipped model on texts, and the parts it is made of."""

from pathlib import Path

import numpy as np
import pytest

from common.policyfiles import load_brand
from rules.model import PolicySet
from rules.text import normalise
from rules.words import Category
from services.router.language.features import hash_of, hashes, spans, tokens
from services.router.language.scorer import Scorer, Text, shipped
from services.router.reading import Reader

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return shipped()


@pytest.fixture(scope="module")
def policies() -> PolicySet:
    return load_brand(ROOT / "policies" / "default")


def of(text: str) -> Text:
    return Text.of(normalise(text))


def test_tokens_are_characters_words_numbers_and_marks() -> None:
    assert tokens("等了3.5小时!!! it's late") == ["等", "了", "0", "小", "时", "!!!", "it's", "late"]


def test_words_of_other_regions_are_the_usual_ones() -> None:
    assert tokens(normalise("外送員遲到")) == tokens("骑手迟到")
    assert tokens(normalise("啲嘢未到")) == tokens("些东西未到")


def test_one_phrase_has_one_hash_wherever_it_stands() -> None:
    phrase = hash_of(["骑", "手"])
    assert phrase in hashes(tokens("我的骑手呢"))
    assert spans(tokens("我的骑手呢"))[1][2] == phrase
    assert hash_of(["deliv*"]) in hashes(tokens("not delivered yet"))


def test_features_are_ascending_and_each_once() -> None:
    found = hashes(tokens("慢慢慢慢 late late late"))
    assert (np.diff(found.astype(np.int64)) > 0).all()


@pytest.mark.parametrize("phrase", [[], ["一"] * 5])
def test_a_phrase_of_no_or_too_many_tokens_is_refused(phrase: list[str]) -> None:
    with pytest.raises(ValueError, match="tokens"):
        hash_of(phrase)


def test_probabilities_add_up_to_one(scorer: Scorer) -> None:
    for text in ("牛奶变质了", "the app crashed", "谢谢", "𠮷𠮷", "", "🙂"):
        scores = scorer.score(of(text), ("late", "no such sign"))
        assert sum(scores.category.values()) == pytest.approx(1)
        assert sum(scores.intent.values()) == pytest.approx(1)
        assert all(0 <= each <= 1 for each in (scores.angry, scores.urgent, scores.good))


def test_a_text_without_a_known_word_says_nothing(scorer: Scorer) -> None:
    scores = scorer.score(of("🙂🙂"))
    assert len(set(scores.category.values())) == 1
    assert (scores.urgent, scores.angry, scores.good) == (0.0, 0.0, 0.5)


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("菜里吃出一只虫子,恶心死了", Category.FOOD_SAFETY),
        ("米饭又硬又冷,菜也难吃,不新鲜", Category.PRODUCT_QUALITY),
        ("骑手一直没送到,等了四十分钟", Category.DELIVERY),
        ("优惠券用不了,满减没减", Category.PROMOTION),
        ("多收了我五块钱配送费,价格和店里不一样", Category.PRICE),
        ("客服态度太差,说话难听还挂电话", Category.SERVICE_ATTITUDE),
        ("app一直闪退,登录不了", Category.SYSTEM),
        ("少送了一份饭,还送错了饮料", Category.MISSING_OR_WRONG),
        ("怎么开发票,抬头填哪里", Category.OTHER),
        ("外送員把湯灑了一地,遲到半小時", Category.DELIVERY),
        ("折價券不能用,客服也不回", Category.PROMOTION),
        ("The app crashes every time I try to log in", Category.SYSTEM),
        ("My order is missing two items", Category.MISSING_OR_WRONG),
    ],
)
def test_plain_complaints_are_understood(policies: PolicySet, text: str, category: Category) -> None:
    assert Reader().read(policies, text).category is category


def test_both_scripts_read_alike(policies: PolicySet) -> None:
    reader = Reader()
    simple = reader.read(policies, "骑手态度恶劣,还骂人")
    assert reader.read(policies, "騎手態度惡劣,還罵人") == simple


def test_products_are_named_by_their_longest_name(scorer: Scorer) -> None:
    assert scorer.products(of("牛肉面里没有牛肉,可乐也漏了")) == ("牛肉面", "可乐")
    assert scorer.products(of("the fried rice was cold")) == ("fried rice",)
    assert scorer.products(of("骑手骂人")) == ()


def test_the_words_that_decided_are_words_of_the_text(scorer: Scorer) -> None:
    text = of("骑手态度恶劣,还骂人")
    words = scorer.words_for(text, Category.SERVICE_ATTITUDE)
    assert words
    assert all(word in text.normalised for word in words)


def test_names_and_numbers_of_a_customer_are_never_evidence(policies: PolicySet) -> None:
    text = "我叫欧阳霁雯,电话13800001234,住翡翠湖畔8幢,骑手态度恶劣还骂人"
    found = Reader().explained(policies, text)
    shown = " ".join((*found.features, *found.keywords, *found.products))
    assert not any(part in shown for part in ("欧阳", "霁雯", "13800001234", "翡翠", "湖畔"))


@pytest.mark.parametrize("text", ["太好了,问题解决了,非常感谢你们", "Thank you so much, great service"])
def test_thanks_in_ones_own_words_are_thanks(text: str) -> None:
    assert Reader().thanks(text)


@pytest.mark.parametrize(
    "text", ["谢谢,但是还没退款", "谢谢,什么时候到?", "thanks but where is my refund", "谢谢你们让我拉肚子", "没收到"]
)
def test_thanks_that_object_are_not(text: str) -> None:
    assert not Reader().thanks(text)


@pytest.mark.parametrize("text", ["a" * 20_000, "难" * 20_000, "!" * 20_000, "1 " * 9_000, "\u200b\ufeff"])
def test_any_text_is_read(policies: PolicySet, text: str) -> None:
    assert Reader().explained(policies, text).category in Category
