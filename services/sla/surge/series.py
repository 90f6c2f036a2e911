"""Counts of one series in buckets of event time: a ring over the longest window and the lateness that is allowed."""

from dataclasses import dataclass, field

from services.sla.surge.baseline import Level
from services.sla.surge.model import Dimension


@dataclass
class Series:
    """`head`: the newest bucket the ring holds; `ring[-1]` is its count. `hour`, `in_hour`: what is being summed up for
    the level from buckets that have left the ring."""

    head: int
    ring: list[int]
    # Whose habits it has: (dimension, value).
    kin: tuple[Dimension, str]
    level: Level = field(default_factory=Level)
    total: int = 0
    hour: int = 0
    in_hour: int = 0

    def count(self, newest: int, buckets: int) -> int:
        """Complaints in the `buckets` buckets up to `newest` (at or after `head`)."""
        size = len(self.ring)
        behind = newest - self.head
        if behind >= buckets or not self.total:
            return 0
        end = size
        return sum(self.ring[end - (buckets - behind) : end])

    def add(self, bucket: int, count: int = 1) -> None:
        """Counts in a bucket that the ring reaches."""
        self.ring[len(self.ring) - 1 - (self.head - bucket)] += count
        self.total += count

    def advance(self, head: int) -> list[tuple[int, int]]:
        """Moves the ring on; returns (bucket, count) of what fell out of it, without zeros."""
        steps = head - self.head
        if steps <= 0:
            return []
        size = len(self.ring)
        first = self.head - size + 1
        gone = min(steps, size)
        fell = [(first + place, count) for place, count in enumerate(self.ring[:gone]) if count]
        self.ring = self.ring[gone:] + [0] * gone
        self.total -= sum(count for _, count in fell)
        self.head = head
        return fell
