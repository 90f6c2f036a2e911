import pytest

from services.intake.model import LOCALES
from services.intake.texts import locale_of, status_text, timeline_text


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        (None, "zh-CN"),
        ("", "zh-CN"),
        ("*", "zh-CN"),
        ("zh", "zh-CN"),
        ("zh-Hans-CN", "zh-CN"),
        ("zh-TW,zh;q=0.9", "zh-TW"),
        ("zh-HK", "zh-TW"),
        ("zh-Hant", "zh-TW"),
        ("en-GB,en;q=0.9", "en"),
        ("fr, en;q=0.2", "en"),
        ("en;q=0.1, zh-CN;q=0.9", "zh-CN"),
        ("en;q=0, fr", "zh-CN"),
        ("en;q=x", "zh-CN"),
        ("english", "zh-CN"),
        ("," * 10_000, "zh-CN"),
    ],
)
def test_the_best_language_we_have(header: str | None, locale: str) -> None:
    assert locale_of(header) == locale


def test_the_four_states_of_the_source_document() -> None:
    assert [status_text(s, "zh-CN") for s in ("received", "in_progress", "resolved", "closed")] == [
        "已接收", "处理中", "已解决", "已关闭",
    ]  # fmt: skip


def test_every_kind_of_entry_has_a_sentence_in_every_language() -> None:
    kinds = ["received", "routed", "assigned", "replied", "message", "information_requested", "resolved", "closed",
             "reopened", "compensation"]  # fmt: skip
    for kind in kinds:
        sentences = {timeline_text(kind, locale) for locale in LOCALES}
        assert kind not in sentences
        assert len(sentences) >= 2
