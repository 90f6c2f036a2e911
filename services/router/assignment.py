"""Who is to own a ticket: by load and skill within its queue, among those at work. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from rules.staff import Calendars, Person, Staff, at_work
from services.router.model import Ticket

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Load:
    """What a person has: open tickets of his own, and when he was last given one by choice (None: never)."""

    open: int = 0
    last_given: datetime | None = None


_NOTHING = Load()


def choose(
    ticket: Ticket, staff: Staff, loads: Mapping[str, Load], calendars: Calendars, at: datetime
) -> Person | None:
    """The person to own the ticket; None if nobody of its queue is at work with room for one more.

    Whoever knows the ticket's category comes first, then who has more of the other skills it asks for (its further
    categories, its language); skill is preferred, not demanded, so that a ticket isn't left lying. Among equals the one
    with fewer open tickets, then the one who was given one longest ago, then the lower id.
    """
    candidates = [
        person
        for person in staff.people.values()
        if _serves(person, ticket) and at_work(person, ticket.brand, calendars, at) and _has_room(person, loads)
    ]

    def rank(person: Person) -> tuple[bool, int, int, datetime, str]:
        load = loads.get(person.id, _NOTHING)
        knows = ticket.category.value in person.skills
        others = len(_further_skills(ticket).intersection(person.skills))
        return not knows, -others, load.open, load.last_given or _LONG_AGO, person.id

    return min(candidates, key=rank, default=None)


def _serves(person: Person, ticket: Ticket) -> bool:
    return person.works_for(ticket.brand) and ticket.queue in person.queues and person.role != "auditor"


def _has_room(person: Person, loads: Mapping[str, Load]) -> bool:
    return not person.capacity or loads.get(person.id, _NOTHING).open < person.capacity


def _further_skills(ticket: Ticket) -> set[str]:
    language = {ticket.locale, ticket.locale.partition("-")[0]} - {""}
    return language | {category.value for category in ticket.secondary}
