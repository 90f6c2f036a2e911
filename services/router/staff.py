"""People, queues and rotas as the router keeps them: what is a valid one, and what a change makes of it. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from common.errors import Conflict, FieldProblem, StaleVersion
from common.ids import deterministic_id
from rules.staff import ROLES, Calendars, Person, Queue, Record, Rota
from services.router.model import Actor

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_TEXT_MAX = 100
_CAPACITY_MAX = 100_000
_LIST_MAX = 1000
# So many changes of a record are kept: its history, and how a repeated command is known.
_CHANGES_KEPT = 50


@dataclass(frozen=True)
class Put:
    """A command: how a record is to be. `expected_version` 0: whatever it is. Without a key a repeat isn't known."""

    record: Record
    expected_version: int
    idempotency_key: str
    actor: Actor


@dataclass(frozen=True)
class Change:
    """Who made which version when. `content` is a digest, to notice the reuse of a key."""

    version: int
    at: datetime
    actor: Actor
    key: str
    content: str


@dataclass(frozen=True)
class Kept:
    """A record with its latest changes."""

    record: Record
    changes: tuple[Change, ...]


def changed(present: Kept | None, put: Put, at: datetime) -> Kept | None:
    """The record after the command, its version grown by one; None where the command was carried out already.

    Raises Conflict: the key was used for something else. StaleVersion: it isn't at the expected version.
    """
    content = deterministic_id("staff", replace(put.record, version=0))
    version = present.record.version if present else 0
    before = present.changes if present else ()
    if put.idempotency_key:
        known = next((change for change in before if change.key == put.idempotency_key), None)
        if known is not None:
            if known.content != content:
                raise Conflict("this idempotency key was used for something else")
            return None
    if put.expected_version not in (0, version):
        raise StaleVersion(f"{put.record.key} is at version {version}, not {put.expected_version}")
    change = Change(version + 1, at, put.actor, put.idempotency_key, content)
    return Kept(replace(put.record, version=version + 1), (*before, change)[-_CHANGES_KEPT:])


def problems_of(record: Record, brands: Iterable[str], calendars: Calendars) -> list[FieldProblem]:
    """Everything that is wrong with a record, with its fields as the caller named them ("person.role")."""
    match record:
        case Person():
            return list(_person_problems(record, set(brands), calendars))
        case Queue():
            return list(_queue_problems(record, set(brands)))
        case Rota():
            return list(_rota_problems(record, set(brands)))


def _person_problems(person: Person, brands: set[str], calendars: Calendars) -> Iterator[FieldProblem]:
    yield from _ids("person.id", [person.id])
    yield from _long("person.name", person.name)
    yield from _brands("person.brands", person.brands, brands)
    yield from _names("person.queues", person.queues)
    yield from _ids("person.skills", person.skills)
    if person.role not in ROLES:
        yield FieldProblem("person.role", "expected one of " + ", ".join(ROLES))
    if not 0 <= person.capacity <= _CAPACITY_MAX:
        yield FieldProblem("person.capacity", f"expected 0 (no limit) to {_CAPACITY_MAX}")
    hours, own = person.working_hours, person.brands or sorted(brands)
    if hours and not person.removed and not any(calendars(brand, hours) for brand in own):
        yield FieldProblem("person.working_hours", "isn't a calendar of his brands")


def _queue_problems(queue: Queue, brands: set[str]) -> Iterator[FieldProblem]:
    yield from _brands("queue.brand", [queue.brand], brands)
    yield from _names("queue.name", [queue.name])
    yield from _long("queue.title", queue.title)
    yield from _ids("queue.leads", queue.leads)
    yield from _names("queue.joint_with", queue.joint_with)
    if queue.name in queue.joint_with:
        yield FieldProblem("queue.joint_with", "names the queue itself")


def _rota_problems(rota: Rota, brands: set[str]) -> Iterator[FieldProblem]:
    yield from _brands("rota.brand", [rota.brand], brands)
    yield from _names("rota.name", [rota.name])
    if len(rota.shifts) > _LIST_MAX:
        yield FieldProblem("rota.shifts", f"at most {_LIST_MAX}")
    for index, shift in enumerate(rota.shifts):
        yield from _ids(f"rota.shifts[{index}].person_id", [shift.person_id])
        if shift.end <= shift.start:
            yield FieldProblem(f"rota.shifts[{index}].end", "isn't after its start")


def _ids(field: str, values: Iterable[str]) -> Iterator[FieldProblem]:
    if not all(_ID.fullmatch(value) for value in values):
        yield FieldProblem(field, "expected up to 64 letters, digits, . _ @ -")


def _names(field: str, values: Iterable[str]) -> Iterator[FieldProblem]:
    if not all(_NAME.fullmatch(value) for value in values):
        yield FieldProblem(field, "expected names of up to 64 small letters, digits, _ and -, such as quality_control")


def _brands(field: str, values: Iterable[str], known: set[str]) -> Iterator[FieldProblem]:
    if not known.issuperset(values):
        yield FieldProblem(field, "expected one of " + ", ".join(sorted(known)))


def _long(field: str, text: str) -> Iterator[FieldProblem]:
    if len(text) > _TEXT_MAX:
        yield FieldProblem(field, f"has more than {_TEXT_MAX} characters")
