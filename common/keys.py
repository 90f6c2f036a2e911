"""The installation's keys: one JSON file, named by PINGXI_KEYS, readable by the services only.

    python -m common.keys rotate FILE        adds a key for sealing and makes it the current one; the old ones stay

Services read the file at their start. The older keys open what they sealed until `python -m services.router reseal` has
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
from dataclasses import dataclass
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
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"PINGXI_KEYS: {path} has no {error}") from error


def rotate(path: Path) -> str:
    """Adds a sealing key and makes it the current one; its id. Readers see the old file or the new one.

    Raises ValueError as `load_keys`.
    """
    load_keys(path)
    raw: dict[str, Any] = json.loads(path.read_text())
    numbers = [int(found[1]) for name in raw["seal"]["keys"] if (found := re.fullmatch(r"k([0-9]{1,9})", name))]
    key_id = f"k{max(numbers, default=0) + 1}"
    raw["seal"]["keys"][key_id] = base64.b64encode(secrets.token_bytes(32)).decode()
    raw["seal"]["current"] = key_id
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(json.dumps(raw, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    return key_id


def main(arguments: Sequence[str]) -> int:
    """0: done; 1: the file can't be used; 2: not understood."""
    if len(arguments) != 2 or arguments[0] != "rotate":
        sys.stderr.write("usage: python -m common.keys rotate FILE\n")
        return 2
    try:
        sys.stdout.write(f"{rotate(Path(arguments[1]))} is the current key; restart the services, all of them\n")
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
