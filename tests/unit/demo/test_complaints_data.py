"""The demo's day of complaints keeps the shape that `make demo` and its audience rely on."""

import re
import unicodedata
from collections import Counter
from difflib import SequenceMatcher
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = Path(__file__).parents[3] / "deploy" / "demo" / "complaints.yaml"

CHANNELS = {"app", "miniprogram", "web", "hotline", "sms", "mail", "wechat"}
TYPES = {"商品质量", "配送", "价格", "客服态度", "其他"}
CATEGORIES = {
    "product_quality",
    "delivery",
    "price",
    "promotion",
    "service_attitude",
    "system",
    "missing_or_wrong",
    "food_safety",
    "other",
}
REQUIRED = {"at", "channel", "type", "text", "lang", "region", "expect"}
OPTIONAL = {"order", "merchant", "product", "story"}
# Characters that are written differently in the other script; enough to tell which one a text is in.
SIMPLIFIED_ONLY = set("说时间没东态钟吗还给订单骑点师这样么来个们发会对买卖")
TRADITIONAL_ONLY = set("說時間沒東態鐘嗎還給訂單騎點師這樣麼來個們發會對買賣")

Row = dict[str, Any]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    loaded = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    assert isinstance(loaded, list)
    return loaded


def test_every_row_has_the_fields_of_its_schema(rows: list[Row]) -> None:
    for row in rows:
        assert REQUIRED <= set(row) <= REQUIRED | OPTIONAL, row
        assert re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", row["at"]), row
        assert row["channel"] in CHANNELS, row
        assert row["type"] in TYPES, row
        assert row["lang"] in {"zh-CN", "zh-TW", "en"}, row
        assert re.fullmatch(r"[a-z]{2}-[a-z]+", row["region"]), row
        assert row.get("order", True) is True, row
        assert re.fullmatch(r"m-[a-z0-9-]+", row.get("merchant", "m-x")), row
        assert re.fullmatch(r"p-[a-z0-9-]+", row.get("product", "p-x")), row
        assert set(row["expect"]) == {"category", "urgent", "angry"}, row
        assert row["expect"]["category"] in CATEGORIES, row
        assert type(row["expect"]["urgent"]) is bool, row
        assert type(row["expect"]["angry"]) is bool, row


def test_every_text_is_a_valid_description(rows: list[Row]) -> None:
    """interfaces.md: a description has 1 to 200 characters and isn't blank."""
    for row in rows:
        assert row["text"].strip(), row
        assert len(row["text"]) <= 200, row
        assert not any(unicodedata.category(c) in {"Cc", "Co", "Cn"} for c in row["text"]), row


def test_no_two_people_say_nearly_the_same(rows: list[Row]) -> None:
    texts = [row["text"].casefold() for row in rows]
    assert len(set(texts)) == len(texts)
    for one, other in combinations(texts, 2):
        near = SequenceMatcher(None, one, other)
        assert near.real_quick_ratio() < 0.8 or near.quick_ratio() < 0.8 or near.ratio() < 0.8, (one, other)


def test_no_text_holds_a_phone_number_or_an_address(rows: list[Row]) -> None:
    for row in rows:
        assert not re.search(r"\d[\d\s-]{5,}\d|@|https?:", row["text"]), row


def test_there_is_a_days_worth_in_three_languages(rows: list[Row]) -> None:
    languages = Counter(row["lang"] for row in rows)
    assert len(rows) >= 230
    assert languages["zh-CN"] >= 190
    assert languages["zh-TW"] >= 12
    assert languages["en"] >= 28


def test_each_text_is_in_the_language_it_names(rows: list[Row]) -> None:
    for row in rows:
        characters = set(row["text"])
        chinese = any("一" <= c <= "鿿" for c in characters)
        assert chinese is (row["lang"] != "en"), row
        if row["lang"] == "zh-CN":
            assert not characters & (TRADITIONAL_ONLY - SIMPLIFIED_ONLY), row
        if row["lang"] == "zh-TW":
            assert not characters & (SIMPLIFIED_ONLY - TRADITIONAL_ONLY), row


def test_every_channel_is_used_and_most_people_use_the_app(rows: list[Row]) -> None:
    channels = Counter(row["channel"] for row in rows)
    assert set(channels) == CHANNELS
    assert min(channels.values()) >= 6
    assert channels.most_common(2)[0][0] == "app"
    assert channels.most_common(2)[1][0] == "miniprogram"


def test_every_category_occurs_and_delivery_and_quality_lead(rows: list[Row]) -> None:
    categories = Counter(row["expect"]["category"] for row in rows)
    assert set(categories) == CATEGORIES
    assert min(categories.values()) >= 8
    assert [name for name, _ in categories.most_common(2)] == ["delivery", "product_quality"]
    assert (categories["delivery"] + categories["product_quality"]) / len(rows) > 0.5


def test_food_safety_is_always_urgent_and_only_lateness_else(rows: list[Row]) -> None:
    """requirements.md: urgent means food safety, illness, or more than 2 h past the promise."""
    urgent = [row for row in rows if row["expect"]["urgent"]]
    assert 15 <= len(urgent) <= 22
    assert {row["expect"]["category"] for row in urgent} == {"food_safety", "delivery"}
    assert all(row["expect"]["urgent"] for row in rows if row["expect"]["category"] == "food_safety")


def test_some_are_angry_but_most_are_not(rows: list[Row]) -> None:
    angry = sum(row["expect"]["angry"] for row in rows)
    assert 0.1 <= angry / len(rows) <= 0.3


def test_some_people_tick_the_wrong_type(rows: list[Row]) -> None:
    """So that routing by the ticked type alone is visibly not enough."""
    urgent_types = {row["type"] for row in rows if row["expect"]["category"] == "food_safety"}
    delivery_types = {row["type"] for row in rows if row["expect"]["category"] == "delivery"}
    assert len(urgent_types) >= 3
    assert len(delivery_types) >= 3


def test_lunch_and_dinner_are_the_peaks(rows: list[Row]) -> None:
    hours = Counter(int(row["at"][:2]) for row in rows)
    assert {hour for hour, _ in hours.most_common(2)} == {12, 18}
    assert hours[12] + hours[18] > len(rows) / 5
    assert max(hours[hour] for hour in range(6)) <= 3


def test_the_story_comes_first_and_the_day_follows_in_order(rows: list[Row]) -> None:
    assert [row.get("story") for row in rows[:2]] == ["unanswered", "answered"]
    assert not any("story" in row for row in rows[2:])
    times = [row["at"] for row in rows[2:]]
    assert times == sorted(times)


def test_the_unanswered_story_is_red_and_the_answered_one_ordinary(rows: list[Row]) -> None:
    unanswered, answered = rows[:2]
    assert unanswered["channel"] == "app"
    assert unanswered["expect"]["category"] == "food_safety"
    assert unanswered["expect"]["urgent"]
    assert not answered["expect"]["urgent"]
    assert not answered["expect"]["angry"]
