"""What is done with staff: commands, reading, and the seed."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from common.clock import Clock
from common.errors import FieldProblem, Invalid, NotFound, StaleVersion
from rules.staff import Calendars, Person, Queue, Record, Rota, Staff
from services.router.model import ROUTER, ActorKind
from services.router.staff import Kept, Put, changed, problems_of

_ATTEMPTS = 20
_KEY_MAX = 255
_NAME_MAX = 100

R = TypeVar("R", Person, Queue, Rota)
Brands = Callable[[], Iterable[str]]


class Records(Protocol):
    """Staff at rest. Every call raises Unavailable where the database doesn't answer."""

    async def get(self, key: str) -> Kept | None:
        """One record with its latest changes."""
        ...

    async def save(self, base: int, kept: Kept) -> bool:
        """Stores a record, to be published, if it is still at version `base` (0: isn't there); whether it was."""
        ...

    async def seed(self, records: Sequence[Kept]) -> None:
        """Stores those that aren't there, once in the life of the database."""
        ...

    async def staff(self) -> Staff:
        """Everybody, removed ones too."""
        ...


class StaffDesk:
    """`wake` has the relay publish what was stored."""

    def __init__(
        self, records: Records, brands: Brands, calendars: Calendars, wake: Callable[[], None], clock: Clock
    ) -> None:
        self._records = records
        self._brands = brands
        self._calendars = calendars
        self._wake = wake
        self._clock = clock

    async def put(self, put: Put, record: R) -> R:
        """Stores the record as its next version and answers with it; a repeated command with the record as it is.

        Raises Invalid, StaleVersion, Conflict, Unavailable.
        """
        problems = [*_put_problems(put), *problems_of(record, self._brands(), self._calendars)]
        if problems:
            raise Invalid(problems)
        for _ in range(_ATTEMPTS):
            present = await self._records.get(record.key)
            after = changed(present, put, self._clock.now())
            if after is None:
                assert present is not None
                return _as(type(record), present.record)
            if await self._records.save(after.record.version - 1, after):
                self._wake()
                return _as(type(record), after.record)
        raise StaleVersion(f"{record.key} changes faster than this can follow")

    async def seed(self, records: Sequence[Record]) -> None:
        """Loads the seed, if there is one, once. Raises Invalid, Unavailable."""
        if not records:
            return
        problems = [
            FieldProblem(f"{record.key}: {problem.field}", problem.message)
            for record in records
            for problem in problems_of(record, self._brands(), self._calendars)
        ]
        if problems:
            raise Invalid(problems)
        made = [changed(None, Put(record, 0, "seed", ROUTER), self._clock.now()) for record in records]
        await self._records.seed([kept for kept in made if kept is not None])
        self._wake()

    async def listed(self, brand: str) -> tuple[list[Person], list[Queue], list[Rota]]:
        """Those of a brand ("": of all), by key; removed ones aren't among them. Raises Unavailable."""
        staff = await self._records.staff()
        return (
            sorted((p for p in staff.people.values() if _concerns(p, brand)), key=lambda each: each.key),
            sorted(
                (q for q in staff.queues.values() if brand in ("", q.brand) and not q.removed),
                key=lambda each: each.key,
            ),
            sorted((r for r in staff.rotas.values() if brand in ("", r.brand)), key=lambda each: each.key),
        )

    async def on_call(self, brand: str, rota: str, at: datetime | None) -> list[Person]:
        """Who is on shift at that instant (None: now), in the order of the shifts. Raises NotFound, Unavailable."""
        staff = await self._records.staff()
        found = staff.rota(brand, rota)
        if found is None:
            raise NotFound("there is no such rota")
        return staff.known(found.on_call(at or self._clock.now()))


def _concerns(person: Person, brand: str) -> bool:
    return person.works_for(brand) if brand else not person.removed


def _as(kind: type[R], record: Record) -> R:
    """A key names the kind of its record."""
    assert isinstance(record, kind)
    return record


def _put_problems(put: Put) -> list[FieldProblem]:
    problems = []
    if put.expected_version < 0:
        problems.append(FieldProblem("expected_version", "is negative"))
    if len(put.idempotency_key) > _KEY_MAX:
        problems.append(FieldProblem("idempotency_key", f"has more than {_KEY_MAX} characters"))
    if put.actor.kind is ActorKind.CUSTOMER:
        problems.append(FieldProblem("actor", "a customer doesn't work at the desk"))
    if len(put.actor.id) > _NAME_MAX:
        problems.append(FieldProblem("actor.id", f"has more than {_NAME_MAX} characters"))
    return problems
