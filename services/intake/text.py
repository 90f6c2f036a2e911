"""Texts as JSON may carry them and people never write them."""

import unicodedata

# Controls, formats (zero width, direction), surrogates, separators: nothing a reader sees.
_INVISIBLE = {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"}


def visible(text: str) -> bool:
    """Whether a reader sees anything of it."""
    return any(not letter.isspace() and unicodedata.category(letter) not in _INVISIBLE for letter in text)


def valid_unicode(text: str) -> bool:
    """False for halves of characters (lone surrogates): JSON can write them, no encoding can carry them on."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
