"""Staff over the wire: the API, staff.v1, and tickets that find their owner."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from common.clock import ManualClock
from gen.pingxi.v1 import common_pb2, staff_pb2, staff_pb2_grpc
from gen.pingxi.v1 import ticket_service_pb2 as pb
from services.router.database import connect, disconnect
from services.router.store import MongoTickets
from services.router.store_staff import MongoStaff
from tests.fakes_router import START
from tests.integration.router.world import Api, World
from tests.unit.router.staff_behaviour import LI, StaffBehaviour, kept
from tests.waiting import eventually

NIGHT = 1_790_000_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def client(mongo: str) -> AsyncIterator[Any]:
    client = connect(mongo)
    yield client
    await disconnect(client)


@pytest.fixture
async def staff(client: Any, clock: ManualClock) -> MongoStaff:
    staff = MongoStaff(client, clock)
    await staff.prepare()
    return staff


@pytest.fixture
async def tickets(client: Any, clock: ManualClock) -> MongoTickets:
    tickets = MongoTickets(client, clock)
    await tickets.prepare()
    return tickets


class TestMongoStaff(StaffBehaviour):
    """The real one."""


async def call(api: Api, method: str, request: Any) -> Any:
    return await getattr(staff_pb2_grpc.StaffServiceStub(api.channel), method)(
        request, metadata=api.metadata, timeout=10
    )


async def code_of(api: Api, method: str, request: Any) -> grpc.StatusCode:
    try:
        await call(api, method, request)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def person(who: str, version: int = 0, key: str = "", **fields: Any) -> staff_pb2.PutPersonRequest:
    values = {"id": who, "name": who, "brands": ["default"], "queues": ["customer_service"], **fields}
    return staff_pb2.PutPersonRequest(
        person=staff_pb2.Person(**values),
        expected_version=version,
        idempotency_key=key,
        actor=common_pb2.Actor(kind=common_pb2.Actor.KIND_SUPERVISOR, id="zhao"),
    )


def queue(**fields: Any) -> staff_pb2.PutQueueRequest:
    return staff_pb2.PutQueueRequest(queue=staff_pb2.Queue(brand="default", name="customer_service", **fields))


async def test_staff_is_kept_by_version_and_published_once_each(world: World) -> None:
    rota = staff_pb2.Rota(brand="default", name="emergency")
    for who, start in (("li", NIGHT), ("wang", NIGHT + 43_200)):
        shift = rota.shifts.add(person_id=who)
        shift.start.FromSeconds(start)
        shift.end.FromSeconds(start + 43_200)
    async with world.running(), world.api() as api, world.api("wrong") as stranger, world.tail("staff.v1") as topic:
        codes = grpc.StatusCode
        assert (await call(api, "PutPerson", person("li", key="a"))).person.version == 1
        assert (await call(api, "PutPerson", person("li", 1, "b", away=True))).person.version == 2
        assert (await call(api, "PutPerson", person("li", 1, "b", away=True))).person.version == 2
        assert await code_of(api, "PutPerson", person("li", 1, "c")) is codes.ABORTED
        assert await code_of(api, "PutPerson", person("li", 0, "a", capacity=9)) is codes.ALREADY_EXISTS
        assert await code_of(api, "PutPerson", person("li", role="boss")) is codes.INVALID_ARGUMENT
        assert await code_of(api, "PutRota", staff_pb2.PutRotaRequest()) is codes.INVALID_ARGUMENT
        assert await code_of(stranger, "PutPerson", person("li")) is codes.UNAUTHENTICATED
        await call(api, "PutPerson", person("wang"))
        await call(api, "PutQueue", queue(leads=["li"], joint_with=["legal"]))
        await call(api, "PutRota", staff_pb2.PutRotaRequest(rota=rota))

        listed = await call(api, "ListStaff", staff_pb2.ListStaffRequest(brand="default"))
        assert [(each.id, each.version, each.away) for each in listed.people] == [("li", 2, True), ("wang", 1, False)]
        assert list(listed.queues[0].joint_with) == ["legal"]
        for seconds, expected in ((-1, []), (0, ["li"]), (43_199, ["li"]), (43_200, ["wang"])):
            request = staff_pb2.WhoIsOnCallRequest(brand="default", rota="emergency")
            request.at.FromSeconds(NIGHT + seconds)
            assert [each.id for each in (await call(api, "WhoIsOnCall", request)).people] == expected
        unknown = staff_pb2.WhoIsOnCallRequest(brand="default", rota="unknown")
        assert await code_of(api, "WhoIsOnCall", unknown) is codes.NOT_FOUND

        await topic.until(lambda rows: {"person/wang", "rota/default/emergency"} <= {row.key.decode() for row in rows})
        await eventually(lambda: newest_is_out(topic))
        assert staff_pb2.Person.FromString(last_of(topic, "person/li").value) == listed.people[0]
        assert staff_pb2.Queue.FromString(last_of(topic, "queue/default/customer_service").value) == listed.queues[0]


def last_of(topic: Any, key: str) -> Any:
    return [row for row in topic.records if row.key == key.encode()][-1]


async def newest_is_out(topic: Any) -> bool:
    await topic.settle()
    return bool(staff_pb2.Person.FromString(last_of(topic, "person/li").value).version == 2)


async def test_what_was_stored_before_a_crash_is_published_at_the_next_start(world: World, staff: MongoStaff) -> None:
    await staff.save(0, kept(LI))
    async with world.running(), world.tail("staff.v1") as topic:
        await topic.until(lambda rows: len(rows) == 1)
        assert topic.records[0].key == b"person/li"
        await eventually(lambda: nothing_waits(staff))


async def nothing_waits(staff: MongoStaff) -> bool:
    return not await staff.unpublished(1)


async def test_a_seed_is_there_after_the_first_start_and_changes_nothing_after_the_second(
    world: World, tmp_path: Path
) -> None:
    seed = tmp_path / "staff.yaml"
    seed.write_text("people: [{id: li, name: 李鸣}]")
    world.settings = world.settings.model_copy(update={"router_staff": seed})
    everybody = staff_pb2.ListStaffRequest()
    async with world.running(), world.api() as api:

        async def there() -> bool:
            return [each.id for each in (await call(api, "ListStaff", everybody)).people] == ["li"]

        await eventually(there)
        await call(api, "PutPerson", person("li", 1, name="renamed"))
    seed.write_text("people: [{id: li, name: 李鸣}, {id: wang}]")
    async with world.running(), world.api() as api:
        assert [each.name for each in (await call(api, "ListStaff", everybody)).people] == ["renamed"]


async def test_in_an_automatic_queue_a_new_ticket_finds_its_owner_by_load(world: World) -> None:
    async with world.running(), world.api() as api, world.tail("tickets.v1") as events:
        for name in ("li", "wang"):
            await call(api, "PutPerson", person(name, capacity=2))
        await call(api, "PutQueue", queue(auto_assign=True))
        await world.submit(*(world.complaint(n, "买的时候说有优惠券") for n in range(5)))
        await events.until(lambda rows: len(rows) >= 9)
        await events.settle()
        given = [each for each in events.events() if each.WhichOneof("change") == "assigned"]
        assert sorted(each.assigned.assignee for each in given) == ["li", "li", "wang", "wang"]
        assert {each.actor.id for each in given} == {"router"}
        assert all(each.snapshot.status == common_pb2.STATUS_IN_PROGRESS for each in given)
        left = await api.call("ListTickets", pb.ListTicketsRequest())
        assert sum(not each.snapshot.assignee for each in left.tickets) == 1
        await call(api, "PutPerson", person("zhou"))
        await events.until(lambda rows: len(rows) == 10)
        assert events.events()[-1].assigned.assignee == "zhou"


async def test_assigning_nobody_by_name_takes_who_knows_the_matter_and_refuses_if_nobody_is_there(world: World) -> None:
    async with world.running(), world.api() as api, world.tail("tickets.v1") as events:
        await call(api, "PutPerson", person("chen", queues=["quality_control"], skills=["food_safety"]))
        await call(api, "PutPerson", person("an", queues=["quality_control"]))
        await world.submit(world.complaint(1, "饺子里有虫子"), world.complaint(2, "饺子里有虫子"))
        await events.until(lambda rows: len(rows) == 2)
        first, second = (each.ticket_id for each in events.events())
        change = pb.Change(ticket_id=first, idempotency_key="k")
        for _ in range(2):
            answer = await api.call("Assign", pb.AssignRequest(change=change))
            assert (answer.ticket.snapshot.assignee, answer.ticket.version) == ("chen", 2)
        for name in ("chen", "an"):
            await call(api, "PutPerson", person(name, queues=["quality_control"], away=True))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await api.call("Assign", pb.AssignRequest(change=pb.Change(ticket_id=second)))
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "nobody of quality_control is at work" in str(caught.value.details())
        again = await api.call("Assign", pb.AssignRequest(change=change))
        assert again.ticket.snapshot.assignee == "chen"
