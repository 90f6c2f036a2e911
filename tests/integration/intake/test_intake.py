"""Intake over real Kafka: HTTP and gRPC in, complaints.v1 out."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from common.grpc_server import GrpcServer
from common.keys import load_keys
from common.words import from_timestamp, rfc3339, to_timestamp
from gen.pingxi.v1 import common_pb2, intake_pb2, ticket_pb2, ticket_service_pb2
from gen.pingxi.v1.intake_pb2_grpc import IntakeServiceStub
from gen.pingxi.v1.ticket_service_pb2_grpc import TicketServiceServicer, add_TicketServiceServicer_to_server
from rules import number
from tests.integration.intake.conftest import StartIntake
from tests.integration.intake.running import BODY, CLOCK, Running, forwarded, free_ports, is_ready, until
from wire.personal import open_personal


def bearer(key: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {key}"),)


async def test_an_acknowledged_complaint_is_in_the_log_sealed_and_with_its_headers(start_intake: StartIntake) -> None:
    async with start_intake() as intake:
        trace = "0af7651916cd43dd8448eb211c80319c"
        response = await intake.post(traceparent=f"00-{trace}-b7ad6b7169203331-01")
        assert response.status_code == 201
        receipt = response.json()
        (record,) = await intake.records([receipt["id"]])
    assert record.headers["ce_type"] == "pingxi.v1.ComplaintSubmitted"
    assert record.headers["ce_subject"] == receipt["id"]
    assert record.headers["ce_time"] == receipt["acknowledgedAt"]
    assert record.headers["traceparent"].split("-")[1] == trace
    assert re.fullmatch("[0-9a-f]{32}", record.headers["ce_id"])
    promised = [from_timestamp(at) for at in (record.body.promise.first_response_by, record.body.promise.resolve_by)]
    assert [rfc3339(at) for at in promised if at] == list(receipt["promise"].values())
    assert b"13800138000" not in record.raw
    personal = open_personal(intake.keys.sealer(), receipt["id"], record.body.personal)
    assert (personal.contact, personal.text) == ("+8613800138000", BODY["description"])


async def test_five_posts_at_once_with_one_key_are_one_record(start_intake: StartIntake) -> None:
    async with start_intake() as intake:
        responses = await asyncio.gather(*(intake.post(key="five") for _ in range(5)))
        assert {response.status_code for response in responses} == {201}
        assert len({response.content for response in responses}) == 1
        assert len(await intake.records([responses[0].json()["id"]])) == 1
        other = await intake.post({**BODY, "description": "别的"}, key="five")
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


async def test_another_instance_gives_the_same_id_token_and_fingerprint(start_intake: StartIntake) -> None:
    async with start_intake() as one, start_intake() as two:
        first, second = (await one.post(key="two")).json(), (await two.post(key="two")).json()
        assert (first["id"], first["token"]) == (second["id"], second["token"])
        records = await one.records([first["id"]])
    assert len(records) == 2
    assert len({record.headers["ce_id"] for record in records}) == 1
    assert len({record.body.fingerprint for record in records}) == 1


async def test_without_a_broker_503_within_seconds_and_the_same_id_once_it_is_there(
    start_intake: StartIntake, kafka: str
) -> None:
    (port,) = free_ports(1)
    away = {"kafka": f"127.0.0.1:{port}", "intake_publish_seconds": 1.0}
    async with start_intake(wait=False, **away) as intake, start_intake() as elsewhere:
        assert "Kafka" in (await intake.readiness()).json()["status"]
        before = CLOCK.monotonic()
        response = await intake.post(key="away")
        assert (response.status_code, response.json()["code"]) == (503, "unavailable")
        assert int(response.headers["retry-after"]) >= 1
        assert CLOCK.monotonic() - before < 4
        async with forwarded(port, kafka):
            await until(lambda: is_ready(intake))
            response = await intake.post(key="away")
            assert response.status_code == 201
            assert response.json()["id"] == (await elsewhere.post(key="away")).json()["id"]


async def test_without_a_router_an_acknowledged_complaint_is_received(start_intake: StartIntake) -> None:
    async with start_intake() as intake:
        receipt = (await intake.post()).json()
        response = await intake.progress(receipt["id"], receipt["token"], **{"accept-language": "zh-CN"})
    assert response.status_code == 200
    body = response.json()
    assert (body["id"], body["status"], body["statusText"]) == (receipt["id"], "received", "已接收")
    assert body["promise"] == receipt["promise"]


class FakeRouter(TicketServiceServicer):
    """Knows some tickets; counts what it was asked."""

    def __init__(self, *tickets: ticket_service_pb2.Ticket) -> None:
        self.tickets = tickets
        self.asked: list[str] = []

    async def GetTicket(
        self, request: ticket_service_pb2.GetTicketRequest, context: Any
    ) -> ticket_service_pb2.GetTicketResponse:
        self.asked.append(request.ticket_id)
        found = next((ticket for ticket in self.tickets if ticket.id == request.ticket_id), None)
        if found is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such ticket")
        return ticket_service_pb2.GetTicketResponse(ticket=found)


async def test_progress_is_what_the_router_knows_and_survives_its_absence(start_intake: StartIntake) -> None:
    (port,) = free_ports(1)
    router = f"127.0.0.1:{port}"
    async with start_intake(router_grpc=router) as intake:
        known, unknown = (await intake.post()).json(), (await intake.post()).json()
        snapshot = ticket_pb2.TicketSnapshot(
            status=common_pb2.STATUS_PENDING,
            category=common_pb2.CATEGORY_FOOD_SAFETY,
            clock_facts=ticket_pb2.ClockFacts(acknowledged_at=to_timestamp(CLOCK.now() - timedelta(minutes=1))),
        )
        fake = FakeRouter(ticket_service_pb2.Ticket(id=known["id"], snapshot=snapshot))
        assert (await intake.progress(known["id"], known["token"])).json()["status"] == "received"
        service = {"Bearer": load_keys(intake.settings.keys).service}
        served = [(add_TicketServiceServicer_to_server, fake, "pingxi.v1.TicketService")]
        async with GrpcServer(router, lambda key: "intake" if key == service["Bearer"] else None, served):

            async def in_progress() -> bool:
                answer = (await intake.progress(known["id"], known["token"], **{"accept-language": "en"})).json()
                return (answer["status"], answer["statusText"], answer["type"]) == (
                    "in_progress", "In progress", "food_safety",
                )  # fmt: skip

            await until(in_progress, seconds=5)
            assert (await intake.progress(unknown["id"], unknown["token"])).json()["status"] == "received"
            assert unknown["id"] in fake.asked
        assert (await intake.progress(known["id"], known["token"])).json()["status"] == "received"


async def test_a_merged_complaint_leads_its_customer_to_the_survivor_and_nobody_else(
    start_intake: StartIntake,
) -> None:
    (port,) = free_ports(1)
    router = f"127.0.0.1:{port}"
    async with start_intake(router_grpc=router) as intake:
        own, foreign = (await intake.post()).json(), (await intake.post()).json()
        merged = ticket_pb2.TicketSnapshot(status=common_pb2.STATUS_CLOSED, merged_into="S", customer_ref="me")
        other = ticket_pb2.TicketSnapshot(status=common_pb2.STATUS_CLOSED, merged_into="S", customer_ref="somebody")
        survivor = ticket_pb2.TicketSnapshot(status=common_pb2.STATUS_IN_PROGRESS, customer_ref="me")
        fake = FakeRouter(
            ticket_service_pb2.Ticket(id=own["id"], snapshot=merged),
            ticket_service_pb2.Ticket(id=foreign["id"], snapshot=other),
            ticket_service_pb2.Ticket(id="S", snapshot=survivor),
        )
        service = load_keys(intake.settings.keys).service
        served = [(add_TicketServiceServicer_to_server, fake, "pingxi.v1.TicketService")]
        async with GrpcServer(router, lambda key: "intake" if key == service else None, served):

            async def shown(of: dict[str, str]) -> tuple[str, str]:
                answer = (await intake.progress(of["id"], of["token"])).json()
                return answer["id"], answer["status"]

            async def found() -> bool:
                return await shown(own) == (own["id"], "in_progress")

            await until(found, seconds=5)
            assert await shown(foreign) == (foreign["id"], "closed")


async def test_progress_needs_a_credential_and_a_number(start_intake: StartIntake) -> None:
    async with start_intake() as intake:
        some = number.from_random(12345)
        assert (await intake.progress(some, "forged")).status_code == 401
        key = {"authorization": f"Bearer {intake.keys.channels['web']}"}
        assert (await intake.progress(some, "", **key)).json()["status"] == "received"
        wrong = some[:-1] + ("0" if some[-1] != "0" else "1")
        response = await intake.progress(wrong, "", **key)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


async def test_ten_megabytes_over_a_real_connection_are_answered_413(start_intake: StartIntake) -> None:
    async with start_intake() as intake:
        response = await intake.client.post(
            f"{intake.url}/api/complaint",
            content=b"x" * 10 * 1024 * 1024,
            headers={"authorization": f"Bearer {intake.keys.channels['app']}", "content-type": "application/json"},
        )
        assert (response.status_code, response.json()["code"]) == (413, "too_large")
        assert [each["field"] for each in response.json()["errors"]] == ["body"]
        assert (await intake.post()).status_code == 201


async def test_grpc_takes_complaints_and_tells_their_progress(start_intake: StartIntake) -> None:
    async with start_intake() as intake, grpc.aio.insecure_channel(intake.settings.intake_grpc) as channel:
        stub = IntakeServiceStub(channel)
        request = intake_pb2.SubmitComplaintRequest(
            type="delivery", description="晚了", contact="a@example.com", brand="demo", idempotency_key="g"
        )
        receipt = await stub.SubmitComplaint(request, metadata=bearer(intake.keys.channels["hotline"]))
        again = await stub.SubmitComplaint(request, metadata=bearer(intake.keys.channels["hotline"]))
        assert receipt == again
        system = await stub.SubmitComplaint(request, metadata=bearer(intake.keys.service))
        assert system.id != receipt.id
        records = {record.key: record.body for record in await intake.records([receipt.id, system.id])}
        assert records[receipt.id].channel == common_pb2.CHANNEL_HOTLINE
        assert records[system.id].channel == common_pb2.CHANNEL_SYSTEM
        # A customer has his token only.
        progress = await stub.GetProgress(
            intake_pb2.GetProgressRequest(ticket_id=receipt.id, token=receipt.token, locale="en")
        )
        assert (progress.status, progress.status_text, progress.type) == ("received", "Received", "delivery")
        assert progress.promise == receipt.promise


async def code_of(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code(), refused.value.details() or ""


async def test_grpc_refusals_have_their_status(start_intake: StartIntake) -> None:
    async with start_intake() as intake, grpc.aio.insecure_channel(intake.settings.intake_grpc) as channel:
        stub = IntakeServiceStub(channel)
        key = bearer(intake.keys.channels["app"])
        wrong = intake_pb2.SubmitComplaintRequest(type="delivery", contact="13800138000", channel="sms")
        code, details = await code_of(stub.SubmitComplaint(wrong, metadata=key))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "description: is required" in details
        assert "channel: must be the channel of the key" in details
        assert "13800138000" not in details
        code, _ = await code_of(stub.SubmitComplaint(wrong))
        assert code is grpc.StatusCode.UNAUTHENTICATED
        progress = intake_pb2.GetProgressRequest(ticket_id=number.from_random(5), token="forged")
        code, _ = await code_of(stub.GetProgress(progress))
        assert code is grpc.StatusCode.UNAUTHENTICATED
        code, details = await code_of(stub.SubmitRating(intake_pb2.SubmitRatingRequest(), metadata=key))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "score: must be a whole number from 1 to 5" in details


async def test_a_client_that_knows_nothing_but_reflection_can_complain(start_intake: StartIntake) -> None:
    async with start_intake() as intake:
        address, key = intake.settings.intake_grpc, intake.keys.channels["wechat"]

        def complain() -> Any:
            with grpc.insecure_channel(address) as channel:
                pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
                method = pool.FindServiceByName("pingxi.v1.IntakeService").FindMethodByName("SubmitComplaint")
                request = message_factory.GetMessageClass(method.input_type)
                response = message_factory.GetMessageClass(method.output_type)
                call = channel.unary_unary(
                    "/pingxi.v1.IntakeService/SubmitComplaint", request.SerializeToString, response.FromString
                )
                return call(request(type="价格", description="多收了钱", contact="13800138000"), metadata=bearer(key))

        receipt = await asyncio.to_thread(complain)
        (record,) = await intake.records([receipt.id])
    assert record.body.channel == common_pb2.CHANNEL_WECHAT


async def test_acceptance_and_refusal_are_counted(start_intake: StartIntake) -> None:
    async def counted(intake: Running) -> list[float]:
        text = (await intake.client.get(f"http://{intake.settings.intake_metrics}/metrics")).text
        names = (
            'pingxi_complaints_accepted_total{brand="demo",channel="mail"}',
            'pingxi_complaints_rejected_total{channel="mail",reason="invalid"}',
            "pingxi_intake_ack_seconds_count",
        )
        found = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return [float(found.get(name, 0)) for name in names]

    async with start_intake() as intake:
        before = await counted(intake)
        assert (await intake.post({**BODY, "brand": "demo"}, channel="mail")).status_code == 201
        assert (await intake.post({}, channel="mail")).status_code == 422
        assert [now - then for now, then in zip(await counted(intake), before, strict=True)] == [1, 1, 1]


async def test_too_many_of_one_customer_are_429_and_resource_exhausted_and_others_go_on(
    start_intake: StartIntake,
) -> None:
    async with start_intake(intake_customer_per_minute=2) as intake:
        body = {**BODY, "contact": "13900000001"}
        answers = [await intake.post(body, key=f"limit-{n // 2}") for n in range(6)]
        assert [answer.status_code for answer in answers] == [201, 201, 201, 201, 429, 429]
        assert answers[4].json()["code"] == "rate_limited"
        assert 1 <= int(answers[4].headers["retry-after"]) <= 60
        assert (await intake.post({**body, "contact": "13900000002"})).status_code == 201
        async with grpc.aio.insecure_channel(intake.settings.intake_grpc) as channel:
            request = intake_pb2.SubmitComplaintRequest(type="delivery", description="x", contact="13900000001")
            call = IntakeServiceStub(channel).SubmitComplaint(request, metadata=bearer(intake.keys.channels["app"]))
            assert (await code_of(call))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
