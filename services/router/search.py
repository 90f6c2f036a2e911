"""Search without plain text in the database: what can be looked for is kept as keyed hashes.

A Chinese text is found by each two neighbouring characters, a Latin one by its words, both as `rules.text` reads them
(simplified or traditional, any case and width). Pure.
"""

import hashlib
import hmac
import re

from common.contact import known_contact
from rules.text import normalise

# A mail can be long; the first words say enough.
_MOST = 400
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_RUN = re.compile(f"[{_HAN}]+|[^\\W_{_HAN}]+")
_IS_HAN = re.compile(f"[{_HAN}]")


class SearchIndex:
    """The terms of one installation: another secret gives others."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"search", hashlib.sha256)

    def terms(self, contact: str, text: str) -> tuple[str, ...]:
        """What a ticket is found by: its contact and the words of its description, 12 hexadecimal characters each."""
        words = [("word", word) for word in _words(text)][:_MOST]
        if contact:
            words.append(("contact", _contact(contact)))
        return tuple(dict.fromkeys(self._hash(kind, word) for kind, word in words))

    def words(self, text: str) -> tuple[str, ...]:
        """The terms a ticket with all these words has; none for a text that can't be looked for."""
        return tuple(dict.fromkeys(self._hash("word", word) for part in text.split() for word in _words(part)))

    def contact(self, text: str) -> str:
        """The term of a phone number or mail address, however it is written; "" for what is neither."""
        return self._hash("contact", _contact(text)) if known_contact(text) else ""

    def claim(self, *parts: str) -> str:
        """The name of something that one ticket alone may hold (joining.py), 32 hexadecimal characters."""
        return hashlib.blake2b("\x00".join(parts).encode(), digest_size=16, key=self._key).hexdigest()

    def _hash(self, kind: str, word: str) -> str:
        return hashlib.blake2b(f"{kind}:{word}".encode(), digest_size=6, key=self._key).hexdigest()


def _contact(text: str) -> str:
    # Mailboxes differ in case on paper only.
    return (known_contact(text) or text).casefold()


def _words(text: str) -> list[str]:
    found: list[str] = []
    for run in _RUN.findall(normalise(text)):
        if _IS_HAN.match(run) and len(run) > 1:
            found += [run[at : at + 2] for at in range(len(run) - 1)]
        else:
            found.append(run)
    return list(dict.fromkeys(found))
