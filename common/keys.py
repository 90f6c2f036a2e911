"""The installation's keys: one JSON file, named by PINGXI_KEYS, readable by the services only."""

import base64
import hmac
import json
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
