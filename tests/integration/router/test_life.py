"""The further calls over the wire, on the real broker and database."""

import asyncio
from typing import Any

import grpc
from google.protobuf.message import Message as Proto

from common.words import to_timestamp
from gen.pingxi.v1 import common_pb2, complaint_pb2, remedy_pb2, sla_event_pb2
from gen.pingxi.v1 import ticket_service_pb2 as pb
from gen.pingxi.v1.ticket_service_pb2_grpc import TicketServiceStub
from rules.number import from_random
from tests.integration.router.world import Api, World
from tests.waiting import CLOCK, eventually

ID, OTHER = from_random(1), from_random(2)


def change(ticket_id: str = ID, kind: str = "KIND_AGENT", key: str = "") -> pb.Change:
    actor = common_pb2.Actor(kind=common_pb2.Actor.Kind.Value(kind), id="li")
    return pb.Change(ticket_id=ticket_id, idempotency_key=key, actor=actor)


async def ticket(api: Api, ticket_id: str = ID) -> pb.Ticket:
    answer: pb.GetTicketResponse = await api.call("GetTicket", pb.GetTicketRequest(ticket_id=ticket_id))
    return answer.ticket


async def code_of(api: Api, method: str, request: Proto) -> grpc.StatusCode:
    try:
        await api.call(method, request)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_a_long_life_over_the_wire(world: World) -> None:
    async with world.running(), world.api() as api, world.tail("tickets.v1") as events:
        await world.submit(
            world.complaint(1, "青菜里有虫子 cockroach", order_id="order-1"), world.complaint(2, brand="default")
        )
        await events.until(lambda rows: len(rows) == 2)
        await api.call("AddNote", pb.AddNoteRequest(change=change(), text="内部备注"))
        asked = await api.call("RequestInformation", pb.RequestInformationRequest(change=change(), text="请发照片"))
        assert asked.ticket.snapshot.status == common_pb2.STATUS_PENDING
        assert len(asked.ticket.snapshot.clock_facts.pauses) == 1
        await world.submit(world.message(1, "m1", "照片在这里"))
        await events.until(lambda rows: len(rows) == 5)
        moved = await api.call(
            "ChangeCategory", pb.ChangeCategoryRequest(change=change(), category=common_pb2.CATEGORY_SYSTEM)
        )
        assert moved.ticket.snapshot.queue == "technology"
        assert moved.ticket.snapshot.priority == common_pb2.PRIORITY_NORMAL
        await api.call("ChangePriority", pb.ChangePriorityRequest(change=change(), priority=common_pb2.PRIORITY_HIGH))
        queue = pb.ChangeQueueRequest(change=change(), queue="logistics", joint_queues=["legal"])
        assert list((await api.call("ChangeQueue", queue)).ticket.snapshot.joint_queues) == ["legal"]
        merged = await api.call("Merge", pb.MergeRequest(change=change(key="m"), merged_ticket_id=OTHER))
        assert list(merged.ticket.snapshot.linked_tickets) == [OTHER]
        assert (await ticket(api, OTHER)).snapshot.merged_into == ID
        await world.submit(world.message(2, "m2", "还没解决"))
        await eventually(lambda: says(api, ID, "还没解决"))
        resolve = pb.ResolveRequest(
            change=change(),
            text="已退款",
            resolution="refund",
            amount=common_pb2.Money(currency="CNY", amount_minor=500),
        )
        await api.call("Resolve", resolve)
        await api.call("Reopen", pb.ReopenRequest(change=change()))
        await api.call("Resolve", pb.ResolveRequest(change=change(), text="已处理"))
        closed = await api.call("Close", pb.CloseRequest(change=change()))
        assert closed.ticket.snapshot.status == common_pb2.STATUS_CLOSED
        assert await code_of(api, "Reopen", pb.ReopenRequest(change=change())) is grpc.StatusCode.FAILED_PRECONDITION
        async with world.tail("remedies.v1") as remedies:
            await remedies.until(lambda rows: len(rows) == 1)
            record = remedies.records[0]
            assert record.key == b"order-1"
            refund = remedy_pb2.RefundRequested.FromString(record.value)
        done = remedy_pb2.RefundDone(
            remedy_id=refund.remedy_id, order_id="order-1", ticket_id=ID, at=to_timestamp(CLOCK.now())
        )
        await world.send("remedy-receipts.v1", [("order-1", done)], "d1")
        await world.send("remedy-receipts.v1", [("order-1", done)], "d2")
        await eventually(lambda: has(api, ID, "remedy_noted"))
        await world.submit(world.message(1, "m3", "又坏了"))
        await eventually(lambda: linked(api, ID, 2))
        later = (await ticket(api)).snapshot.linked_tickets[1]
        assert list((await ticket(api, later)).snapshot.linked_tickets) == [ID]
        shown = await ticket(api)
        assert [entry.kind for entry in shown.history].count("remedy_noted") == 1
        for query in ("虫子", "order-1", "138 0000 0000"):
            found = await api.call("SearchTickets", pb.SearchTicketsRequest(query=query))
            assert ID in [each.id for each in found.tickets]
        erased = await api.call("EraseCustomer", pb.EraseCustomerRequest(brand="default", customer_id="customer-1"))
        assert erased.tickets_erased == 2
        shown = await ticket(api)
        assert (shown.contact, shown.description, {message.text for message in shown.messages}) == ("", "", {""})
        found = await api.call("SearchTickets", pb.SearchTicketsRequest(query="虫子"))
        assert not found.tickets
        await events.until(lambda rows: versions_of(rows, ID) >= shown.version)
        assert [event.version for event in events.events(ID)] == list(range(1, shown.version + 1))


def versions_of(rows: Any, ticket_id: str) -> int:
    return sum(record.key == ticket_id.encode() for record in rows)


async def says(api: Api, ticket_id: str, text: str) -> bool:
    return text in [message.text for message in (await ticket(api, ticket_id)).messages]


async def has(api: Api, ticket_id: str, kind: str) -> bool:
    return kind in [entry.kind for entry in (await ticket(api, ticket_id)).history]


async def linked(api: Api, ticket_id: str, count: int) -> bool:
    return len((await ticket(api, ticket_id)).snapshot.linked_tickets) == count


async def test_watchers_see_what_fits_their_filter_from_the_moment_they_watch(world: World) -> None:
    async with world.running(), world.api() as api:
        await world.submit(world.complaint(1))
        await eventually(lambda: exists(api, ID))
        stub: Any = TicketServiceStub(api.channel)
        request = pb.WatchTicketsRequest(filter=pb.TicketFilter(queues=["quality_control"]))
        call = stub.WatchTickets(request, metadata=api.metadata, timeout=40)
        await call.initial_metadata()
        await world.submit(world.complaint(2), world.complaint(3, "菜里有虫子"))
        answer = await asyncio.wait_for(call.read(), 30)
        assert (answer.event.ticket_id, answer.event.version) == (from_random(3), 1)
        call.cancel()


async def exists(api: Api, ticket_id: str) -> bool:
    return await code_of(api, "GetTicket", pb.GetTicketRequest(ticket_id=ticket_id)) is grpc.StatusCode.OK


async def test_an_open_ticket_that_the_watchdog_never_armed_is_told_again(world: World) -> None:
    world.settings = world.settings.model_copy(update={"router_listen_seconds": 1.0})
    clock = sla_event_pb2.ClockId(ticket_id=OTHER, metric=common_pb2.METRIC_RESOLUTION)
    async with world.running(), world.tail("tickets.v1") as events:
        # The watchdog reads complaints, too: it may have armed a ticket before it is here.
        await world.send("sla-events.v1", [(OTHER, sla_event_pb2.SlaArmed(clock=clock))], "a1")
        await world.submit(world.complaint(1), world.complaint(2))
        await events.until(lambda rows: len(rows) >= 3)
        await events.settle()
        repeated = [event for event in events.events() if event.WhichOneof("change") == "repeated_snapshot"]
        assert [(event.ticket_id, event.version) for event in repeated] == [(ID, 2)]
        first = next(event for event in events.events(ID) if event.version == 1)
        assert repeated[0].snapshot == first.snapshot
        assert await world.metric("pingxi_snapshots_repeated_total") >= 1


async def test_an_unhappy_rating_opens_the_ticket_again_over_the_log(world: World) -> None:
    async with world.running(), world.api() as api:
        await world.submit(world.complaint(1))
        await eventually(lambda: exists(api, ID))
        await api.call("Resolve", pb.ResolveRequest(change=change(), text="好"))
        rating = complaint_pb2.RatingGiven(
            rating_id="r1", ticket_id=ID, score=1, resolved=True, received_at=to_timestamp(CLOCK.now())
        )
        await world.submit(rating)
        await eventually(lambda: has(api, ID, "reopened"))
