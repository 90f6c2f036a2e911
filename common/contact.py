"""Contacts: a phone number as E.164 or a mail address, whatever way people write them."""

import re
import unicodedata

import phonenumbers

DEFAULT_REGION = "CN"
MAX_LENGTH = 254

OPENID = "wx:"
_OPENID = re.compile(r"wx:[A-Za-z0-9_-]{6,64}")
_NOISE = re.compile(r"[\s\-‐‑–—.()]+")
# The library's tables age; a mainland mobile number of a new range must not keep a customer from complaining.
_MAINLAND_MOBILE = re.compile(r"(?:\+86|0086|86)?(1[3-9][0-9]{9})")
_LOCAL = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]{1,64}")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def normalise_contact(text: str) -> str | None:
    """`+8613800138000` or `name@example.com` (domain in lower case, as ASCII); None if it is neither."""
    text = unicodedata.normalize("NFKC", text).strip()
    if not text.isprintable() or not text or len(text) > MAX_LENGTH:
        return None
    return _mail(text) if "@" in text else _phone(text)


def known_contact(text: str) -> str | None:
    """As `normalise_contact`, and the contact of somebody who writes to an official account (`openid_contact`)."""
    return text if _OPENID.fullmatch(text) else normalise_contact(text)


def openid_contact(openid: str) -> str | None:
    """`wx:…` for the name WeChat gives a follower of an account; None if it can't be one."""
    contact = f"{OPENID}{openid}"
    return contact if _OPENID.fullmatch(contact) else None


def _phone(text: str) -> str | None:
    if found := _MAINLAND_MOBILE.fullmatch(_NOISE.sub("", text)):
        return f"+86{found[1]}"
    try:
        number = phonenumbers.parse(text, DEFAULT_REGION)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _mail(text: str) -> str | None:
    local, _, domain = text.rpartition("@")
    if not _LOCAL.fullmatch(local) or local.startswith(".") or local.endswith(".") or ".." in local:
        return None
    try:
        ascii_domain = domain.lower().encode("idna").decode("ascii")
    except UnicodeError:
        return None
    labels = ascii_domain.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        return None
    return f"{local}@{ascii_domain}"
