"""A story: steps that must be seen of one complaint, each told when it is seen and not before. Pure."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from deploy.demo.sighting import HTTP, Sighting


@dataclass(frozen=True)
class Step:
    """One thing to be seen. `see` gives the sentence to tell if a sighting of that place and kind is it, else None."""

    name: str
    place: str
    kind: str
    see: Callable[["Story", Sighting], str | None]


@dataclass(frozen=True)
class Seen:
    """A step that was seen, `after` seconds from the acknowledgement of the complaint."""

    step: Step
    after: float
    sentence: str


@dataclass
class Story:
    """Follows one complaint; `label` is A, B …"""

    label: str
    title: str
    steps: Sequence[Step]
    ticket: str = ""
    token: str = ""
    acknowledged_at: datetime | None = None
    first_response_by: datetime | None = None
    seen: dict[str, Seen] = field(default_factory=dict)
    # Different sightings of each (place, kind), and of each (outbox event, recipient).
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    messages: Counter[tuple[str, str]] = field(default_factory=Counter)
    facts: dict[str, str] = field(default_factory=dict)
    # Of an incident: orders that compensation was asked for, by incident; vouchers by order; the orders it ended with.
    asked: dict[str, set[str]] = field(default_factory=dict)
    paid: dict[str, set[str]] = field(default_factory=dict)
    affected: tuple[str, ...] = ()
    _ids: set[tuple[str, str]] = field(default_factory=set)

    def accept(self, ticket: str, token: str, acknowledged_at: datetime, first_response_by: datetime) -> None:
        """From now on the story knows which ticket it is about, and what was promised."""
        self.ticket, self.token = ticket, token
        self.acknowledged_at, self.first_response_by = acknowledged_at, first_response_by

    def observe(self, sighting: Sighting) -> list[Seen]:
        """The steps seen by this sighting, usually none or one. Sightings of other tickets are ignored."""
        if sighting.ticket != self.ticket or self.acknowledged_at is None:
            return []
        if (sighting.place, sighting.id) not in self._ids:
            self._ids.add((sighting.place, sighting.id))
            self.counts[sighting.place, sighting.kind] += 1
        found = []
        for step in self.steps:
            if step.name in self.seen or (step.place, step.kind) != (sighting.place, sighting.kind):
                continue
            sentence = step.see(self, sighting)
            if sentence is not None:
                after = (sighting.at - self.acknowledged_at).total_seconds()
                self.seen[step.name] = Seen(step, after, sentence)
                found.append(self.seen[step.name])
        return found

    def has(self, *names: str) -> bool:
        """Whether all these steps were seen."""
        return all(name in self.seen for name in names)

    @property
    def missing(self) -> list[str]:
        """Names of the steps that weren't seen, in order."""
        return [step.name for step in self.steps if step.name not in self.seen]


class Stories:
    """Hands each sighting to the story it belongs to, whatever order they come in.

    A topic may show a ticket before the answer with its number has arrived: such sightings wait for it.
    """

    def __init__(self, stories: Sequence[Story]) -> None:
        self._stories = stories
        self._early: dict[str, list[Sighting]] = {}

    def observe(self, sighting: Sighting) -> list[tuple[Story, Seen]]:
        """What is to be told now."""
        told = [(story, seen) for story in self._stories for seen in story.observe(sighting)]
        if any(not story.ticket for story in self._stories):
            self._early.setdefault(sighting.ticket, []).append(sighting)
        if sighting.place == HTTP and sighting.kind == "accepted":
            for early in self._early.pop(sighting.ticket, []):
                told += [(story, seen) for story in self._stories for seen in story.observe(early)]
        return told
