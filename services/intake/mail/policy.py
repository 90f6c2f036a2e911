"""What becomes of a mail: whose it is, which ticket it names, what the complaint says. Data in, data out."""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rules import number
from rules.model import Category, PolicySet
from services.intake.mail import quotes
from services.intake.mail.charset import is_han
from services.intake.mail.model import Mail
from services.intake.mail.robots import OWN_ID
from services.intake.mail.texts import images_only, note_of_cut, note_of_others
from services.intake.model import LOCALES, Locale, Submission
from services.intake.text import visible

MAX_TEXT = 50_000
MAX_IMAGES = 3
MAX_NAMES = 20
MAILBOX = "complaint"

_DASH = "[-‐‑‒–—−_. ]?"
_NUMBER = re.compile(
    rf"(?<![0-9A-Za-z])[0-9A-Za-z]{{4}}{_DASH}[0-9A-Za-z]{{4}}{_DASH}[0-9A-Za-z]{{4}}{_DASH}[0-9A-Za-z]"
)
_OWN_NUMBER = re.compile(rf"{re.escape(OWN_ID)}([0-9A-Za-z-]{{13,16}})[.@]", re.IGNORECASE)
_LATIN_WORD = re.compile(r"[A-Za-z]{2,}")


def brand_of(address: str, policies: Mapping[str, PolicySet], default: str) -> str | None:
    """Whose mailbox it is: `complaint+<brand>@…` names the brand; a brand's own address and `complaint@` at its domain
    are the brand's, `complaint@` anywhere else the default brand's. None for any other mailbox."""
    local, _, domain = address.lower().rpartition("@")
    mailbox, plus, named = local.partition("+")
    if plus and mailbox == MAILBOX:
        return named if named in policies else None
    brands = sorted(policies, key=lambda brand: (brand != default, policies[brand].brand.extends is not None, brand))
    mails = {brand: policies[brand].brand.support_mail.lower() for brand in brands}
    for brand in brands:
        if mails[brand] == f"{local}@{domain}":
            return brand
    if local != MAILBOX:
        return None
    return next((brand for brand in brands if mails[brand].rpartition("@")[2] == domain), default)


def own_addresses(policies: Mapping[str, PolicySet], recipients: Iterable[str]) -> frozenset[str]:
    """Our addresses, in lower case: nobody writes complaints from them."""
    configured = {each.brand.support_mail.lower() for each in policies.values()}
    return frozenset(configured | {each.lower() for each in recipients})


def ticket_named(mail: Mail) -> str:
    """The number of the ticket the mail is about: in its subject, else in the Message-Id of ours that it answers; empty
    if neither. That it is the sender's own is for the router to see."""
    subject = unicodedata.normalize("NFKC", mail.subject)
    for found in _NUMBER.finditer(subject):
        written, following = found[0], subject[found.end() : found.end() + 1]
        # An order number or a word of 13 letters passes the check one time in 32.
        dashed = any(mark in written for mark in "-‐‑‒–—−_.")
        mixed = any(each.isdigit() for each in written) and any(each.isalpha() for each in written)
        if (
            (dashed or mixed)
            and not (following.isascii() and following.isalnum())
            and (parsed := number.parse(written))
        ):
            return parsed
    for reference in mail.references:
        if (own := _OWN_NUMBER.match(reference)) and (parsed := number.parse(own[1])):
            return parsed
    return ""


def reference_hash(secret: bytes, message_id: str) -> str:
    """A Message-Id as it travels and is stored: it may hold the sender's address, and equal ones stay equal."""
    return hmac.digest(secret, b"mail-reference\x00" + message_id.encode(), hashlib.sha256).hex()[:32]


def locale_of(text: str, default: str) -> Locale:
    """The language a text is written in: Han against Latin words, characters that only one script has; `default` where
    it says nothing."""
    sample = text[:5000]
    han = [letter for letter in sample if is_han(letter)]
    words = len(_LATIN_WORD.findall(sample))
    if not han and not words:
        return next((each for each in LOCALES if each == default), "zh-CN")
    if len(han) <= words:
        return "en"
    traditional = sum(not _within(letter, "gb2312") and _within(letter, "big5") for letter in han)
    simplified = sum(not _within(letter, "big5") and _within(letter, "gb2312") for letter in han)
    if traditional == simplified:
        return "zh-TW" if default == "zh-TW" else "zh-CN"
    return "zh-TW" if traditional > simplified else "zh-CN"


def _within(letter: str, charset: str) -> bool:
    try:
        letter.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def submission_of(mail: Mail, sender: str, policies: PolicySet, secret: bytes) -> Submission:
    """The complaint of the mail, without its images and with a description that may be empty yet. `sender`: the contact
    where the mail's header names none."""
    words = _words(mail)
    own = (reference_hash(secret, mail.message_id),) if mail.message_id else ()
    return Submission(
        brand=policies.brand.key,
        channel="mail",
        declared=Category.OTHER,
        description=words,
        contact=mail.sender or mail.reply_to or sender,
        locale=locale_of(words, policies.brand.default_locale),
        occurred_at=mail.sent_at,
        thread_ticket=ticket_named(mail),
        # Its own comes first: what answers it later is to lead to the same ticket.
        mail_references=(*own, *(reference_hash(secret, each) for each in mail.references)),
        channel_facts=tuple(("message_id", each) for each in own),
    )


def complete(submission: Submission, images: Sequence[str], refused: Sequence[str], mail: Mail) -> Submission | None:
    """The complaint with its images, and with a note of what wasn't taken (`refused`: names); None where there is
    nothing at all."""
    others = [*refused, *mail.others]
    text = submission.description
    if not visible(text):
        if not images and not others:
            return None
        text = images_only(submission.locale) if images else ""
    notes = []
    if others:
        notes.append(note_of_others(submission.locale, len(others), [each for each in others if each][:MAX_NAMES]))
    if mail.cut or len(text) > MAX_TEXT:
        notes.append(note_of_cut(submission.locale))
    text = "\n\n".join([text[:MAX_TEXT], *notes] if text else notes)
    return replace(submission, description=text, images=tuple(images))


def _words(mail: Mail) -> str:
    """What was written; of a mail that answers nothing the subject too, for many write the complaint there."""
    subject = quotes.without_marks(mail.subject)
    body = mail.written if visible(mail.written) else ""
    answers = quotes.is_reply(mail.subject) or bool(mail.references)
    if body and (answers or not visible(subject) or subject in body[:1000]):
        return body
    return f"{subject}\n{body}".strip() if visible(subject) else ""


def print_of_content(secret: bytes, mail: Mail) -> str:
    """Equal for mails with the same pictures and other files."""
    digest = hmac.new(secret, b"mail-content", hashlib.sha256)
    for image in mail.images:
        digest.update(hashlib.sha256(image.content).digest())
    for name in mail.others:
        digest.update(name.encode() + b"\x00")
    return digest.hexdigest()[:32]


def alike(submission: Submission, content: str) -> Submission:
    """What two deliveries of one mail have in common: all but the ids its pictures get."""
    return replace(submission, images=(content,))


def words_only(submission: Submission, content: str) -> Submission:
    """What two mails have in common that say the same: not when, in answer to what, or under which Message-Id."""
    return replace(submission, images=(content,), mail_references=(), channel_facts=(), occurred_at=None)
