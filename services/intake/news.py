"""What is new in a complaint's progress since what its customer has seen. Pure.

A place in a stream is the ticket that serves the customer and its version, written `<ticket>:<version>`; the browser
sends the last one back as Last-Event-ID. Entries that a lost connection may have cut off are told again.
"""

from dataclasses import dataclass

from services.intake.model import Progress, TimelineEntry


@dataclass(frozen=True, slots=True)
class Place:
    """Everything of `ticket_id` up to `version` has been told; -1: nothing."""

    ticket_id: str
    version: int

    def __str__(self) -> str:
        return f"{self.ticket_id}:{self.version}"


@dataclass(frozen=True, slots=True)
class News:
    """What to tell now. `reset`: what was told before belongs to a ticket that was merged into this one."""

    entries: tuple[TimelineEntry, ...]
    reset: bool
    place: Place


def place_of(text: str | None) -> Place | None:
    """The place a browser comes back with; None for none, or for what isn't one."""
    ticket_id, colon, version = (text or "")[:40].rpartition(":")
    if not colon or not ticket_id or not (version.isascii() and version.isdecimal()):
        return None
    return Place(ticket_id, int(version))


def news(progress: Progress, told: Place | None) -> News | None:
    """None where there is nothing: also where the router can't be asked and we know less than was told."""
    ticket_id = progress.served_by or progress.ticket_id
    if told is not None and (progress.version == 0 or (ticket_id, progress.version) == (told.ticket_id, told.version)):
        return None
    same = told is not None and told.ticket_id == ticket_id
    since = told.version if told is not None and same else -1
    if progress.version < since:
        return None
    entries = tuple(entry for entry in progress.timeline if entry.version > since)
    # Nothing is known yet, not even when it came in: the first entry is still to be told.
    version = -1 if progress.version == 0 and not entries else progress.version
    return News(entries, told is not None and not same, Place(ticket_id, version))
