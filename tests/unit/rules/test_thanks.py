"""What is nothing but thanks."""

import pytest

from rules.thanks import only_thanks


@pytest.mark.parametrize(
    "text",
    [
        "谢谢",
        "謝謝",
        "好的,谢谢!",
        "感谢🙏",
        "Thanks a lot!",
        "OK",
        "收到,辛苦了",
        "thank you very much",
        "没事了",
        "知道了",
    ],
)
def test_thanks_and_nothing_else(text: str) -> None:
    assert only_thanks(text)


@pytest.mark.parametrize(
    "text",
    [
        "谢谢,但是还没退款",
        "好吗?",
        "不好",
        "没收到",
        "谢谢啊 还是坏的",
        "可以退款吗",
        "ok where is my refund",
        "",
        "。。。",
        "了",
        "你们",
        "好的" * 500 + "x",
    ],
)
def test_whatever_else_is_said_isnt(text: str) -> None:
    assert not only_thanks(text)
