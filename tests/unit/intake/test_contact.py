import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contact import normalise_contact


@pytest.mark.parametrize(
    ("written", "normalised"),
    [
        ("13800138000", "+8613800138000"),
        ("+86 138-0013-8000", "+8613800138000"),
        ("0086 138 0013 8000", "+8613800138000"),
        ("１３８００１３８０００", "+8613800138000"),
        ("19900000000", "+8619900000000"),
        ("010-6234 5678", "+861062345678"),
        ("(021) 5555 6666", "+862155556666"),
        ("+886 912 345 678", "+886912345678"),
        ("+852 9123 4567", "+85291234567"),
        ("+44 20 7946 0958", "+442079460958"),
        ("Li.Lei@Example.COM", "Li.Lei@example.com"),
        ("name+tag@mail.example.cn", "name+tag@mail.example.cn"),
        ("客户@例子.中国", "客户@xn--fsqu00a.xn--fiqs8s"),
        ("ａ＠ｂ．ｃｏｍ", "a@b.com"),
    ],
)
def test_what_people_write(written: str, normalised: str) -> None:
    assert normalise_contact(written) == normalised


@pytest.mark.parametrize(
    "written",
    ["", " ", "110", "1380013800", "138001380000", "+0 138", "call me", "a@", "@b.com", "a@b", "a b@c.com", "a@b..com",
     "a@-b.com", "a@1.2.3.4", "a..b@c.com", ".a@c.com", "a@b.com\nBcc: x@y.com", "a@" + "x" * 64 + ".com", "x" * 300],
)  # fmt: skip
def test_what_is_no_contact(written: str) -> None:
    assert normalise_contact(written) is None


@given(st.text(max_size=300))
def test_any_text_is_a_contact_or_not(text: str) -> None:
    found = normalise_contact(text)
    assert found is None or found.startswith("+") or "@" in found


@pytest.mark.parametrize("written", ["138-0013-8000", "+886 912 345 678", "Li.Lei@Example.COM"])
def test_a_normalised_contact_stays_as_it_is(written: str) -> None:
    once = normalise_contact(written)
    assert once is not None
    assert normalise_contact(once) == once
