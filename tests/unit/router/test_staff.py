"""Staff in the router: what is valid, what a change makes, and how it gets out."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from common.clock import ManualClock
from common.errors import Conflict, Invalid, NotFound, StaleVersion, Unavailable
from rules.model import Calendar
from rules.staff import Person, Record, Rota, Shift
from services.router.model import ROUTER, Actor, ActorKind
from services.router.staff import Put, changed, problems_of
from services.router.staff_desk import StaffDesk
from services.router.staff_relay import StaffRelay
from services.router.staff_seed import load_seed
from tests.fakes_router import ROOT, START, FakeLog, FakeTickets
from tests.fakes_staff import FakeStaff
from tests.unit.router.staff_behaviour import EMERGENCY, LEGAL, LI, StaffBehaviour, kept
from wire.staff import record_from_proto

OFFICE: Mapping[tuple[str, str], Calendar] = {("default", "office"): Calendar("office")}


def calendars(brand: str, name: str) -> Calendar | None:
    return OFFICE.get((brand, name))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def tickets(clock: ManualClock) -> FakeTickets:
    return FakeTickets(clock)


@pytest.fixture
def staff(tickets: FakeTickets) -> FakeStaff:
    return FakeStaff(tickets)


@pytest.fixture
def desk(staff: FakeStaff, clock: ManualClock) -> StaffDesk:
    return StaffDesk(staff, lambda: ["default", "demo"], calendars, lambda: None, clock)


class TestFakeStaff(StaffBehaviour):
    """In memory."""


def put(record: Record, expected: int = 0, key: str = "", actor: Actor = ROUTER) -> Put:
    return Put(record, expected, key, actor)


def wrong(record: Record) -> list[str]:
    return [problem.field for problem in problems_of(record, ["default", "demo"], calendars)]


def test_each_change_is_a_version_whatever_version_the_caller_writes() -> None:
    first = changed(None, put(replace(LI, version=7)), START)
    assert first is not None
    assert first.record.version == 1
    second = changed(first, put(LI, expected=1), START)
    assert second is not None
    assert [change.version for change in second.changes] == [1, 2]


def test_a_repeated_key_changes_nothing_and_with_other_content_is_a_conflict() -> None:
    first = kept(LI, key="k")
    # Also when its expected version is over by now, as it is after the first time.
    assert changed(first, put(LI, expected=7, key="k"), START) is None
    with pytest.raises(Conflict):
        changed(first, put(replace(LI, away=False), key="k"), START)
    assert changed(first, put(LI, key="other"), START) is not None


@pytest.mark.parametrize("expected", [1, 3])
def test_another_version_than_expected_is_stale(expected: int) -> None:
    with pytest.raises(StaleVersion, match="version 2"):
        changed(kept(LI, kept(LI)), put(LI, expected=expected), START)


def test_what_doesnt_exist_is_at_version_0() -> None:
    with pytest.raises(StaleVersion, match="version 0"):
        changed(None, put(LI, expected=1), START)


def test_who_made_which_change_when_is_kept_for_50_changes() -> None:
    present = None
    for n in range(60):
        actor = Actor(ActorKind.SUPERVISOR, f"s{n}")
        present = changed(present, put(LI, actor=actor), START + timedelta(seconds=n))
    assert present is not None
    assert len(present.changes) == 50
    assert present.changes[-1].actor.id == "s59"
    assert present.changes[-1].at == START + timedelta(seconds=59)


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        (LI, []),
        (LEGAL, []),
        (EMERGENCY, []),
        (Person("li"), []),
        (replace(LI, id="a/b"), ["person.id"]),
        (replace(LI, id=""), ["person.id"]),
        (replace(LI, role="boss"), ["person.role"]),
        (replace(LI, brands=("nobrand",), working_hours=""), ["person.brands"]),
        (replace(LI, queues=("Legal!",)), ["person.queues"]),
        (replace(LI, capacity=-1), ["person.capacity"]),
        (replace(LI, working_hours="nights"), ["person.working_hours"]),
        (replace(LI, working_hours="nights", removed=True), []),
        (replace(LI, name="x" * 101), ["person.name"]),
        (replace(LEGAL, brand="nobrand"), ["queue.brand"]),
        (replace(LEGAL, name=""), ["queue.name"]),
        (replace(LEGAL, leads=("a b",)), ["queue.leads"]),
        (replace(LEGAL, joint_with=("legal",)), ["queue.joint_with"]),
        (replace(EMERGENCY, name="a/b"), ["rota.name"]),
        (replace(EMERGENCY, shifts=(Shift("", START, START),)), ["rota.shifts[0].person_id", "rota.shifts[0].end"]),
    ],
)
def test_every_wrong_field_is_named(record: Record, fields: list[str]) -> None:
    assert wrong(record) == fields


async def test_put_answers_with_the_next_version_and_a_repeat_with_the_present_one(desk: StaffDesk) -> None:
    assert (await desk.put(put(LI, key="a"), LI)).version == 1
    away = replace(LI, away=False)
    assert (await desk.put(put(away, 1, "b"), away)).version == 2
    assert await desk.put(put(LI, key="a"), LI) == replace(away, version=2)
    with pytest.raises(StaleVersion):
        await desk.put(put(LI, 1), LI)
    with pytest.raises(Invalid):
        await desk.put(put(LI, actor=Actor(ActorKind.CUSTOMER, "c")), LI)


async def test_a_list_is_of_a_brand_without_removed_ones(desk: StaffDesk) -> None:
    for record in (
        LI,
        Person("everywhere"),
        Person("gone", removed=True),
        Person("other", brands=("demo",)),
    ):
        await desk.put(put(record), record)
    await desk.put(put(LEGAL), LEGAL)
    await desk.put(put(EMERGENCY), EMERGENCY)
    people, queues, rotas = await desk.listed("default")
    assert [person.id for person in people] == ["everywhere", "li"]
    assert ([queue.name for queue in queues], [rota.name for rota in rotas]) == (["legal"], ["emergency"])
    people, queues, rotas = await desk.listed("demo")
    assert ([person.id for person in people], queues, rotas) == (["everywhere", "other"], [], [])
    assert len((await desk.listed(""))[0]) == 3


async def test_who_is_on_call_now_and_at_another_time(desk: StaffDesk, clock: ManualClock) -> None:
    night = Rota("default", "night", (Shift("li", START, START + timedelta(hours=12)),))
    await desk.put(put(LI), LI)
    await desk.put(put(night), night)
    assert [person.id for person in await desk.on_call("default", "night", None)] == ["li"]
    assert await desk.on_call("default", "night", START + timedelta(hours=12)) == []
    clock.advance(timedelta(hours=13))
    assert await desk.on_call("default", "night", None) == []
    with pytest.raises(NotFound):
        await desk.on_call("demo", "night", None)


async def test_the_example_seed_is_sound(desk: StaffDesk) -> None:
    records = load_seed(ROOT / "examples" / "staff.yaml")
    await desk.seed(records)
    people, queues, rotas = await desk.listed("default")
    assert len(people) + len(queues) + len(rotas) == len(records)
    known = {person.id for person in people}
    assert known >= {lead for queue in queues for lead in queue.leads}
    assert known >= {shift.person_id for rota in rotas for shift in rota.shifts}


async def test_a_seed_with_a_mistake_stops_with_its_place(desk: StaffDesk, tmp_path: Path) -> None:
    seed = tmp_path / "staff.yaml"
    seed.write_text("people: [{id: li, rolle: agent}]")
    with pytest.raises(ValueError, match=r"staff\.yaml.*rolle"):
        load_seed(seed)
    seed.write_text("people: [{id: li, role: boss}]")
    with pytest.raises(Invalid, match=r"person/li: person\.role"):
        await desk.seed(load_seed(seed))
    with pytest.raises(ValueError, match="No such file"):
        load_seed(tmp_path / "missing.yaml")
    assert load_seed(None) == []


async def test_what_is_stored_goes_out_by_its_key_and_is_cleared(staff: FakeStaff, clock: ManualClock) -> None:
    log = FakeLog()
    relay = StaffRelay(staff, log, clock)
    for record in (LI, LEGAL, EMERGENCY):
        await staff.save(0, kept(record))
    await relay.deliver()
    assert [message.key for message in log.messages] == ["person/li", "queue/default/legal", "rota/default/emergency"]
    sent = [record_from_proto(message.body) for message in log.messages]
    assert sent == [replace(record, version=1) for record in (LI, LEGAL, EMERGENCY)]
    await relay.deliver()
    assert len(log.messages) == 3


async def test_a_crash_between_publishing_and_clearing_repeats_with_the_same_id(
    staff: FakeStaff, clock: ManualClock
) -> None:
    log = FakeLog()
    relay = StaffRelay(staff, log, clock)
    await staff.save(0, kept(LI))
    log.down = True
    with pytest.raises(Unavailable):
        await relay.deliver()
    assert await staff.unpublished(9)
    log.down = False
    await relay.deliver()
    await staff.published(replace(LI, version=0))
    await relay.deliver()
    assert len(log.messages) == 2
    assert len({message.id for message in log.messages}) == 1
