"""The checks of clocks: breaches and escalations against what was promised, announced and met. Pure.

Deadlines are not computed here: they are what the customer was told (the first record in the log) and what the watchdog
announced, so that an error of the product's arithmetic can't hide in the checker.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import TypeVar

from chaos.observation import (
    Armed,
    Breached,
    ChainClosed,
    Changed,
    Complained,
    CourseSeen,
    Escalated,
    Met,
    Observation,
    Record,
)

FIRST_RESPONSE, RESOLUTION = "first_response", "resolution"
Found = Iterator[tuple[str, str]]
# A clock: ticket, metric, instance.
Name = tuple[str, str, int]
R = TypeVar("R", bound=Record)


def _ordered(seen: Observation, kind: type[R]) -> list[R]:
    found = [record for record in seen.records if isinstance(record, kind)]
    return sorted(found, key=lambda r: (r.partition, r.offset))


def breaches(seen: Observation) -> list[Breached]:
    """Each once, as it was first published."""
    found: dict[str, Breached] = {}
    for record in _ordered(seen, Breached):
        found.setdefault(record.id, record)
    return list(found.values())


def escalations(seen: Observation) -> list[Escalated]:
    """Each once."""
    return list({record.id: record for record in _ordered(seen, Escalated)}.values())


def retracted(seen: Observation) -> set[str]:
    """Ids of the breaches that were taken back."""
    by_answer = {record.retracts for record in _ordered(seen, Met) if record.retracts}
    return by_answer | {r.escalation_id for r in _ordered(seen, ChainClosed) if r.why == "retracted"}


def promised(seen: Observation) -> dict[str, Complained]:
    """The first record of each ticket: its promise is the one that counts."""
    found: dict[str, Complained] = {}
    for record in _ordered(seen, Complained):
        found.setdefault(record.ticket, record)
    return found


def courses(seen: Observation) -> dict[Name, CourseSeen]:
    """Every clock as the ticket's last version has it."""
    found: dict[Name, CourseSeen] = {}
    for record in sorted(_ordered(seen, Changed), key=lambda r: r.version):
        found |= {(record.ticket, course.metric, course.instance): course for course in record.courses}
    return found


def announced(seen: Observation) -> dict[Name, list[Armed]]:
    """The deadlines of each clock in the order they were announced."""
    found: dict[Name, list[Armed]] = defaultdict(list)
    known: set[str] = set()
    for record in _ordered(seen, Armed):
        # A repeat says again what may have changed since.
        if record.id not in known:
            known.add(record.id)
            found[record.ticket, record.metric, record.instance].append(record)
    return found


def _told(record: Complained) -> dict[str, datetime | None]:
    return {FIRST_RESPONSE: record.first_response_by, RESOLUTION: record.resolve_by}


def _deadlines(seen: Observation) -> dict[Name, datetime]:
    """The deadline that counts for each clock: the last announced; of the first answer never after the promise."""
    found: dict[Name, datetime] = {}
    dues = announced(seen)
    for name, said in dues.items():
        if (last := said[-1].due_at) is not None:
            found[name] = last
    for ticket, record in promised(seen).items():
        for metric, told in _told(record).items():
            name = (ticket, metric, 1)
            if told is not None and (name not in dues or metric == FIRST_RESPONSE):
                found[name] = min(told, found.get(name, told))
    return found


def breach_missing(seen: Observation) -> Found:
    """3. Every deadline that passed unmet has its breach."""
    broken = {(b.ticket, b.metric, b.instance) for b in breaches(seen)}
    known = courses(seen)
    for name, due in _deadlines(seen).items():
        course = known.get(name)
        if due >= seen.settled_at or name in broken:
            continue
        if course is not None and (course.over or course.paused or (course.met_at and course.met_at < due)):
            continue
        yield name[0], f"{name[1]} {name[2]} was due at {due.isoformat()}"


def breach_stamped_wrong(seen: Observation) -> Found:
    """3. A breach is stamped with the deadline: the promise of the first record, or what it was moved to."""
    dues, first = announced(seen), promised(seen)
    for breach in breaches(seen):
        said = dues.get((breach.ticket, breach.metric, breach.instance), [])
        if breach.cause != "deadline":
            continue
        if breach.breached_at not in {each.due_at for each in said}:
            yield breach.ticket, f"{breach.metric} stamped {breach.breached_at.isoformat()}, which nobody announced"
        told = _told(first[breach.ticket]).get(breach.metric) if breach.ticket in first else None
        if told is None or breach.instance > 1:
            continue
        moved = any(each.moved for each in said)
        late = breach.breached_at > told
        # A pause moves the resolution later; the first answer only ever comes earlier than was promised.
        wrong = (late and breach.metric == FIRST_RESPONSE) if moved else breach.breached_at != told
        if wrong:
            yield breach.ticket, f"stamped {breach.breached_at.isoformat()}, promised was {told.isoformat()}"


def breach_early(seen: Observation) -> Found:
    """4. Nothing fires early."""
    for breach in breaches(seen):
        if min(breach.detected_at, breach.seen_at) < breach.breached_at:
            yield breach.ticket, f"{breach.metric} found at {breach.detected_at.isoformat()}, before its deadline"


def breach_twice(seen: Observation) -> Found:
    """4. For each ticket, metric and deadline version at most one breach; one id is one deadline."""
    names: dict[tuple[Name, int], set[str]] = defaultdict(set)
    stamps: dict[str, set[datetime]] = defaultdict(set)
    for record in _ordered(seen, Breached):
        names[(record.ticket, record.metric, record.instance), record.n].add(record.id)
        stamps[record.id].add(record.breached_at)
    for (name, n), ids in names.items():
        if len(ids) > 1:
            yield name[0], f"{len(ids)} breaches of {name[1]} {name[2]}, deadline {n}"
    wrong = retracted(seen)
    standing: dict[Name, int] = defaultdict(int)
    for breach in breaches(seen):
        standing[breach.ticket, breach.metric, breach.instance] += breach.id not in wrong
        if len(stamps[breach.id]) > 1 and breach.id not in wrong:
            yield breach.ticket, f"one breach with deadlines {sorted(map(str, stamps[breach.id]))}"
    dues = announced(seen)
    for name, count in standing.items():
        if count > 1 and not any(each.moved for each in dues.get(name, ())):
            yield name[0], f"{count} breaches of {name[1]} {name[2]}, whose deadline never moved"


def met_left_breached(seen: Observation) -> Found:
    """4. What was met before its deadline isn't left breached."""
    wrong, known = retracted(seen), courses(seen)
    for breach in breaches(seen):
        course = known.get((breach.ticket, breach.metric, breach.instance))
        met_at = course.met_at if course else None
        if met_at is not None and met_at < breach.breached_at and breach.id not in wrong:
            yield breach.ticket, f"{breach.metric} met at {met_at.isoformat()}, and left breached"


def escalation_twice(seen: Observation) -> Found:
    """4. One escalation a level (and return)."""
    levels: dict[tuple[str, int, int], set[str]] = defaultdict(set)
    for record in _ordered(seen, Escalated):
        levels[record.escalation_id, record.level, record.returned].add(record.id)
    for (escalation, level, returned), ids in levels.items():
        if len(ids) > 1:
            yield escalation, f"level {level} (return {returned}) {len(ids)} times"


def escalation_missing(seen: Observation) -> Found:
    """4. A breach that stands and still waits has told its first level; no level without the one before it."""
    levels: dict[str, set[int]] = defaultdict(set)
    for record in _ordered(seen, Escalated):
        levels[record.escalation_id].add(record.level)
    wrong = retracted(seen)
    # A chain that ended, also while nobody had been told yet, stays ended when the ticket is opened again.
    ended = {
        (record.ticket, course.metric, course.instance)
        for record in _ordered(seen, Changed)
        for course in record.courses
        if course.met_at or course.over
    }
    for breach in breaches(seen):
        waits = (breach.ticket, breach.metric, breach.instance) not in ended
        if waits and breach.id not in wrong and 1 not in levels.get(breach.id, ()):
            yield breach.ticket, f"{breach.metric} was broken, and nobody was told"
    for escalation, found in levels.items():
        if found != set(range(1, max(found) + 1)):
            yield escalation, f"levels {sorted(found)}"
