"""Due times in memory: one heap for each partition, rebuilt from the table when the partition arrives.

A timer is never removed early: what popped too soon is looked up in its row and put back ("cancelled lazily").
What was sent is remembered until it is judged, so that an agent that doesn't get to it shows.
"""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush


class Timers:
    """Times are microseconds since 1970, keys the ticket ids as bytes."""

    def __init__(self) -> None:
        self._heaps: dict[int, list[tuple[int, bytes]]] = {}
        # Sent and not judged, the longest first: by partition, key → due.
        self._sent: dict[int, dict[bytes, int]] = {}

    def open(self, partition: int) -> None:
        """A partition arrived: from now on its timers are kept."""
        self._heaps.setdefault(partition, [])

    def extend(self, partition: int, timers: Iterable[tuple[int, bytes]]) -> None:
        """Adds many, beside those that were added since the partition was opened."""
        heap = self._heaps.get(partition)
        if heap is not None:
            heap.extend(timers)
            heapify(heap)

    def add(self, partition: int, due_us: int, key: bytes) -> None:
        """Adds a timer to a partition that is here; elsewhere the owner has it."""
        heap = self._heaps.get(partition)
        if heap is not None:
            heappush(heap, (due_us, key))

    def drop(self, partition: int) -> None:
        """Forgets a partition that went to another worker."""
        self._heaps.pop(partition, None)
        self._sent.pop(partition, None)

    def sent(self, partition: int, key: bytes, due_us: int) -> None:
        """A timer is on its way to be judged; one that is sent again has waited since the first time."""
        if partition in self._heaps:
            self._sent.setdefault(partition, {}).setdefault(key, due_us)

    def judged(self, partition: int, key: bytes) -> None:
        """It is on its way no more."""
        self._sent.get(partition, {}).pop(key, None)

    def pop_due(self, partition: int, now_us: int, most: int) -> list[tuple[int, bytes]]:
        """Takes up to `most` timers that are due, earliest first."""
        heap = self._heaps.get(partition)
        due: list[tuple[int, bytes]] = []
        while heap and heap[0][0] <= now_us and len(due) < most:
            due.append(heappop(heap))
        return due

    def earliest(self) -> int | None:
        """The earliest due time of all that isn't judged, also of what was sent (of each partition the first sent)."""
        sent = [next(iter(keys.values())) for keys in self._sent.values() if keys]
        return min([*sent, *(heap[0][0] for heap in self._heaps.values() if heap)], default=None)

    def sizes(self) -> dict[int, int]:
        """How many timers wait, by partition."""
        return {partition: len(heap) for partition, heap in self._heaps.items()}
