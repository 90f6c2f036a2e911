"""How much one customer, one sender and one channel may send, counted in the memory of this process.

The rules are those of the library `limits` (a fixed window from the first request on). Its own memory storage walks
through all counters a hundred times a second, which with a counter for each customer costs more than the complaints:
so the counters are ours.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from limits import RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from common.clock import Clock
from common.errors import RateLimited
from services.intake.policy import SYSTEM

MAX_COUNTERS = 200_000


class Counters(Storage):
    """Counters that end, for windows of one length: bounded in number, the oldest go first."""

    STORAGE_SCHEME = ["pingxi-memory"]

    def __init__(self, clock: Clock, max_counters: int = MAX_COUNTERS) -> None:
        super().__init__()
        self._clock = clock
        self._max = max_counters
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        now = self._clock.monotonic()
        count, until = self._counts.get(key, (0, 0.0))
        if until <= now:
            self._counts.pop(key, None)
            count, until = 0, now + expiry
        self._counts[key] = (count + amount, until)
        while self._counts:
            oldest = next(iter(self._counts.values()))
            if len(self._counts) <= self._max and oldest[1] > now:
                break
            self._counts.popitem(last=False)
        return count + amount

    def get(self, key: str) -> int:
        count, until = self._counts.get(key, (0, 0.0))
        return count if until > self._clock.monotonic() else 0

    def get_expiry(self, key: str) -> float:
        """On the scale of the clock's `monotonic`."""
        return self._counts.get(key, (0, self._clock.monotonic()))[1]

    def check(self) -> bool:
        return True

    def reset(self) -> int | None:
        count = len(self._counts)
        self._counts.clear()
        return count

    def clear(self, key: str) -> None:
        self._counts.pop(key, None)

    def __len__(self) -> int:
        return len(self._counts)


class RateLimits:
    """Keeps `services.intake.ports.Limits`. A limit of 0 is none."""

    def __init__(self, clock: Clock, customer_per_minute: int, channel_per_minute: int) -> None:
        self._clock = clock
        self._counters = Counters(clock)
        self._limiter = FixedWindowRateLimiter(self._counters)
        self._customer = _a_minute(customer_per_minute, "customer")
        self._channel = _a_minute(channel_per_minute, "channel")

    def customer(self, identity: str) -> None:
        """Counts one for a customer or sender; `identity` isn't readable. Raises RateLimited."""
        self._count(self._customer, identity)

    def channel(self, name: str) -> None:
        """Counts one call of a channel. Raises RateLimited."""
        self._count(self._channel, name)

    def counted(self, authenticate: Callable[[str], str | None]) -> Callable[[str], str | None]:
        """`authenticate`, counting each call of a channel. It raises RateLimited."""

        def authenticate_and_count(bearer: str) -> str | None:
            name = authenticate(bearer)
            if name and name != SYSTEM:
                self.channel(name)
            return name

        return authenticate_and_count

    def _count(self, item: RateLimitItemPerMinute | None, identity: str) -> None:
        if item is not None and not self._limiter.hit(item, identity):
            left: Any = self._counters.get_expiry(item.key_for(identity)) - self._clock.monotonic()
            raise RateLimited("too many requests within a minute", left)


def _a_minute(most: int, namespace: str) -> RateLimitItemPerMinute | None:
    return RateLimitItemPerMinute(most, namespace=namespace) if most else None
