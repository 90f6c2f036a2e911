"""Texts are compared in one normal form, whatever keyboard they came from."""

import pytest

from rules.keywords import KeywordGroup, Keywords
from rules.text import normalise


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("三文魚變質", "三文鱼变质"),
        ("麵包發黴", "面包发霉"),
        ("ABC 123", "abc 123"),
        ("变 质\n了", "变质了"),
        ("变\u200b质", "变质"),
        ("It’s  Late!", "it's late!"),
        ("", ""),
    ],
)
def test_normal_form(written: str, normal: str) -> None:
    assert normalise(written) == normal


def test_the_normal_form_is_stable() -> None:
    text = normalise("這個雞蛋壞了 AND It’s 臭")
    assert normalise(text) == text


def found(text: str, *terms: str, exceptions: tuple[str, ...] = (), negations: tuple[str, ...] = ()) -> list[str]:
    keywords = Keywords((KeywordGroup("group", terms, exceptions, negations),))
    return keywords.match(normalise(text)).get("group", [])


def test_english_terms_are_whole_words_and_chinese_ones_are_not() -> None:
    assert found("a rat!", "rat") == ["rat"]
    assert found("吃到rat了", "rat") == ["rat"]
    assert found("rather separate", "rat") == []
    assert found("大老鼠", "老鼠") == ["老鼠"]


def test_a_star_is_an_english_ending_or_a_gap_within_the_sentence() -> None:
    assert found("it spoiled", "spoil*") == ["spoil*"]
    assert found("the rider was very rude", "rider * rude") == ["rider * rude"]
    assert found("rider rude", "rider * rude") == ["rider * rude"]
    assert found("the rider left. You are rude", "rider * rude") == []
    assert found("吃了你们的饭就吐", "吃*吐") == ["吃*吐"]
    assert found("吃了。后来吐", "吃*吐") == []
    assert found("吃了这家店的午饭过了很久很久才吐", "吃*吐") == []


def test_exceptions_and_negations() -> None:
    assert found("优惠券过期", "过期", exceptions=("券过期",)) == []
    assert found("优惠券过期,牛奶也过期", "过期", exceptions=("券过期",)) == ["过期"]
    assert found("没有过期", "过期", negations=("没有",)) == []
    assert found("有没有过期", "过期", negations=("没有",)) == ["过期"]
    assert found("not spoiled", "spoil*", negations=("not ",)) == []


def test_a_term_that_occurs_twice_is_named_once_in_the_order_of_the_text() -> None:
    assert found("霉了臭了霉了", "臭了", "霉") == ["霉", "臭了"]
