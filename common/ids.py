"""Deterministic ids: the same cause gives the same id, whoever computes it and however often."""

import hashlib


def deterministic_id(kind: str, *parts: object) -> str:
    """32 hexadecimal characters from a kind and its parts; the separator can't occur inside a part's length prefix."""
    digest = hashlib.sha256(kind.encode())
    for part in parts:
        text = str(part).encode()
        digest.update(b"\x00%d:" % len(text))
        digest.update(text)
    return digest.hexdigest()[:32]
