"""Contacts in texts that aren't sealed: what people write as a reason, and what ends up in a log.

Only what looks like a contact is hidden; a text that says more than that about a customer has no place there.
"""

import re

# A mainland mobile number however it is grouped, a number with a country code, a landline with its area.
_PHONE = re.compile(
    r"(?<![0-9A-Za-z])"
    r"(?:(?:\+|00)?86[ -]?)?1[3-9][0-9](?:[ -]?[0-9]){8}(?![0-9])"
    r"|(?<![0-9A-Za-z])\+[1-9][0-9]{0,2}(?:[ -]?[0-9]){6,12}(?![0-9])"
    r"|(?<![0-9A-Za-z])0[1-9][0-9]{1,2}-[0-9]{7,8}(?![0-9])"
)
_MAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}")


def without_contacts(text: str) -> str:
    """The text with phone numbers and mail addresses replaced by `***`."""
    return _MAIL.sub("***", _PHONE.sub("***", text))
