"""Who works on tickets, and who is there at an instant: shared by router (assignment) and notifier (who is told)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rules.calendar import open_at
from rules.model import Calendar, PolicySet

ROLES = ("agent", "supervisor", "admin", "auditor")

# The calendar of a brand by its name; None where the brand has none of that name.
Calendars = Callable[[str, str], Calendar | None]


def calendars_of(policies: Callable[[str], PolicySet | None]) -> Calendars:
    """The calendars of a brand's policies, as they are at the moment of asking."""

    def calendar(brand: str, name: str) -> Calendar | None:
        found = policies(brand)
        return None if found is None else found.calendars.get(name)

    return calendar


@dataclass(frozen=True)
class Person:
    """Somebody who works on tickets. No `brands`: all of them. No `working_hours`: round the clock.

    `skills` are categories ("food_safety") and languages ("en"). `capacity` is how many open tickets are given to him
    at most; 0: no limit. A removed person stays as a tombstone.
    """

    id: str
    name: str = ""
    brands: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    role: str = "agent"
    working_hours: str = ""
    away: bool = False
    capacity: int = 0
    version: int = 0
    removed: bool = False

    @property
    def key(self) -> str:
        """The key on staff.v1."""
        return f"person/{self.id}"

    def works_for(self, brand: str) -> bool:
        """Whether the brand's tickets concern him."""
        return not self.removed and (not self.brands or brand in self.brands)


@dataclass(frozen=True)
class Queue:
    """A queue of a brand: who leads it, which queues it works with jointly, and whether its tickets find their owner by
    themselves."""

    brand: str
    name: str
    title: str = ""
    leads: tuple[str, ...] = ()
    joint_with: tuple[str, ...] = ()
    version: int = 0
    removed: bool = False
    auto_assign: bool = False

    @property
    def key(self) -> str:
        """The key on staff.v1."""
        return f"queue/{self.brand}/{self.name}"


@dataclass(frozen=True)
class Shift:
    """A person is on call from `start` to just before `end`."""

    person_id: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Rota:
    """Who is on call when. Shifts may overlap (two on call) and leave gaps (nobody is)."""

    brand: str
    name: str
    shifts: tuple[Shift, ...] = ()
    version: int = 0

    @property
    def key(self) -> str:
        """The key on staff.v1."""
        return f"rota/{self.brand}/{self.name}"

    def on_call(self, at: datetime) -> tuple[str, ...]:
        """The ids of those on shift, each once, in the order of the shifts."""
        return tuple(dict.fromkeys(shift.person_id for shift in self.shifts if shift.start <= at < shift.end))


Record = Person | Queue | Rota


@dataclass(frozen=True)
class Staff:
    """Everybody, as far as it is known, by key of staff.v1."""

    people: Mapping[str, Person] = field(default_factory=dict)
    queues: Mapping[str, Queue] = field(default_factory=dict)
    rotas: Mapping[str, Rota] = field(default_factory=dict)

    def person(self, person_id: str) -> Person | None:
        """None for an unknown person and for one who has been removed."""
        found = self.people.get(f"person/{person_id}")
        return None if found is None or found.removed else found

    def queue(self, brand: str, name: str) -> Queue | None:
        """None for an unknown or removed queue."""
        found = self.queues.get(f"queue/{brand}/{name}")
        return None if found is None or found.removed else found

    def rota(self, brand: str, name: str) -> Rota | None:
        """None for an unknown one."""
        return self.rotas.get(f"rota/{brand}/{name}")

    def known(self, person_ids: Iterable[str]) -> list[Person]:
        """Those that exist, in the same order."""
        return [person for person_id in person_ids if (person := self.person(person_id)) is not None]


def staff_of(records: Iterable[Record]) -> Staff:
    """The records by their keys; of one key the highest version counts."""
    people: dict[str, Person] = {}
    queues: dict[str, Queue] = {}
    rotas: dict[str, Rota] = {}
    for record in sorted(records, key=lambda each: each.version):
        match record:
            case Person():
                people[record.key] = record
            case Queue():
                queues[record.key] = record
            case Rota():
                rotas[record.key] = record
    return Staff(people, queues, rotas)


def at_work(person: Person, brand: str, calendars: Calendars, at: datetime) -> bool:
    """Whether he works at that instant: neither removed nor away, and within his working hours.

    They are those of the first of his brands that has a calendar of that name, `brand` first. Hours that nobody knows
    (any more) count as round the clock: a renamed calendar must not make people unreachable.
    """
    if person.removed or person.away:
        return False
    if not person.working_hours:
        return True
    for each in (brand, *person.brands):
        calendar = calendars(each, person.working_hours)
        if calendar is not None:
            return open_at(calendar, at)
    return True


def present_or_all(people: Iterable[Person], brand: str, calendars: Calendars, at: datetime) -> list[Person]:
    """Those who are at work; everybody if nobody is: a broken promise is told at three in the morning too."""
    everybody = list(people)
    return [person for person in everybody if at_work(person, brand, calendars, at)] or everybody
