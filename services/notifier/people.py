"""Who the words of a level or notice are, at the instant it fires. Pure.

The chain is frozen when it starts, the people aren't (sla.md). A word that means nobody we know stays the recipient
itself ("role:supervisor"), so that nothing is silent.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from rules.staff import Calendars, Person, Staff, present_or_all

NOBODY = Staff()


@dataclass(frozen=True)
class Place:
    """Where a ticket is. `joint_queues` None: the event doesn't say, the queue's own are meant."""

    brand: str
    queue: str
    assignee: str = ""
    joint_queues: tuple[str, ...] | None = None


def resolve(notify: Iterable[str], place: Place, staff: Staff, calendars: Calendars, at: datetime) -> tuple[str, ...]:
    """The recipients in order, each once however many words mean him: "person:<id>" for people that are known.

    `role:<role>`: those of the brand who are at work, or all of them if none is. `queue_lead`: the leads of the queue
    and its joint queues, in the same way. `oncall:<rota>`: who is on shift. `assignee`: the owner; where there is none,
    nobody.
    """
    found: list[str] = []
    for word in notify:
        kind, _, name = word.partition(":")
        if kind == "assignee":
            found += _one(place.assignee, staff) if place.assignee else []
        elif kind == "agent":
            found += _one(name, staff)
        elif kind == "queue_lead":
            for queue in _queues(place, staff):
                found += leads(queue, place.brand, staff, calendars, at)
        elif kind == "role":
            people = [p for p in staff.people.values() if p.works_for(place.brand) and p.role == name]
            people.sort(key=lambda person: person.id)
            found += _words(present_or_all(people, place.brand, calendars, at)) or [word]
        elif kind == "oncall":
            found += _words(_on_call(place.brand, name, staff, at)) or [word]
        else:
            found.append(word)
    return tuple(dict.fromkeys(found))


def leads(queue: str, brand: str, staff: Staff, calendars: Calendars, at: datetime) -> list[str]:
    """The leads of one queue as recipients; "queue_lead:<queue>" where none is known."""
    known = staff.queue(brand, queue)
    people = staff.known(known.leads) if known else []
    return _words(present_or_all(people, brand, calendars, at)) or [f"queue_lead:{queue}"]


def _queues(place: Place, staff: Staff) -> tuple[str, ...]:
    if not place.queue:
        return ()
    if place.joint_queues is not None:
        return (place.queue, *place.joint_queues)
    own = staff.queue(place.brand, place.queue)
    return (place.queue, *(own.joint_with if own else ()))


def _on_call(brand: str, rota: str, staff: Staff, at: datetime) -> list[Person]:
    """A shift counts whatever the working hours; somebody away only where nobody else is on the shift."""
    found = staff.rota(brand, rota)
    people = staff.known(found.on_call(at)) if found else []
    return [person for person in people if not person.away] or people


def _one(person_id: str, staff: Staff) -> list[str]:
    return [f"person:{person_id}" if staff.person(person_id) else f"agent:{person_id}"]


def _words(people: Iterable[Person]) -> list[str]:
    return [f"person:{person.id}" for person in people]
