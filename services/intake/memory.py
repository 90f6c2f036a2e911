"""The idempotency keys of the last 24 hours, in the memory of one instance.

It spares the log a repeat and refuses another body under a key; what it forgets, or what another instance took, is
still harmless: the id is the same and the router refuses a second record that differs (mechanisms.md).
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

R = TypeVar("R")

KEEP_SECONDS = 24 * 3600.0
MAX_KEYS = 200_000


@dataclass(frozen=True, slots=True)
class Seen(Generic[R]):
    """What was sent under a key, first at `tried_at`. Without a receipt its fate is unknown: another body is a conflict
    all the same, and a repeat says the same as the first try, which may be in the log by now."""

    fingerprint: str
    tried_at: datetime
    receipt: R | None
    until: float


class RecentKeys(Generic[R]):
    """By the id a key gives; bounded in number and age, the oldest goes first. Times are monotonic seconds."""

    def __init__(self, max_keys: int = MAX_KEYS, keep_seconds: float = KEEP_SECONDS) -> None:
        self._max = max_keys
        self._keep = keep_seconds
        self._seen: OrderedDict[str, Seen[R]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def get(self, made_id: str, now: float) -> Seen[R] | None:
        """What is remembered of the id."""
        seen = self._seen.get(made_id)
        return seen if seen is not None and seen.until > now else None

    def put(self, made_id: str, fingerprint: str, tried_at: datetime, receipt: R | None, now: float) -> None:
        """Remembers, and forgets what is over age or number."""
        self._seen[made_id] = Seen(fingerprint, tried_at, receipt, now + self._keep)
        self._seen.move_to_end(made_id)
        while self._seen:
            oldest = next(iter(self._seen.values()))
            if len(self._seen) <= self._max and oldest.until > now:
                break
            self._seen.popitem(last=False)
