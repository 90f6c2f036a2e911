"""A mail's bytes to a `Mail`: pure, and never fails, whatever the bytes are."""

import re
from datetime import UTC, datetime
from email.utils import getaddresses, parsedate_to_datetime

from common.contact import MAX_LENGTH, normalise_contact
from services.intake.mail import quotes
from services.intake.mail.charset import decode, decode_header_value, printable
from services.intake.mail.mime import Parts, parse, safely
from services.intake.mail.model import Mail

MAX_SUBJECT = 300
MAX_REFERENCES = 20
# Before anything is looked for in it; far more than is kept.
MAX_READ = 200_000

_ID = re.compile(r"<([^<>\s]{1,250})>")
_BARE_ID = re.compile(r"[^<>\s]{1,250}")


def read(raw: bytes) -> Mail:
    """What the mail says. Missing headers are empty, unreadable bytes are U+FFFD."""
    parts = parse(raw)
    first: dict[str, str] = {}
    for name, value in parts.headers:
        first.setdefault(name, value)
    subject = printable(decode_header_value(first.get("subject", "")), MAX_SUBJECT)
    message_id = _message_id(first.get("message-id", ""))
    references = _references(first, message_id)
    text, written = _texts(parts, subject, bool(references))
    return Mail(
        headers=tuple(parts.headers),
        content_type=parts.content_type,
        subject=subject,
        sender=_address(first.get("from", "")),
        reply_to=_address(first.get("reply-to", "")),
        message_id=message_id,
        references=references,
        sent_at=_instant(first.get("date", "")),
        text=text,
        written=written,
        images=(*parts.attached, *parts.inline),
        others=tuple(parts.others),
        cut=parts.cut,
    )


def _texts(parts: Parts, subject: str, answers: bool) -> tuple[str, str]:
    pages = parts.texts
    if not any(page.text.strip() for page in pages):
        # A mail that only passes on another.
        pages = parts.inner
    forwarded = quotes.is_forward(subject) or pages is parts.inner
    reply = answers or quotes.is_reply(subject)
    text = "\n\n".join(page.text.strip("\n") for page in pages).strip("\n")[:MAX_READ]
    unquoted = text if forwarded else "\n\n".join(page.written.strip("\n") for page in pages).strip("\n")[:MAX_READ]
    written = quotes.own_words(unquoted, forwarded=forwarded, reply=reply)
    # An answer between the lines of what the mail program marked as quoted.
    return text, written if written else quotes.own_words(text, forwarded=forwarded, reply=reply)


def _address(raw: str) -> str:
    """The first address of a header, as a contact; empty if there is none."""
    text = decode(raw.encode("utf-8", "surrogateescape")) if raw else ""
    found: list[tuple[str, str]] = []
    for _, address in safely(lambda: getaddresses([text[:2000]]), found):
        if contact := contact_of(address):
            return contact
    return ""


def contact_of(address: str) -> str:
    """A mail address in its normal form; as it is where it's odd (such as a host without a dot) but can be written;
    empty for what isn't an address. In contrast to a form, nobody can be asked to correct it."""
    address = address.strip()
    local, at, domain = address.rpartition("@")
    if not (local and at and domain) or len(address) > MAX_LENGTH or " " in address or not address.isprintable():
        return ""
    return normalise_contact(address) or address


def _message_id(raw: str) -> str:
    found = _ID.search(raw) or _BARE_ID.search(raw)
    return printable(found[found.lastindex or 0], 250) if found else ""


def _references(first: dict[str, str], own: str) -> tuple[str, ...]:
    """What it answers, the nearest first: In-Reply-To, then References from its end (RFC 5322, 3.6.4)."""
    ids = _ID.findall(first.get("in-reply-to", "")) + _ID.findall(first.get("references", ""))[::-1]
    known = dict.fromkeys(printable(each, 250) for each in ids)
    return tuple(each for each in known if each and each != own)[:MAX_REFERENCES]


def _instant(raw: str) -> datetime | None:
    try:
        sent = parsedate_to_datetime(raw[:200])
        return (sent if sent.tzinfo else sent.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
