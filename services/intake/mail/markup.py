"""HTML of mails to text. Bounded: a mail of a million nested tags takes no longer than one of a thousand."""

import base64
import binascii
import html
import re
from dataclasses import dataclass
from itertools import islice

from selectolax.lexbor import LexborHTMLParser, LexborNode

from services.intake.mail.charset import clean

_MAX = 1024 * 1024
# The parser's time grows with tags times depth: 10,000 nested ones took 0.8 s, 200,000 more than half a minute.
_MAX_DEPTH = 400
_MAX_TAGS = 50_000
_MAX_DATA_IMAGES = 10

_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)")
_ANY_TAG = re.compile(r"<[^<>]*>")
_DATA_IMAGE = re.compile(r"data:image/[a-z+.-]{1,20};base64,", re.IGNORECASE)
# Closed by what follows, or empty: leaving them open doesn't nest.
_FLAT = {
    "p", "li", "td", "th", "tr", "tbody", "thead", "dd", "dt", "option", "br", "hr", "img", "meta", "link", "input",
    "col", "area", "base", "wbr", "source", "html", "head", "body", "a",
}  # fmt: skip
_UNSEEN = ["script", "style", "head", "title", "template", "noscript", "svg", "object", "select", "textarea"]
_HIDDEN = ["[hidden]", '[style*="display:none" i]', '[style*="display: none" i]']
# Where mail programs put what they quote: Apple and Thunderbird, Gmail, Yahoo, NetEase, QQ, Outlook, Feishu, Proton.
_QUOTES = [
    'blockquote[type="cite"]', ".gmail_quote", ".moz-cite-prefix", ".yahoo_quoted", "#isReplyContent",
    ".ntes-mailmaster-quote", "includetail", "#mail-editor-reference-message-container", ".history-quote-wrapper",
    ".lark-mail-quote", ".protonmail_quote", ".zmail_extra",
]  # fmt: skip
_SIGNATURES = [".gmail_signature", ".moz-signature", "#divNeteaseMailCard", ".ntes-mailmaster-signature"]
_BLOCKS = {
    "p", "div", "br", "tr", "li", "ul", "ol", "table", "blockquote", "hr", "pre", "section", "article", "header",
    "footer", "h1", "h2", "h3", "h4", "h5", "h6", "dt", "dd", "center", "form", "fieldset", "includetail",
}  # fmt: skip
_SPACES = re.compile(r"[ \t\n\r\f\u00a0]+")


@dataclass(frozen=True)
class Page:
    """`text`: all a reader sees; `written`: without what the mail program marked as quoted or as signature; `images`:
    pictures inside the page itself."""

    text: str
    written: str
    images: tuple[bytes, ...] = ()


def read_page(markup: str) -> Page:
    """Never fails; beyond 1 MiB it is cut, beyond 400 nested tags or 50,000 tags it is read without its structure."""
    markup, images = _without_data(markup)
    markup = markup[:_MAX]
    if not _modest(markup):
        text = clean(html.unescape(_ANY_TAG.sub(" ", markup)))
        return Page(text, text, images)
    tree = LexborHTMLParser(markup)
    tree.strip_tags(_UNSEEN)
    _drop(tree, _HIDDEN)
    text = _text(tree)
    if _drop(tree, [*_QUOTES, *_SIGNATURES]):
        return Page(text, _text(tree), images)
    return Page(text, text, images)


def _without_data(markup: str) -> tuple[str, tuple[bytes, ...]]:
    """The page without the pictures that are written into it, and these."""
    kept: list[str] = []
    images: list[bytes] = []
    position = 0
    for found in islice(_DATA_IMAGE.finditer(markup), _MAX_DATA_IMAGES):
        if found.start() < position:
            continue
        ends = [end for mark in "\"'>" if (end := markup.find(mark, found.end())) != -1]
        end = min(ends, default=len(markup))
        try:
            images.append(base64.b64decode(markup[found.end() : end]))
        except (binascii.Error, ValueError):
            continue
        kept.append(markup[position : found.start()])
        position = end
    kept.append(markup[position:])
    return "".join(kept), tuple(images)


def _modest(markup: str) -> bool:
    open_tags: dict[str, int] = {}
    depth = 0
    for count, found in enumerate(_TAG.finditer(markup)):
        name = found[2].lower()
        if count > _MAX_TAGS or depth > _MAX_DEPTH:
            return False
        if name in _FLAT:
            continue
        if not found[1]:
            open_tags[name] = open_tags.get(name, 0) + 1
            depth += 1
        elif open_tags.get(name):
            open_tags[name] -= 1
            depth -= 1
    return True


def _drop(tree: LexborHTMLParser, selectors: list[str]) -> bool:
    found: list[LexborNode] = tree.css(",".join(selectors))
    # From the last one: inner ones go before those around them.
    for node in reversed(found):
        node.decompose()
    return bool(found)


def _text(tree: LexborHTMLParser) -> str:
    root = tree.root
    if root is None:
        return ""
    pieces: list[str] = []
    # Not recursive: some tags nest deeper than `_modest` can see. A text on the stack is written when its turn comes.
    waiting: list[LexborNode | str] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            pieces.append(node)
            continue
        if node.next is not None and node is not root:
            waiting.append(node.next)
        tag = node.tag or ""
        if tag == "-text":
            pieces.append(node.text_content or "")
        elif not tag.startswith(("-", "!")) or node is root:
            after = "\x00" if tag in _BLOCKS else " " if tag in ("td", "th") else ""
            if after == "\x00":
                pieces.append(after)
            if after:
                waiting.append(after)
            if node.child is not None:
                waiting.append(node.child)
    lines = (_SPACES.sub(" ", line).strip() for line in "".join(pieces).split("\x00"))
    return clean("\n".join(line for line in lines if line))
