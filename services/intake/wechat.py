"""An official account of WeChat: its envelope, its messages, and what they say. Pure.

The envelope is as WeChat's "message encryption and decryption" describes it: AES-256-CBC with the key's first 16 bytes
as the vector, PKCS #7 to blocks of 32, and inside 16 random bytes, the length, the message, the account's id.
"""

import base64
import binascii
import hmac
import struct
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Literal

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from common.contact import openid_contact
from common.errors import Unauthenticated
from services.intake.signing import words_signature
from services.intake.text import valid_unicode, visible
from services.intake.xml import write_flat

_BLOCK = 32
_HEAD = 16


class Envelope:
    """Seals and opens for one account. `aes_key` is the 43 characters WeChat's console shows."""

    def __init__(self, aes_key: str, app_id: str) -> None:
        """Raises ValueError for what isn't such a key."""
        try:
            self._key = base64.b64decode(aes_key + "=", validate=True)
        except binascii.Error:
            self._key = b""
        if len(self._key) != 32:
            raise ValueError("an EncodingAESKey has 43 characters of base64")
        self._app_id = app_id.encode()

    def seal(self, message: str, random: bytes) -> str:
        """The message as `Encrypt` holds it; `random` are 16 bytes."""
        plain = message.encode()
        padded = random + struct.pack(">I", len(plain)) + plain + self._app_id
        fill = _BLOCK - len(padded) % _BLOCK
        cipher = self._cipher().encryptor()
        return base64.b64encode(cipher.update(padded + bytes([fill]) * fill) + cipher.finalize()).decode()

    def open(self, encrypted: str) -> bytes:
        """Inverse of `seal`. Raises Unauthenticated for anything that wasn't sealed for this account."""
        try:
            sealed = base64.b64decode(encrypted, validate=True)
            cipher = self._cipher().decryptor()
            padded = cipher.update(sealed) + cipher.finalize()
            fill = padded[-1]
            (length,) = struct.unpack_from(">I", padded, _HEAD)
        except (binascii.Error, ValueError, IndexError, struct.error):
            raise _foreign() from None
        plain = padded[: -fill if 1 <= fill <= _BLOCK else len(padded)]
        message, app_id = plain[_HEAD + 4 : _HEAD + 4 + length], plain[_HEAD + 4 + length :]
        if not hmac.compare_digest(app_id, self._app_id):
            raise _foreign()
        return message

    def _cipher(self) -> Cipher[modes.CBC]:
        return Cipher(algorithms.AES(self._key), modes.CBC(self._key[:_HEAD]))


def _foreign() -> Unauthenticated:
    return Unauthenticated("the message isn't from WeChat")


@dataclass(frozen=True)
class Account:
    """The official account: its token, its envelope, and the brand it speaks for ("": the default one)."""

    token: str
    envelope: Envelope
    brand: str = ""


def account_of(keys: Mapping[str, str], brands: Container[str]) -> Account | None:
    """The account of the key file's `wechat`, None where it is empty. Raises ValueError naming what is wrong."""
    if not keys:
        return None
    try:
        token, aes_key, app_id, brand = keys["token"], keys["aesKey"], keys["appId"], keys.get("brand", "")
        envelope = Envelope(aes_key, app_id)
    except KeyError as error:
        raise ValueError(f"PINGXI_KEYS: wechat has no {error}") from None
    except ValueError as error:
        raise ValueError(f"PINGXI_KEYS: wechat.aesKey: {error}") from None
    if brand and brand not in brands:
        raise ValueError(f"PINGXI_KEYS: wechat.brand: no brand {brand!r}")
    return Account(token, envelope, brand)


Kind = Literal["complaint", "greet", "nothing", "unknown"]


@dataclass(frozen=True)
class Note:
    """What a follower sent: `text` as a complaint says it, `facts` beside it. `key` makes it one however often it
    comes. `contact`: him, by the name WeChat gives him."""

    kind: Kind
    contact: str = ""
    key: str = ""
    text: str = ""
    facts: tuple[tuple[str, str], ...] = ()


def read_note(fields: Mapping[str, str]) -> Note | None:
    """What a message means; None where it lacks what every message has."""
    contact = openid_contact(fields.get("FromUserName", ""))
    kind = fields.get("MsgType", "")
    if contact is None or not kind:
        return None
    if kind == "event":
        return Note("greet" if fields.get("Event", "").lower() == "subscribe" else "nothing", contact)
    message_id = fields.get("MsgId", "")
    if not message_id.isascii() or not message_id.isalnum() or len(message_id) > 64:
        return None
    media = fields.get("MediaId", "")
    facts = [("wechat_msg_id", message_id)]
    if media and len(media) <= 200 and media.isascii() and media.isprintable():
        facts.append(("wechat_media_id", media))
    text = _said(kind, fields)
    if text is None:
        return Note("unknown", contact)
    return Note("complaint", contact, f"wechat/{message_id}", text, tuple(facts))


def _said(kind: str, fields: Mapping[str, str]) -> str | None:
    """In words; a picture's address is the customer's own, so it is part of the text, which travels sealed."""
    if kind == "text":
        text = fields.get("Content", "").strip()
    elif kind == "image":
        text = f"[图片] {fields.get('PicUrl', '')[:1000]}".strip()
    elif kind == "voice":
        text = fields.get("Recognition", "").strip() or "[语音]"
    else:
        return None
    return text if valid_unicode(text) and visible(text) else None


def reply_xml(fields: Mapping[str, str], text: str, now: int) -> str:
    """The passive answer to a message."""
    return write_flat(
        ToUserName=fields.get("FromUserName", ""),
        FromUserName=fields.get("ToUserName", ""),
        CreateTime=str(now),
        MsgType="text",
        Content=text,
    )


def sealed_xml(envelope: Envelope, token: str, message: str, random: bytes, timestamp: str, nonce: str) -> str:
    """An answer in encrypted mode."""
    encrypted = envelope.seal(message, random)
    signature = words_signature(token, timestamp, nonce, encrypted)
    return write_flat(Encrypt=encrypted, MsgSignature=signature, TimeStamp=timestamp, Nonce=nonce)
