"""Bytes to text, whatever charset the sender says they are in.

What is declared is often a lie: GB2312 that is GB18030, Big5 with characters of Hong Kong, UTF-8 that is GBK, nothing
at all. So a declaration is believed where the bytes agree with it, and else the charset is found by whether the text it
gives is one that people write.
"""

import codecs
import re
import unicodedata
from email.errors import HeaderParseError
from email.header import decode_header

import charset_normalizer

# A detector needs to see that much, and reads slowly.
_SAMPLE = 16 * 1024
_HEADER = 8 * 1024
# The superset that people mean by a name, tried in this order.
_MEANT = {
    "gb2312": ("gb18030",), "gbk": ("gb18030",), "cp936": ("gb18030",), "gb18030": ("gb18030",),
    "big5": ("cp950", "big5hkscs"), "cp950": ("cp950", "big5hkscs"), "big5hkscs": ("big5hkscs", "cp950"),
    "iso2022_jp": ("iso2022_jp_ext", "iso2022_jp_2004", "iso2022_jp_2"),
    "shift_jis": ("cp932",), "cp932": ("cp932",), "euc_kr": ("cp949",), "cp949": ("cp949",),
    "ascii": (), "iso8859-1": ("cp1252",), "cp1252": ("cp1252",),
}  # fmt: skip
_ALIASES = {
    "x-gbk": "gbk", "gb_2312-80": "gb2312", "gb2312_charset": "gb2312", "x-x-big5": "big5", "x-sjis": "shift_jis",
    "utf8mb4": "utf-8", "unicode-1-1-utf-7": "utf-7", "x-unicode-2-0-utf-7": "utf-7", "unicode": "utf-16",
}  # fmt: skip
# They decode anything, so agreeing says nothing.
_ANYTHING = {"cp1252", "iso8859-1", "iso8859-15"}
# What they write looks like ASCII.
_SEVEN_BIT = {"hz", "utf-7"}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufdd0-\ufdef\ufeff\ufffe\uffff]")
_LINE_ENDS = re.compile("\r\n|\r|\x85|\u2028|\u2029")
_LANGUAGE = re.compile(r"\*[A-Za-z-]*$")


def decode(data: bytes, declared: str = "") -> str:
    """The text of `data`, clean; what can't be read in any charset is U+FFFD, never an error."""
    return clean(_decode(data, declared))


def clean(text: str) -> str:
    """Line ends are `\\n`; no control characters, no halves of characters (they would stop the message log)."""
    text = text.encode("utf-8", "replace").decode() if _halves(text) else text
    return _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))


def decode_header_value(raw: str) -> str:
    """A header's text: encoded words of any charset, or raw bytes of any; on one line, bounded.

    `raw` is as the parser gives it: bytes beyond ASCII as surrogate escapes.
    """
    raw = raw[:_HEADER].replace("\r", "").replace("\n", "")
    try:
        pieces = decode_header(raw)
    except (HeaderParseError, ValueError):
        pieces = [(raw, None)]
    text = ""
    for piece, charset in pieces:
        if isinstance(piece, str):
            text += decode(piece.encode("utf-8", "surrogateescape")) if _halves(piece) else clean(piece)
        else:
            # An unencoded piece comes as raw-unicode-escape: its bytes are the original ones.
            text += decode(piece, _LANGUAGE.sub("", charset or ""))
    return " ".join(text.split())


def _halves(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text) if not text.isascii() else False


def _decode(data: bytes, declared: str) -> str:
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data.removeprefix(codecs.BOM_UTF8).decode(name, "replace")
    codec = _codec(declared)
    if codec not in _SEVEN_BIT and b"\x1b" not in data:
        utf8 = _strict(data, "utf-8")
        if utf8 is not None and (codec in ("", "utf-8", "ascii", *_ANYTHING) or plausible(utf8) >= 0.5):
            return utf8
    for each in _MEANT.get(codec, (codec,) if codec else ()):
        text = _strict(data, each)
        if text is not None and (_agrees(text, data, each) if codec in _MEANT or each in _ANYTHING else True):
            return text
    if b"\x1b" in data and (text := _strict(data, "iso2022_jp_ext")) is not None:
        return text
    return _found(data, codec)


def _codec(declared: str) -> str:
    """Python's name of a declared charset, empty where there is none of that name."""
    name = declared.strip().strip("\"'").lower()
    try:
        found = codecs.lookup(_ALIASES.get(name, name)).name if name.isascii() and name and len(name) < 40 else ""
    except (LookupError, ValueError):
        return ""
    try:
        # rot13, base64 and the like are no charsets.
        b"a".decode(found or "utf-8", "ignore")
    except (LookupError, ValueError):
        return ""
    return found


def _strict(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except (UnicodeError, ValueError):
        return None


def _dense(data: bytes) -> bool:
    """Whether so many bytes are beyond ASCII that it can't be a Western language."""
    high = sum(byte >= 0x80 for byte in data[:_SAMPLE])
    written = sum(byte > 0x20 for byte in data[:_SAMPLE])
    return high * 3 > written


def _agrees(text: str, data: bytes, codec: str) -> bool:
    return not _dense(data) if codec in _ANYTHING else plausible(text) >= 0.75


def _found(data: bytes, codec: str) -> str:
    """The text in the charset that makes the most of it; the declared one may have a few wrong bytes."""
    declared = _MEANT.get(codec, (codec,) if codec else ())
    names = [*declared, "gb18030", "cp950", "utf-8", "cp932"]
    best, best_score = "", 0.0
    for position, name in enumerate(names):
        text = data.decode(name, "replace")
        # What was declared is believed more, most where no byte is wrong.
        trust = (0.1 if "\ufffd" in text else 0.3) if position < len(declared) else 0.0
        score = plausible(text) + trust
        if score > best_score:
            best, best_score = text, score
    if best_score >= 0.6:
        return best
    if not _dense(data):
        return data.decode(codec or "cp1252", "replace")
    match = charset_normalizer.from_bytes(data[:_SAMPLE]).best()
    return data.decode(match.encoding if match is not None else names[0], "replace")


def plausible(text: str) -> float:
    """How much of what isn't ASCII are letters people use, 0 to 1: frequent Han, kana, hangul, their punctuation."""
    used = seen = 0
    for letter in text[:_SAMPLE]:
        if letter > "\x7f":
            seen += 1
            used += _usual(letter)
    return used / seen if seen else 1.0


def _usual(letter: str) -> bool:
    if "\u4e00" <= letter <= "\u9fff":
        return _frequent(letter)
    if "\uff01" <= letter <= "\uff60" or "\u3000" <= letter <= "\u303f" or "\u3041" <= letter <= "\u30fe":
        return True
    if "\uac00" <= letter <= "\ud7a3" or "\u2010" <= letter <= "\u2033" or letter >= "\U0001f300":
        return True
    return letter in "·°×÷…—“”‘’￥¥€、。"


def _frequent(letter: str) -> bool:
    """The 3,755 of GB 2312's first level and the 5,401 of Big5's: whoever made these tables counted."""
    try:
        if letter.encode("gb2312") < b"\xd8":
            return True
    except UnicodeEncodeError:
        pass
    try:
        return letter.encode("big5") < b"\xc9"
    except UnicodeEncodeError:
        return False


def is_han(letter: str) -> bool:
    """Whether it is a Chinese character."""
    return "\u3400" <= letter <= "\u9fff" or "\U00020000" <= letter <= "\U0003ffff"


def printable(text: str, length: int) -> str:
    """On one line, without what nobody sees, cut."""
    kept = "".join(letter for letter in text[: 4 * length] if unicodedata.category(letter) not in ("Cc", "Cf", "Cs"))
    return " ".join(kept.split())[:length]
