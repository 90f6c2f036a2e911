"""The demo keys of a local installation: made once, at random, readable by their owner only."""

import base64
import json
import os
import secrets
from pathlib import Path
from typing import Any

CHANNELS = ("app", "miniprogram", "web", "hotline", "sms", "mail", "wechat")
ROLES = ("agent", "supervisor", "admin")
SECRETS = ("ticket_id", "token", "customer_ref")


def generate() -> dict[str, Any]:
    """A fresh set of keys, 256 bits each, of the shape that design/interfaces.md promises."""

    def key_bytes() -> str:
        return base64.b64encode(secrets.token_bytes(32)).decode()

    return {
        "channels": {name: secrets.token_urlsafe(32) for name in CHANNELS},
        "desk": {role: {"user": role, "password": secrets.token_urlsafe(16)} for role in ROLES},
        "service": secrets.token_urlsafe(32),
        "wechat": {
            "token": secrets.token_hex(16),
            # As WeChat's console shows it: 32 bytes in base64, without the "=" at the end.
            "aesKey": key_bytes()[:-1],
            "appId": "wx" + secrets.token_hex(8),
        },
        "seal": {"current": "k1", "keys": {"k1": key_bytes()}},
        "secrets": {name: key_bytes() for name in SECRETS},
    }


def ensure_keys(path: Path) -> bool:
    """Writes the keys unless they exist; True if it wrote. Readers see the whole file or none."""
    if path.exists():
        return False
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(json.dumps(generate(), indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    return True
