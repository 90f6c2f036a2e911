"""Ticket numbers: 60 bits in Crockford's base32 and a check character, shown as `7K3M-9QXZ-4TPC-5` (mechanisms.md)."""

import hashlib
import hmac
import unicodedata

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BITS = 60
_DIGITS = BITS // 5
_VALUE = {letter: value for value, letter in enumerate(ALPHABET)} | {"O": 0, "I": 1, "L": 1}
_SEPARATORS = dict.fromkeys(map(ord, "-‐‑‒–—−_. \t\u3000"))


def _powers_of_x() -> list[int]:
    """x^0 … x^12 in GF(32) modulo the primitive polynomial x^5 + x^2 + 1: all different, none zero."""
    powers = [1]
    for _ in range(_DIGITS):
        doubled = powers[-1] << 1
        powers.append(doubled ^ 0b100101 if doubled & 32 else doubled)
    return powers


_WEIGHTS = _powers_of_x()


def _times(a: int, b: int) -> int:
    """The product of two elements of GF(32)."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a & 32:
            a ^= 0b100101
        b >>= 1
    return product


def check_value(digits: list[int]) -> int:
    """The check digit (0–31) of 12 digits.

    It makes the sum of weight times digit over all 13 places zero in GF(32), the check digit itself having weight 1.
    As no weight is zero every single wrong character is noticed, as no two are equal every exchange of two is.
    """
    total = 0
    for weight, digit in zip(_WEIGHTS[1:], digits, strict=True):
        total ^= _times(weight, digit)
    return total


def from_random(bits: int) -> str:
    """The number of 60 random bits. Raises ValueError outside 0 … 2^60 - 1."""
    if not 0 <= bits < 1 << BITS:
        raise ValueError("a ticket number has 60 bits")
    digits = [bits >> shift & 31 for shift in range(BITS - 5, -1, -5)]
    text = "".join(ALPHABET[digit] for digit in (*digits, check_value(digits)))
    return f"{text[:4]}-{text[4:8]}-{text[8:12]}-{text[12]}"


def from_key(secret: bytes, credential: str, key: str) -> str:
    """The number of an idempotency key of one channel credential: every instance gives the same without talking.

    The two texts are length-prefixed, so that ("a", "bc") and ("ab", "c") differ.
    """
    parts = (credential.encode(), key.encode())
    message = b"".join(len(part).to_bytes(4) + part for part in parts)
    return from_random(int.from_bytes(hmac.digest(secret, message, hashlib.sha256)[:8]) >> 4)


def parse(text: str) -> str | None:
    """The canonical form of a number as people type it, or None if it isn't one.

    Any case and width, with or without dashes or spaces; O reads as 0, I and L as 1.
    """
    compact = unicodedata.normalize("NFKC", text[:64]).translate(_SEPARATORS)
    if len(compact) != _DIGITS + 1 or not compact.isascii():
        return None
    values = [_VALUE.get(letter) for letter in compact.upper()]
    digits = [value for value in values if value is not None]
    if len(digits) != len(values) or check_value(digits[:-1]) != digits[-1]:
        return None
    bits = 0
    for digit in digits[:-1]:
        bits = bits << 5 | digit
    return from_random(bits)
