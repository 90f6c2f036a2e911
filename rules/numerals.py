"""Numbers as customers write them: 2.5, 两, 二十, 一百五十, two."""

ENGLISH = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12,
}  # fmt: skip
NUMERAL = "[一二两俩三仨四五六七八九十百零]{1,5}"
_DIGITS = dict(zip("零一二两俩三仨四五六七八九", (0, 1, 2, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9), strict=True))


def number(text: str) -> float:
    """The value of digits, an English word up to twelve, or Chinese numerals up to 999; 半 is a half."""
    if text == "半":
        return 0.5
    if text in ENGLISH:
        return ENGLISH[text]
    if text[0].isdigit():
        return float(text)
    total = current = 0
    for letter in text:
        if letter in "百十":
            total += (current or 1) * (100 if letter == "百" else 10)
            current = 0
        else:
            current = _DIGITS[letter]
    return total + current
