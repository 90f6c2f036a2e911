"""What the watchdog's core needs from outside."""

from typing import Protocol

from rules.model import Calendar


class Calendars(Protocol):
    """Every calendar of every policy version that was ever used, by content hash."""

    def calendar(self, calendar_hash: str) -> Calendar | None:
        """None where no version with it is known yet."""
        ...
