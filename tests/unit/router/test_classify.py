"""interfaces.md: `python -m services.router classify`."""

import io
import json
from pathlib import Path

import pytest

from common.policyfiles import load_brand
from rules.model import PolicySet
from rules.words import Category
from services.router.classify import write_rows
from services.router.reading import Reader


@pytest.fixture(scope="module")
def policies() -> PolicySet:
    return load_brand(Path(__file__).parents[3] / "policies" / "default")


def rows(policies: PolicySet, lines: str) -> list[dict[str, object]]:
    out = io.StringIO()
    write_rows(Reader(), policies, io.StringIO(lines), out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_row_for_each_line_also_for_an_empty_one(policies: PolicySet) -> None:
    found = rows(policies, "牛奶变质了\n\nthe app crashed\r\n我的外卖到哪了")
    assert len(found) == 4
    for row in found:
        assert {"category", "secondary", "urgent", "angry", "sentiment", "confidence", "intent"} <= set(row)
        assert row["category"] in list(Category)
        assert row["sentiment"] in ("negative", "neutral", "positive")
        assert row["intent"] in ("complaint", "question", "thanks", "suggestion", "follow_up")
        assert isinstance(row["confidence"], float)
    assert found[1]["category"] == "other"


def test_what_is_dangerous_is_urgent_in_every_script_and_language(policies: PolicySet) -> None:
    lines = [
        "牛奶变质了",
        "牛奶變質了",
        "孩子吃完上吐下泻",
        "约六点现在九点半还没到",
        "found a worm in my salad",
        "等咗三個鐘",
    ]
    assert [row["urgent"] for row in rows(policies, "\n".join(lines))] == [True] * len(lines)


def test_what_only_sounds_dangerous_is_not(policies: PolicySet) -> None:
    lines = ["优惠券过期了", "等了半小时", "人脸识别认不出我,我就剪了个头发", "配送慢得像蜗牛", "晚了二十分钟,饿死了"]
    assert [row["urgent"] for row in rows(policies, "\n".join(lines))] == [False] * len(lines)


def test_praise_is_positive_and_a_complaint_negative(policies: PolicySet) -> None:
    good, bad = rows(policies, "骑手小哥很热情,菜也新鲜,好评\n难吃死了,再也不来了\n")
    assert (good["sentiment"], bad["sentiment"]) == ("positive", "negative")
