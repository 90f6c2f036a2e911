"""The installation's keys: one JSON file, named by PINGXI_KEYS, readable by the services only.

    python -m common.keys add FILE           adds a key for sealing, which opens but isn't used yet
    python -m common.keys use FILE KEY       makes it the current one; the others stay
    python -m common.keys rotate FILE        both at once

Services read the file at their start. Older keys open what they sealed until `python -m services.router reseal` has
sealed it anew (docs/operations.md, "Keys").
"""

import base64
import hmac
import json
import os
import re
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.sealing import Sealer


@dataclass(frozen=True)
class Keys:
    """`channels`: channel name → bearer key. `service`: the bearer token between services."""

    channels: dict[str, str]
    service: str
    desk: dict[str, dict[str, str]]
    seal_current: str
    seal_keys: dict[str, bytes]
    secrets: dict[str, bytes]
    # The official account: token, aesKey, appId, and brand where it isn't the default one. Empty: there is none.
    wechat: dict[str, str] = field(default_factory=dict)

    def sealer(self) -> Sealer:
        """A sealer with these keys."""
        return Sealer(self.seal_current, self.seal_keys)

    def channel_of(self, bearer: str) -> str | None:
        """The channel a bearer key belongs to; compares in constant time."""
        found = None
        for channel, key in self.channels.items():
            if hmac.compare_digest(key.encode(), bearer.encode()):
                found = channel
        return found

    def is_service(self, bearer: str) -> bool:
        """Whether the bearer is another service of this installation."""
        return hmac.compare_digest(self.service.encode(), bearer.encode())


def load_keys(path: Path) -> Keys:
    """Reads the key file. Raises ValueError with a sentence naming the file and what is missing."""
    try:
        raw: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"PINGXI_KEYS: {path} can't be read as JSON: {error}") from error
    try:
        return Keys(
            channels=dict(raw["channels"]),
            service=raw["service"],
            desk=dict(raw.get("desk", {})),
            seal_current=raw["seal"]["current"],
            seal_keys={k: base64.b64decode(v) for k, v in raw["seal"]["keys"].items()},
            secrets={k: base64.b64decode(v) for k, v in raw["secrets"].items()},
            wechat=dict(raw.get("wechat", {})),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"PINGXI_KEYS: {path} has no {error}") from error


def add_key(path: Path) -> str:
    """Adds a sealing key that can open, and isn't used to seal yet; its id. Raises ValueError as `load_keys`."""
    raw = _raw(path)
    numbers = [int(found[1]) for name in raw["seal"]["keys"] if (found := re.fullmatch(r"k([0-9]{1,9})", name))]
    key_id = f"k{max(numbers, default=0) + 1}"
    raw["seal"]["keys"][key_id] = base64.b64encode(secrets.token_bytes(32)).decode()
    _write(path, raw)
    return key_id


def use_key(path: Path, key_id: str) -> None:
    """Makes a key of the file the current one. Raises ValueError as `load_keys`, and for a key that isn't there."""
    raw = _raw(path)
    if key_id not in raw["seal"]["keys"]:
        raise ValueError(f"{path} has no sealing key {key_id!r}")
    raw["seal"]["current"] = key_id
    _write(path, raw)


def rotate(path: Path) -> str:
    """Adds a sealing key and makes it the current one; its id. Raises ValueError as `load_keys`."""
    key_id = add_key(path)
    use_key(path, key_id)
    return key_id


def _raw(path: Path) -> dict[str, Any]:
    load_keys(path)
    raw: dict[str, Any] = json.loads(path.read_text())
    return raw


def _write(path: Path, raw: dict[str, Any]) -> None:
    """Readers see the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(json.dumps(raw, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def main(arguments: Sequence[str]) -> int:
    """0: done; 1: the file can't be used; 2: not understood."""
    try:
        match list(arguments):
            case ["add", path]:
                said = f"{add_key(Path(path))} can be opened by every service that is started from now on"
            case ["use", path, key_id]:
                use_key(Path(path), key_id)
                said = f"{key_id} is the current key of every service that is started from now on"
            case ["rotate", path]:
                said = f"{rotate(Path(path))} is the current key of every service that is started from now on"
            case _:
                sys.stderr.write("usage: python -m common.keys (add FILE | use FILE KEY | rotate FILE)\n")
                return 2
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(said + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
