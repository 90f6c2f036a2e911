"""The same words from the same sender again and again: two robots that answer each other, however politely.

Nothing is lost by dropping the next one: what it says is in the log several times already.
"""

from collections import OrderedDict

KEEP_SECONDS = 3600.0
MAX_SENDERS = 50_000
SAME_TEXTS = 5


class Repeats:
    """Bounded in number and age; per process. Times are seconds on a monotonic scale."""

    def __init__(
        self, most: int = SAME_TEXTS, keep_seconds: float = KEEP_SECONDS, max_known: int = MAX_SENDERS
    ) -> None:
        self._most = most
        self._keep = keep_seconds
        self._max = max_known
        self._seen: OrderedDict[str, tuple[float, set[str]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def too_often(self, words: str, mail: str, now: float) -> bool:
        """Notes that `mail` says `words` (both keyed hashes). True from the sixth mail of the same words within an hour
        of the first; the same mail again is no other one."""
        since, mails = self._seen.get(words, (now, set()))
        if now - since >= self._keep:
            since, mails = now, set()
            self._seen.pop(words, None)
        if mail not in mails and len(mails) >= self._most:
            return True
        mails.add(mail)
        self._seen[words] = (since, mails)
        while self._seen:
            first_since, _ = next(iter(self._seen.values()))
            if len(self._seen) <= self._max and now - first_since < self._keep:
                break
            self._seen.popitem(last=False)
        return False
