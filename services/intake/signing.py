"""Signatures of the gateways that call us. All comparisons take the same time wherever a signature is wrong."""

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta

# interfaces.md: "± 5 min".
TOLERANCE = timedelta(minutes=5)

_SECONDS = re.compile(r"[0-9]{9,11}")
_MILLISECONDS = re.compile(r"[0-9]{12,14}")


def body_signature(key: str, timestamp: str, body: bytes) -> str:
    """What `X-Signature` holds for a body sent at that time: `sha256=` and 64 hex characters."""
    return "sha256=" + hmac.digest(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hex()


def signed(key: str, timestamp: str, body: bytes, signature: str, now: datetime) -> bool:
    """Whether who knows the key signed this body within 5 minutes of now.

    `timestamp` is in seconds or milliseconds since 1970, or RFC 3339, and is signed as it is written.
    """
    genuine = _same(body_signature(key, timestamp, body), signature.strip())
    at = _instant(timestamp)
    return genuine and at is not None and abs(now - at) <= TOLERANCE


def words_signature(*words: str) -> str:
    """WeChat's: the SHA-1 of the sorted words, 40 hex characters."""
    return hashlib.sha1("".join(sorted(words)).encode(), usedforsecurity=False).hexdigest()


def words_signed(signature: str, *words: str) -> bool:
    """Whether `signature` is that of the words, one of which only WeChat and we know."""
    return _same(words_signature(*words), signature)


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode(errors="replace"))


def _instant(timestamp: str) -> datetime | None:
    try:
        if _SECONDS.fullmatch(timestamp):
            return datetime.fromtimestamp(int(timestamp), UTC)
        if _MILLISECONDS.fullmatch(timestamp):
            return datetime.fromtimestamp(int(timestamp) / 1000, UTC)
        found = datetime.fromisoformat(timestamp.upper())
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo else None
