"""mechanisms.md, "Numbers": 60 bits, a check character, read in any form a person types."""

import random
from itertools import combinations

import pytest

from rules.number import ALPHABET, from_key, from_random, parse

SAMPLES = [from_random(bits) for bits in (0, 1, (1 << 60) - 1, *(random.Random(7).getrandbits(60) for _ in range(20)))]


@pytest.mark.parametrize("number", SAMPLES)
def test_a_number_reads_back(number: str) -> None:
    assert parse(number) == number


@pytest.mark.parametrize("number", SAMPLES)
def test_every_single_wrong_character_is_noticed(number: str) -> None:
    plain = number.replace("-", "")
    for place, right in enumerate(plain):
        for wrong in ALPHABET:
            if wrong != right:
                assert parse(plain[:place] + wrong + plain[place + 1 :]) is None


@pytest.mark.parametrize("number", SAMPLES)
def test_every_exchange_of_two_characters_is_noticed(number: str) -> None:
    plain = number.replace("-", "")
    for first, second in combinations(range(13), 2):
        letters = list(plain)
        letters[first], letters[second] = letters[second], letters[first]
        if letters != list(plain):
            assert parse("".join(letters)) is None


def test_any_case_width_dashes_and_spaces_and_look_alikes_are_read() -> None:
    number = from_random(0x10)  # ends in 00 0G and its check character, so it has zeros; ones come from 1 << 55
    one = from_random(1 << 55)
    assert number.startswith("0000-0000")
    assert one.startswith("1000-0000")
    for written in (
        number.lower(),
        number.replace("0", "O"),
        number.replace("0", "o"),
        number.replace("-", " "),
        f" {number} ",
    ):
        assert parse(written) == number
    for written in (one.replace("1", "I"), one.replace("1", "l"), one.replace("1", "L"), one.replace("-", "–")):
        assert parse(written) == one
    wide = "".join(chr(ord(c) + 0xFEE0) for c in number)
    assert parse(wide) == number


@pytest.mark.parametrize(
    "text", ["", "7K3M", "7K3M-9QXZ-4TPC-55", "UUUU-UUUU-UUUU-U", "工单", "é" * 13, "-" * 70, "!" * 13]
)
def test_anything_else_is_no_number(text: str) -> None:
    assert parse(text) is None


def test_the_same_key_of_the_same_channel_gives_the_same_number_everywhere() -> None:
    number = from_key(b"secret", "app", "order-1")
    assert number == from_key(b"secret", "app", "order-1")
    others = {
        from_key(b"other", "app", "order-1"),
        from_key(b"secret", "sms", "order-1"),
        from_key(b"secret", "app", "order-2"),
        from_key(b"secret", "appo", "rder-1"),
    }
    assert len(others - {number}) == 4
    assert parse(number) == number


@pytest.mark.parametrize("bits", [-1, 1 << 60])
def test_more_than_60_bits_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="60 bits"):
        from_random(bits)
