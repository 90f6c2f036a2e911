"""The token of a complaint: proof that its holder may see the progress, verifiable without any state.

Two forms, both bound to the ticket id (which isn't repeated inside), base64url without padding:

- of a random id: category, acknowledged at, promise, and a MAC: progress answers fully before the router knows it;
- of an idempotency key: category and a MAC only. A repeat that reaches another instance must get the *same* token
  (mechanisms.md, "Numbers, keys, retries"), and that instance can't know when the first one acknowledged, so nothing
  that depends on time may be inside. The promise is then known to the instance that gave it, and to everybody once the
  router has the ticket; in between, progress answers "received" without a promise.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from datetime import UTC, datetime, timedelta

from rules.model import Category, Promise
from services.intake.model import TokenFacts

_MAC = 16
_KEYED, _FULL = 1, 2
# Form and category, and for the full form the three instants in microseconds (0: not promised).
_HEAD = struct.Struct(">BB")
_TIMES = struct.Struct(">qqq")
_CATEGORIES = tuple(Category)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _microseconds(instant: datetime | None) -> int:
    return 0 if instant is None else (instant - _EPOCH) // timedelta(microseconds=1)


def _instant(microseconds: int) -> datetime | None:
    return _EPOCH + timedelta(microseconds=microseconds) if microseconds else None


def _mac(secret: bytes, ticket_id: str, payload: bytes) -> bytes:
    return hmac.digest(secret, ticket_id.encode() + b"\x00" + payload, hashlib.sha256)[:_MAC]


def _sealed(secret: bytes, ticket_id: str, payload: bytes) -> str:
    signed = payload + _mac(secret, ticket_id, payload)
    return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()


def keyed_token(secret: bytes, ticket_id: str, category: Category) -> str:
    """The token of a complaint sent with an idempotency key: the same from every instance, at any time."""
    return _sealed(secret, ticket_id, _HEAD.pack(_KEYED, _CATEGORIES.index(category)))


def full_token(secret: bytes, ticket_id: str, category: Category, acknowledged_at: datetime, promise: Promise) -> str:
    """The token of a complaint with a random id."""
    times = _TIMES.pack(
        _microseconds(acknowledged_at), _microseconds(promise.first_response_by), _microseconds(promise.resolve_by)
    )
    return _sealed(secret, ticket_id, _HEAD.pack(_FULL, _CATEGORIES.index(category)) + times)


def read_token(secret: bytes, ticket_id: str, token: str) -> TokenFacts | None:
    """What the token of this ticket says, or None if it isn't one. Compares in constant time."""
    try:
        # Far more than a token has: nobody makes us decode megabytes.
        text = token[:100].encode("ascii")
        signed = base64.b64decode(text + b"=" * (-len(text) % 4), b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    payload, mac = signed[:-_MAC], signed[-_MAC:]
    if not hmac.compare_digest(mac, _mac(secret, ticket_id, payload)):
        return None
    form, category = _HEAD.unpack_from(payload)
    if form == _KEYED:
        return TokenFacts(_CATEGORIES[category], None, Promise(None, None))
    acknowledged, first, resolve = _TIMES.unpack_from(payload, _HEAD.size)
    return TokenFacts(_CATEGORIES[category], _instant(acknowledged), Promise(_instant(first), _instant(resolve)))
