"""How a customer's text is made comparable before any word is looked for."""

import re
import unicodedata

from rules.simplified import PAIRS

_INVISIBLE = dict.fromkeys([0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060, 0xFE0E, 0xFE0F, 0xFEFF])
_SPACE_IN_CHINESE = re.compile(r"(?<=[\u4e00-\u9fff])\s+(?=[\u4e00-\u9fff])")
_SPACES = re.compile(r"\s+")

_SIMPLIFIED = {ord(old): new for old, new in zip(PAIRS[::2], PAIRS[1::2], strict=True)}
_TRANSLATION: dict[int, str | None] = {**_INVISIBLE, **_SIMPLIFIED}


def normalise(text: str) -> str:
    """The comparable form: NFKC (full width as half), case folded, simplified, spaces tidied, nothing invisible."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_TRANSLATION).replace("’", "'")
    return _SPACES.sub(" ", _SPACE_IN_CHINESE.sub("", folded)).strip()
