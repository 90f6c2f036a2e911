"""A mail's bytes to its parts, within bounds: of depth, of parts, of headers, of text.

The standard library's parser forgives everything but depth and number; these are held here, and what lies beyond is
left unread.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.feedparser import BytesFeedParser
from email.message import Message
from email.policy import compat32
from typing import Any, TypeVar

from services.intake.mail.charset import decode, decode_header_value, printable
from services.intake.mail.markup import Page, read_page
from services.intake.mail.model import Attachment
from services.intake.text import visible

MAX_DEPTH = 40
MAX_PARTS = 200
MAX_HEADERS = 500
MAX_HEADER = 16 * 1024
# Of the top of a mail or part that is header, and of all its text.
MAX_HEAD = 512 * 1024
MAX_TEXT = 2 * 1024 * 1024
MAX_NAME = 80
MAX_RAW = 16 * 1024

_CHUNK = 64 * 1024
_BLANK = re.compile(rb"\r?\n\r?\n")
_STUB = re.compile(
    r"(?:view|read|see|display).{0,60}html|html.{0,40}(?:client|viewer|compatible)|multi-?part message|"
    r"不支持.{0,10}html|html.{0,10}(?:格式|邮件)",
    re.IGNORECASE | re.DOTALL,
)
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")
_HEIF = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif")
_UNREADABLE_TYPES = {"image/svg+xml"}
T = TypeVar("T")


@dataclass
class Parts:
    """What a mail holds. `text` and `written` as in `model.Mail`, before any line of it is judged."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    content_type: str = "text/plain"
    texts: list[Page] = field(default_factory=list)
    attached: list[Attachment] = field(default_factory=list)
    inline: list[Attachment] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    # Of mails that are attached to this one.
    inner: list[Page] = field(default_factory=list)
    room: int = MAX_TEXT
    cut: bool = False


class _TooMuch(Exception):
    """Deeper or of more parts than is read."""


def parse(raw: bytes) -> Parts:
    """The parts of a mail, however broken; never fails. Bytes that aren't a mail at all are its text."""
    tree, cut = _tree(_with_bounded_head(raw))
    parts = Parts(cut=cut)
    parts.headers = [(name.lower(), value[:MAX_HEADER]) for name, value in tree.raw_items()]
    parts.content_type = safely(tree.get_content_type, "text/plain")
    _walk(tree, parts, parts.texts, 0)
    if cut and not _says_something(parts.texts):
        # Raw, so that somebody sees it.
        body = raw[head.end() :] if (head := _BLANK.search(raw)) else raw
        text = decode(body[:MAX_RAW])
        parts.texts.append(Page(text, text))
    return parts


def safely(read: Callable[[], T], otherwise: T) -> T:
    """What the standard library makes of a broken header, or `otherwise`: it raises many things at what nobody
    foresaw (unknown charsets in parameters, numbers that aren't)."""
    try:
        return read()
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError):
        return otherwise


def _with_bounded_head(raw: bytes) -> bytes:
    head = _BLANK.search(raw)
    end = head.start() if head else len(raw)
    if end <= MAX_HEAD:
        return raw
    # A mail of header lines only, or a header that never ends.
    last = raw.rfind(b"\n", 0, MAX_HEAD)
    return raw[: last + 1 if last != -1 else MAX_HEAD] + raw[end:]


def _tree(raw: bytes) -> tuple[Message, bool]:
    made: list[Message] = []

    class Bounded(Message):
        """Knows how deep it is, and how many there are."""

        depth = 0
        kept = 0

        def __init__(self, policy: Any = compat32) -> None:
            super().__init__(policy)
            made.append(self)
            if len(made) > MAX_PARTS:
                raise _TooMuch

        def attach(self, payload: Any) -> None:
            payload.depth = self.depth + 1
            super().attach(payload)
            if payload.depth > MAX_DEPTH:
                raise _TooMuch

        def set_raw(self, name: str, value: str) -> None:
            self.kept += 1
            if self.kept <= MAX_HEADERS:
                super().set_raw(name, value[:MAX_HEADER])

    parser = BytesFeedParser(policy=compat32.clone(message_factory=Bounded))
    try:
        for start in range(0, len(raw), _CHUNK):
            parser.feed(raw[start : start + _CHUNK])
        return parser.close(), False
    except _TooMuch:
        return made[0], True


def _walk(part: Message, parts: Parts, texts: list[Page], depth: int) -> None:
    """Collects what is in `part`; `texts` takes its texts in order."""
    kind = safely(part.get_content_type, "text/plain")
    if part.is_multipart():
        payload: Any = part.get_payload()
        if kind.startswith("message/") and depth:
            _attached_mail(payload, parts, depth)
        elif kind == "multipart/alternative":
            texts.extend(_chosen([_collected(each, parts, depth) for each in payload]))
        else:
            for each in payload:
                _walk(each, parts, texts, depth + 1)
        return
    content = _content(part)
    name = _name(part)
    disposition = safely(part.get_content_disposition, None) or ""
    attached = disposition == "attachment"
    if kind in ("text/plain", "text/html", "text/enriched") and not attached and not name:
        if page := _page(part, kind, content, parts):
            texts.append(page)
            parts.inline += [Attachment("", image) for image in page.images]
    elif content and _is_picture(kind, content):
        (parts.attached if attached else parts.inline).append(Attachment(name, content))
    elif content and kind.partition("/")[0] in ("text", "multipart") and not attached and not name:
        # Of a kind nobody asked for, such as text/calendar beside the text; or a multipart without parts.
        if page := _page(part, "text/plain", content, parts):
            texts.append(page)
    elif content or name:
        parts.others.append(name or printable(kind, MAX_NAME))


def _collected(part: Message, parts: Parts, depth: int) -> tuple[str, list[Page]]:
    found: list[Page] = []
    _walk(part, parts, found, depth + 1)
    return safely(part.get_content_type, "text/plain"), found


def _chosen(offered: list[tuple[str, list[Page]]]) -> list[Page]:
    """Of several forms of the same text: the plain one, unless it says nothing or only that there is another."""
    plain = next((pages for kind, pages in offered if kind == "text/plain" and _says_something(pages)), None)
    other = next((pages for kind, pages in reversed(offered) if kind != "text/plain" and _says_something(pages)), None)
    if plain is None or other is None:
        return plain or other or []
    length, other_length = (sum(len(page.text) for page in pages) for pages in (plain, other))
    stub = length < 500 and any(_STUB.search(page.text) for page in plain)
    return other if stub or length * 5 < other_length else plain


def _says_something(pages: Iterable[Page]) -> bool:
    return any(visible(page.text) for page in pages)


def _attached_mail(payload: list[Any], parts: Parts, depth: int) -> None:
    for each in payload:
        subject = decode_header_value(dict(each.raw_items()).get("Subject", ""))
        parts.others.append(printable(subject, MAX_NAME) or "mail")
        _walk(each, parts, parts.inner, depth + 1)


def _content(part: Message) -> bytes:
    content = safely(lambda: part.get_payload(decode=True), None)
    if isinstance(content, bytes):
        return content
    payload = safely(part.get_payload, None)
    return payload.encode("utf-8", "surrogateescape") if isinstance(payload, str) else b""


def _name(part: Message) -> str:
    found = safely(part.get_filename, None)
    return printable(decode_header_value(found), MAX_NAME) if isinstance(found, str) else ""


def _page(part: Message, kind: str, content: bytes, parts: Parts) -> Page | None:
    if len(content) > parts.room:
        content, parts.cut = content[: parts.room], True
    parts.room -= len(content)
    charset: object = safely(lambda: part.get_param("charset"), None)
    # A triple is RFC 2231's form: charset, language, value.
    declared = charset[2] if isinstance(charset, tuple) else str(charset or "")
    text = decode(content, declared)
    if kind == "text/html":
        return read_page(text)
    if safely(lambda: str(part.get_param("format")), "").lower() == "flowed":
        text = _unflowed(text)
    return Page(text, text) if visible(text) else None


def _unflowed(text: str) -> str:
    """Lines that end in a space go on in the next one (RFC 3676); a signature's "-- " doesn't."""
    pieces = []
    for line in text.split("\n"):
        goes_on = line.endswith(" ") and line != "-- " and not line.startswith(">")
        pieces.append(line if goes_on else line + "\n")
    return "".join(pieces)


def _is_picture(kind: str, content: bytes) -> bool:
    if kind in _UNREADABLE_TYPES:
        return False
    heif = content[4:8] == b"ftyp" and content[8:12] in _HEIF
    webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    return kind.startswith("image/") or content.startswith(_PICTURES) or heif or webp
