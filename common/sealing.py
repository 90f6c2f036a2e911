"""Personal data at rest and in the log: AES-256-GCM with the installation's keys."""

import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common.errors import Poison

_NONCE = 12


class Sealer:
    """Seals with the current key, opens with any known one, so that keys can rotate.

    `bind` is authenticated but not stored: what was sealed for one ticket doesn't open as another's.
    """

    def __init__(self, current: str, keys: Mapping[str, bytes]) -> None:
        if current not in keys:
            raise ValueError(f"seal key {current!r} is not among the keys")
        self.current = current
        self._keys = {key_id: AESGCM(key) for key_id, key in keys.items()}

    def seal(self, plain: bytes, bind: str) -> tuple[str, bytes]:
        """(key id, nonce + ciphertext)."""
        nonce = os.urandom(_NONCE)
        return self.current, nonce + self._keys[self.current].encrypt(nonce, plain, bind.encode())

    def open(self, key_id: str, sealed: bytes, bind: str) -> bytes:
        """The plain bytes. Raises Poison where the key is unknown or the bytes were changed."""
        key = self._keys.get(key_id)
        if key is None:
            raise Poison("unknown_seal_key", key_id)
        try:
            return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], bind.encode())
        except InvalidTag as error:
            raise Poison("seal_broken") from error
