"""The ticket API over the wire, and the history that others write."""

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message as Proto
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from common.words import to_timestamp
from gen.pingxi.v1 import (
    common_pb2,
    compensation_pb2,
    escalation_pb2,
    report_pb2,
    report_pb2_grpc,
    sla_event_pb2,
    voucher_pb2,
)
from gen.pingxi.v1 import ticket_service_pb2 as pb
from rules.number import from_random
from tests.integration.router.world import Api, World
from tests.waiting import CLOCK, eventually

ID = from_random(1)


async def ticket(api: Api, ticket_id: str = ID) -> pb.Ticket:
    answer: pb.GetTicketResponse = await api.call("GetTicket", pb.GetTicketRequest(ticket_id=ticket_id))
    return answer.ticket


async def code_of(api: Api, method: str, request: Proto) -> grpc.StatusCode:
    try:
        await api.call(method, request)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def change(version: int = 0, key: str = "", kind: str = "KIND_AGENT") -> pb.Change:
    actor = common_pb2.Actor(kind=common_pb2.Actor.Kind.Value(kind), id="li")
    return pb.Change(ticket_id=ID, expected_version=version, idempotency_key=key, actor=actor, reason="why")


async def test_the_life_of_a_ticket(world: World) -> None:
    async with world.running(), world.api() as api, world.tail("tickets.v1") as events:
        await world.submit(world.complaint(1, "饺子里有虫子,孩子吃了一直吐", order_id="order-1"))
        await events.until(lambda rows: len(rows) == 1)
        await api.call("Assign", pb.AssignRequest(change=change(1, "a"), assignee="li"))
        await api.call("Reply", pb.ReplyRequest(change=change(2, "b"), text="马上联系您"))
        await api.call("Reply", pb.ReplyRequest(change=change(2, "b"), text="马上联系您"))
        answer = await api.call(
            "Resolve",
            pb.ResolveRequest(
                change=change(3, "c"),
                text="已退款",
                resolution="refund",
                amount=common_pb2.Money(currency="CNY", amount_minor=500),
            ),
        )
        assert answer.ticket.snapshot.status == common_pb2.STATUS_RESOLVED
        shown = await ticket(api, ID.lower().replace("-", ""))
        assert (shown.id, shown.version, shown.contact) == (ID, 4, "+8613800000000")
        assert shown.description == "饺子里有虫子,孩子吃了一直吐"
        assert [message.text for message in shown.messages] == ["马上联系您", "已退款"]
        assert [entry.kind for entry in shown.history] == ["opened", "assigned", "replied", "resolved"]
        assert shown.snapshot.red
        await events.until(lambda rows: len(rows) >= 4)
        await events.settle()
        assert [event.version for event in events.events()] == [1, 2, 3, 4]
        last = events.events()[-1].snapshot
        assert last == shown.snapshot
        facts = last.clock_facts
        assert facts.first_answer_at.ToNanoseconds() < facts.resolved_at.ToNanoseconds()
        for record in events.records:
            assert "退款".encode() not in record.value
            assert b"13800000000" not in record.value


async def test_50_commands_at_once_make_versions_without_gaps(world: World) -> None:
    async with world.running(), world.api() as api, world.tail("tickets.v1") as events:
        await world.submit(world.complaint(1))
        await events.until(lambda rows: len(rows) == 1)
        calls = [
            api.call("Assign", pb.AssignRequest(change=change(), assignee=f"agent-{n}"))
            if n % 2
            else api.call("Reply", pb.ReplyRequest(change=change(), text=f"第{n}条"))
            for n in range(50)
        ]
        answers = await asyncio.gather(*calls)
        assert sorted(answer.ticket.version for answer in answers) == list(range(2, 52))
        await events.until(lambda rows: len(rows) >= 51)
        await events.settle()
        assert [event.version for event in events.events()] == list(range(1, 52))


async def test_status_codes(world: World) -> None:
    async with world.running(), world.api() as api, world.api("wrong") as stranger, world.api("") as nobody:
        await world.submit(world.complaint(1))
        get = pb.GetTicketRequest(ticket_id=ID)
        await eventually(lambda: is_ok(api, get))
        codes = grpc.StatusCode
        assert await code_of(stranger, "GetTicket", get) is codes.UNAUTHENTICATED
        assert await code_of(nobody, "GetTicket", get) is codes.UNAUTHENTICATED
        assert await code_of(api, "GetTicket", pb.GetTicketRequest(ticket_id=from_random(9))) is codes.NOT_FOUND
        assert await code_of(api, "AddNote", pb.AddNoteRequest()) is codes.INVALID_ARGUMENT
        assert await code_of(api, "SearchTickets", pb.SearchTicketsRequest()) is codes.INVALID_ARGUMENT
        stale = pb.AssignRequest(change=change(7), assignee="li")
        assert await code_of(api, "Assign", stale) is codes.ABORTED
        assert await code_of(api, "Reply", pb.ReplyRequest(change=change(0, "k"), text="好")) is codes.OK
        other = pb.ReplyRequest(change=change(0, "k"), text="别的")
        assert await code_of(api, "Reply", other) is codes.ALREADY_EXISTS
        resolve = pb.ResolveRequest(change=change(), text="好")
        assert await code_of(api, "Resolve", resolve) is codes.OK
        assert await code_of(api, "Resolve", resolve) is codes.FAILED_PRECONDITION


async def is_ok(api: Api, request: Proto) -> bool:
    return await code_of(api, "GetTicket", request) is grpc.StatusCode.OK


async def test_invalid_fields_are_named(world: World) -> None:
    async with world.running(), world.api() as api:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await api.call("Reply", pb.ReplyRequest(change=change(-1), text=" "))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]  # has what a call has
        assert status is not None
        details = error_details_pb2.BadRequest()
        assert status.details[0].Unpack(details)
        assert {violation.field for violation in details.field_violations} == {"change.expected_version", "text"}


async def test_reports_are_there_and_not_served_yet(world: World) -> None:
    async with world.running(), world.api() as api:
        stub: Any = report_pb2_grpc.ReportServiceStub(api.channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetFigures(report_pb2.GetFiguresRequest(), metadata=api.metadata, timeout=5)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        health: Any = health_pb2_grpc.HealthStub(api.channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service="pingxi.v1.TicketService"), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_listing_filters_and_pages(world: World) -> None:
    now = CLOCK.now()
    async with world.running(), world.api() as api, world.tail("tickets.v1") as events:
        rows = [
            world.complaint(n, acknowledged_at=to_timestamp(now + timedelta(seconds=n)), order_id=f"order-{n % 2}")
            for n in range(7)
        ]
        await world.submit(*rows)
        await events.until(lambda records: len(records) == 7)
        seen, token = [], ""
        while True:
            request = pb.ListTicketsRequest(order_by="-acknowledged_at", page_size=3, page_token=token)
            page: pb.ListTicketsResponse = await api.call("ListTickets", request)
            seen += [listed.id for listed in page.tickets]
            assert all(not listed.contact and not listed.messages for listed in page.tickets)
            token = page.next_page_token
            if not token:
                break
        assert seen == [from_random(n) for n in range(6, -1, -1)]
        request = pb.ListTicketsRequest(filter=pb.TicketFilter(order_id="order-1", brands=["default"]))
        page = await api.call("ListTickets", request)
        assert [listed.id for listed in page.tickets] == [from_random(n) for n in (1, 3, 5)]
        bad = pb.ListTicketsRequest(filter=pb.TicketFilter(statuses=[99]))  # type: ignore[list-item]
        assert await code_of(api, "ListTickets", bad) is grpc.StatusCode.INVALID_ARGUMENT


async def test_what_others_did_is_in_the_history_once_each_even_if_it_came_before_the_complaint(world: World) -> None:
    at = to_timestamp(CLOCK.now())
    clock = sla_event_pb2.ClockId(ticket_id=ID, metric=common_pb2.METRIC_FIRST_RESPONSE)
    reason = "first_response due 2026-11-20T12:10:00Z, policy red 3f2a1b4c, paused 0 min"
    breached = sla_event_pb2.SlaBreached(breach_id="b", clock=clock, breached_at=at, reason=reason)
    escalated = escalation_pb2.TicketEscalated(
        escalation_id="b",
        ticket_id=ID,
        metric=common_pb2.METRIC_FIRST_RESPONSE,
        level=1,
        escalated_at=at,
        reason=reason,
    )
    voucher = voucher_pb2.VoucherIssued(
        voucher_id="v",
        ticket_id=ID,
        amount=common_pb2.Money(currency="CNY", amount_minor=1000),
        reason="late_answer",
        issued_at=at,
    )
    row = compensation_pb2.LedgerRow(
        ledger_id="v", ticket_id=ID, amount=voucher.amount, reason=voucher.reason, issued_at=at, history=[
            compensation_pb2.LedgerChange(at=at, state=compensation_pb2.LEDGER_STATE_PUBLISHED, outcome="issued"),
            compensation_pb2.LedgerChange(
                at=at,
                state=compensation_pb2.LEDGER_STATE_REJECTED,
                outcome="rejected",
                actor=common_pb2.Actor(kind=common_pb2.Actor.KIND_SYSTEM, id="loyalty"),
                why="account closed",
            ),
        ]
    )  # fmt: skip
    async with world.running(), world.api() as api, world.tail("tickets.v1") as events:
        for _ in range(2):
            await world.send("sla-events.v1", [(ID, breached)], "s1")
            await world.send("escalations.v1", [(ID, escalated)], "e1")
            await world.send("ledger.v1", [("v", row)], "l1")
            await world.send("vouchers.v1", [("customer-1", voucher)], "v1")
        await world.submit(world.complaint(1))
        await events.until(lambda rows: len(rows) >= 5)
        await events.settle()
        assert [event.version for event in events.events()] == [1, 2, 3, 4, 5]
        noted = [event for event in events.events() if event.WhichOneof("change") == "escalation_noted"]
        assert {event.escalation_noted.what for event in noted} == {"breached", "escalated"}
        shown = await ticket(api)
        assert sorted(entry.kind for entry in shown.history) == [
            "compensation_noted",
            "compensation_noted",
            "escalation_noted",
            "escalation_noted",
            "opened",
        ]
        assert [entry.reason for entry in shown.history if entry.kind == "escalation_noted"] == [reason, reason]
        money, answer = (entry for entry in shown.history if entry.kind == "compensation_noted")
        assert dict(answer.facts) == {"ledger_id": "v", "state": "rejected"}
        assert (answer.actor.id, answer.at, answer.reason) == ("loyalty", at, "account closed")
        assert dict(money.facts) == {
            "ledger_id": "v",
            "state": "published",
            "currency": "CNY",
            "amount_minor": "1000",
            "why": "late_answer",
        }
