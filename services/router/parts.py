"""A long text comes in parts, in any order; the customer wrote one. Pure.

All parts carry the same ticket number, so they are in one partition. They are kept until all are there or the time is
up, then the ticket is opened with what there is; what comes later is a message to it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from common.ids import deterministic_id
from services.router.commands import Cause, ReceiveMessage, Submitted, Told
from services.router.model import Actor, ActorKind, Complaint, Personal, Sealed

_CUSTOMER = Actor(ActorKind.CUSTOMER)
_MISSING = "…"


@dataclass(frozen=True)
class Part:
    """One part: its place, from 1, of how many, and the gateway's id of it."""

    place: int
    of: int
    message_id: str


@dataclass(frozen=True)
class Parts:
    """What has come of a text. `messages`: the gateway's id of each place; `texts`: sealed, gone once the ticket is
    stored. `opened`: the places its ticket was opened with, none while it waits. `complaint`: the first part's."""

    ticket_id: str
    of: int
    messages: Mapping[int, str]
    texts: Mapping[int, Sealed]
    opened: tuple[int, ...]
    complaint: Complaint | None

    @property
    def complete(self) -> bool:
        """Whether all are there."""
        return len(self.texts) == self.of

    @property
    def settled(self) -> bool:
        """Whether its ticket is stored."""
        return self.complaint is None


def part_of(complaint: Complaint) -> Part | None:
    """Which part a complaint is; None for a whole one."""
    facts = complaint.channel_facts
    place, of = facts.get("part", ""), facts.get("parts", "")
    if not (place.isdecimal() and of.isdecimal() and 1 <= int(place) <= int(of)):
        return None
    return Part(int(place), int(of), facts.get("sms_message_id", ""))


def whole(
    parts: Parts, opened: Callable[[str, Sealed], Personal], sealed: Callable[[str, Personal], Sealed]
) -> Submitted:
    """The complaint of the parts a ticket is opened with, a missing one marked. The same whenever it is computed."""
    assert parts.complaint is not None
    pieces = {place: opened(parts.ticket_id, parts.texts[place]) for place in parts.opened}
    text = "".join(pieces[place].text if place in pieces else _MISSING for place in range(1, parts.of + 1))
    first = pieces[parts.opened[0]]
    facts = {name: value for name, value in parts.complaint.channel_facts.items() if name != "part"}
    complaint = replace(
        parts.complaint,
        personal=sealed(parts.ticket_id, replace(first, text=text)),
        fingerprint=deterministic_id("parts", parts.ticket_id),
        channel_facts=facts,
    )
    return Submitted(complaint)


def late(complaint: Complaint, part: Part, content: Sealed, trace: str | None) -> Told:
    """A part that came after its ticket was opened, as a message to that."""
    cause = f"part:{part.message_id or part.place}"
    message_id = deterministic_id("part", complaint.ticket_id, cause)
    command = ReceiveMessage(message_id, complaint.channel, content)
    return Told(complaint.ticket_id, command, Cause(cause, complaint.acknowledged_at, _CUSTOMER, trace=trace))
