"""Intake with the real router, broker and database: what customers do after their complaint, by HTTP and gRPC."""

import asyncio
import io
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from PIL import Image

from gen.pingxi.v1 import common_pb2, intake_pb2
from gen.pingxi.v1 import ticket_service_pb2 as pb
from gen.pingxi.v1.intake_pb2_grpc import IntakeServiceStub
from gen.pingxi.v1.ticket_service_pb2_grpc import TicketServiceStub
from services.router.app import main as router_main
from services.router.settings import RouterSettings
from tests.integration.intake.conftest import POLICIES, StartIntake
from tests.integration.intake.running import BODY, Running, free_ports
from tests.waiting import eventually

AGENT = common_pb2.Actor(kind=common_pb2.Actor.KIND_AGENT, id="wang")
StartRouter = Callable[[], AbstractAsyncContextManager[None]]


@pytest.fixture
def router_grpc() -> str:
    (port,) = free_ports(1)
    return f"127.0.0.1:{port}"


@pytest.fixture
def start_router(kafka: str, prefix: str, key_file: Path, mongo: str, router_grpc: str) -> StartRouter:
    """`async with start_router():` runs one until the block ends."""

    @asynccontextmanager
    async def start() -> AsyncIterator[None]:
        (metrics,) = free_ports(1)
        settings = RouterSettings(
            kafka=kafka, mongo=mongo, policies=POLICIES, keys=key_file, topic_prefix=prefix,
            router_grpc=router_grpc, router_metrics=f"127.0.0.1:{metrics}",
        )  # fmt: skip
        stop = asyncio.Event()
        task = asyncio.create_task(router_main(settings, stop))

        async def ready() -> bool:
            if task.done():
                task.result()
            async with httpx.AsyncClient() as client:
                try:
                    return (await client.get(f"http://127.0.0.1:{metrics}/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

        try:
            await eventually(ready)
            yield
        finally:
            stop.set()
            await task

    return start


@dataclass
class Customer:
    """Somebody with a complaint, and the desk that answers him."""

    intake: Running
    id: str
    token: str
    events: list[tuple[str, Any]] = field(default_factory=list)

    @classmethod
    async def with_complaint(cls, intake: Running, **changes: Any) -> "Customer":
        answer = await intake.post({**BODY, **changes})
        assert answer.status_code == 201, answer.text
        return cls(intake, answer.json()["id"], answer.json()["token"])

    async def progress(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.intake.progress(self.id, self.token)).json()
        return found

    async def until(self, *kinds: str) -> None:
        """Waits for a timeline of these kinds."""

        seen: list[str] = []

        async def so() -> bool:
            seen[:] = [each["kind"] for each in (await self.progress())["timeline"]]
            return seen == list(kinds)

        await eventually(so, instead=lambda: seen)

    async def post(self, call: str, body: object, **headers: str) -> httpx.Response:
        url = f"{self.intake.url}/api/complaint/{self.id}/{call}"
        return await self.intake.client.post(url, params={"token": self.token}, json=body, headers=headers)

    async def desk(self, method: str, **fields: Any) -> Any:
        metadata = (("authorization", f"Bearer {self.intake.keys.service}"),)
        async with grpc.aio.insecure_channel(self.intake.settings.router_grpc) as channel:
            request = getattr(pb, f"{method}Request")(change=pb.Change(ticket_id=self.id, actor=AGENT), **fields)
            return await getattr(TicketServiceStub(channel), method)(request, metadata=metadata, timeout=10)

    async def listen(self, last: str = "") -> None:
        """Reads events until the stream ends."""
        url = f"{self.intake.url}/api/complaint/{self.id}/events"
        headers = {"Last-Event-ID": last} if last else {}
        async with self.intake.client.stream(
            "GET", url, params={"token": self.token}, headers=headers, timeout=60
        ) as got:
            assert got.status_code == 200, await got.aread()
            name = ""
            async for line in got.aiter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self.events.append((name, json.loads(line.removeprefix("data: "))))

    @property
    def heard(self) -> list[str]:
        return [data["kind"] for name, data in self.events if name == "timeline"]


def jpeg() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (200, 100), (200, 20, 20)).save(out, "JPEG")
    return out.getvalue()


async def upload(intake: Running) -> str:
    key = {"authorization": f"Bearer {intake.keys.channels['app']}"}
    answer = await intake.client.post(f"{intake.url}/api/uploads", content=jpeg(), headers=key)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_a_customer_follows_his_complaint_to_its_end(
    start_intake: StartIntake, start_router: StartRouter, router_grpc: str, mongo: str
) -> None:
    async with start_router(), start_intake(router_grpc=router_grpc, mongo=mongo) as intake:
        picture = await upload(intake)
        customer = await Customer.with_complaint(intake, images=[picture])
        await customer.until("received", "routed")
        assert (await customer.progress())["timeline"][0]["images"] == [picture]
        listening = asyncio.create_task(customer.listen())
        too_early = await customer.post("rating", {"score": 5, "resolved": True})
        assert (too_early.status_code, too_early.json()["code"]) == (409, "cannot_rate")
        second = await upload(intake)
        said = [await customer.post("messages", {"text": "还有一张", "images": [second]}, **{"Idempotency-Key": "m"})
                for _ in range(2)]  # fmt: skip
        assert [each.status_code for each in said] == [201, 201]
        assert said[0].json() == said[1].json()
        await customer.until("received", "routed", "message")
        for each in (picture, second):
            url = f"{intake.url}/api/uploads/{each}"
            mine = await intake.client.get(url, params={"ticket": customer.id, "token": customer.token})
            assert (mine.status_code, mine.headers["content-type"]) == (200, "image/jpeg")
            assert Image.open(io.BytesIO(mine.content)).size == (200, 100)
            assert (await intake.client.get(url)).status_code == 401
        await customer.desk("Resolve", text="已退款", resolution="refund")
        await customer.until("received", "routed", "message", "resolved")
        assert (await customer.progress())["canRate"]
        bad = await customer.post(
            "rating", {"score": 1, "resolved": False, "comment": "没收到"}, **{"Idempotency-Key": "r"}
        )
        assert (bad.status_code, bad.json()["reopens"]) == (201, True)
        await customer.until("received", "routed", "message", "resolved", "message", "reopened")
        # An instance that remembers nothing takes the repeat all the same.
        async with start_intake(router_grpc=router_grpc, mongo=mongo) as other:
            elsewhere = Customer(other, customer.id, customer.token)
            again = await elsewhere.post(
                "rating", {"score": 1, "resolved": False, "comment": "没收到"}, **{"Idempotency-Key": "r"}
            )
            assert (again.status_code, again.json()["ratingId"]) == (201, bad.json()["ratingId"])
            refused = await elsewhere.post("rating", {"score": 1, "resolved": False})
            assert (refused.status_code, refused.json()["code"]) == (409, "cannot_rate")
        await customer.desk("Resolve", text="已补发", resolution="apology")
        await customer.desk("Close")
        await listening
        assert customer.heard == [
            "received", "routed", "message", "resolved", "message", "reopened", "resolved", "closed",
        ]  # fmt: skip
        assert customer.events[-1][0] == "end"


async def test_who_listens_misses_nothing_over_a_router_that_restarts(
    start_intake: StartIntake, start_router: StartRouter, router_grpc: str, mongo: str
) -> None:
    async with start_intake(router_grpc=router_grpc, mongo=mongo) as intake:
        customer = await Customer.with_complaint(intake)
        listening = asyncio.create_task(customer.listen())

        async def hears(*kinds: str) -> None:
            async def so() -> bool:
                if listening.done():
                    listening.result()
                return customer.heard == list(kinds)

            await eventually(so, instead=lambda: customer.heard)

        await hears("received")
        async with start_router():
            await hears("received", "routed")
        await customer.post("messages", {"text": "有人吗"})
        unhappy = await customer.post("rating", {"score": 3, "resolved": True})
        assert unhappy.status_code == 201, "a rating isn't lost while the router is away"
        async with start_router():
            # What a rating before any result says is its comment only; this one has none.
            await hears("received", "routed", "message")
            await customer.desk("Resolve", text="好了", resolution="apology")
            await customer.desk("Close")
            await listening
        assert customer.heard == ["received", "routed", "message", "resolved", "closed"]


async def test_a_customer_s_list_and_one_tap(
    start_intake: StartIntake, start_router: StartRouter, router_grpc: str, mongo: str
) -> None:
    async with start_router(), start_intake(router_grpc=router_grpc, mongo=mongo) as intake:
        key = {"authorization": f"Bearer {intake.keys.channels['app']}"}
        url = f"{intake.url}/api/orders/A-1001/feedback"
        tap = await intake.client.post(url, json={"customerId": "c-42"}, headers=key)
        assert tap.status_code == 201
        others = [await Customer.with_complaint(intake, customerId="c-42", orderId=f"A-{n}") for n in range(2)]
        await Customer.with_complaint(intake, customerId="c-43")
        for each in (Customer(intake, tap.json()["id"], tap.json()["token"]), *others):
            await each.until("received", "routed")

        async def page(**parameters: Any) -> dict[str, Any]:
            answer = await intake.client.get(
                f"{intake.url}/api/complaints", params={"customerId": "c-42", **parameters}, headers=key
            )
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            return found

        first = await page(pageSize=2)
        second = await page(pageSize=2, pageToken=first["nextPageToken"])
        listed = [*first["complaints"], *second["complaints"]]
        assert [each["id"] for each in listed] == [others[1].id, others[0].id, tap.json()["id"]]
        assert (listed[2]["orderId"], second["nextPageToken"]) == ("A-1001", None)
        assert (await page(brand="demo"))["complaints"] == []
        wrong = await intake.client.get(
            f"{intake.url}/api/complaints", params={"customerId": "c-42", "pageToken": "x"}, headers=key
        )
        assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "pageToken")


async def test_the_same_by_grpc(
    start_intake: StartIntake, start_router: StartRouter, router_grpc: str, mongo: str
) -> None:
    async with (
        start_router(),
        start_intake(router_grpc=router_grpc, mongo=mongo) as intake,
        grpc.aio.insecure_channel(intake.settings.intake_grpc) as channel,
    ):
        stub = IntakeServiceStub(channel)
        customer = await Customer.with_complaint(intake)
        await customer.until("received", "routed")
        message = intake_pb2.AddMessageRequest(
            ticket_id=customer.id, token=customer.token, text="在等", idempotency_key="g"
        )
        assert await stub.AddMessage(message) == await stub.AddMessage(message)
        await customer.until("received", "routed", "message")
        await customer.desk("Resolve", text="好了", resolution="apology")
        rated = await stub.SubmitRating(
            intake_pb2.SubmitRatingRequest(ticket_id=customer.id, token=customer.token, score=2, resolved=True)
        )
        assert rated.reopened
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.AddMessage(intake_pb2.AddMessageRequest(ticket_id=customer.id, text="x"))
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_bulk_import_by_stream_and_by_command(start_intake: StartIntake, tmp_path: Path) -> None:
    async with start_intake() as intake:
        key = (("authorization", f"Bearer {intake.keys.service}"),)
        async with grpc.aio.insecure_channel(intake.settings.intake_grpc) as channel:

            async def requests() -> AsyncIterator[intake_pb2.SubmitComplaintsRequest]:
                for n in range(300):
                    complaint = intake_pb2.SubmitComplaintRequest(
                        type="配送", description=f"晚了 {n}", contact="13800138000" if n % 50 else "", channel="mail",
                        idempotency_key=f"bulk-{n}",
                    )  # fmt: skip
                    yield intake_pb2.SubmitComplaintsRequest(complaint=complaint)

            stream = IntakeServiceStub(channel).SubmitComplaints(requests(), metadata=key)
            answers = [answer async for answer in stream]
        assert [answer.index for answer in answers] == list(range(300))
        refused = [answer.index for answer in answers if answer.code == "invalid"]
        assert refused == [0, 50, 100, 150, 200, 250]
        assert answers[0].errors[0].field == "contact"
        ids = {answer.accepted.id for answer in answers if not answer.code}
        assert len(ids) == 294
        assert len(await intake.records(sorted(ids))) == 294

        file = tmp_path / "complaints.jsonl"
        rows = [{"type": "价格", "description": f"多收 {n}", "contact": "13800138000"} for n in range(20)]
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        file.write_text("\n".join([*lines[:10], '{"type": "价格"}', *lines[10:]]) + "\n", encoding="utf-8")
        names = ("intake_grpc", "keys")
        variables = {f"PINGXI_{name.upper()}": str(getattr(intake.settings, name)) for name in names}

        async def run() -> tuple[int, list[dict[str, Any]], str]:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.intake", "import", str(file), "--channel", "hotline",
                cwd=POLICIES.parent, env={**os.environ, **variables},
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, err = await process.communicate()
            return process.returncode or 0, [json.loads(line) for line in out.splitlines()], err.decode()

        code, accepted, said = await run()
        assert (code, len(accepted)) == (1, 20)
        assert "line 11: description: is required; contact: this or customer_id is required" in said
        assert "accepted 20, refused 1" in said
        # Said again, it is the same complaints.
        assert (await run())[1] == accepted
        records = await intake.records([row["id"] for row in accepted])
        assert {record.body.channel for record in records} == {common_pb2.CHANNEL_HOTLINE}
        assert len(records) == 20


async def test_without_the_database_only_pictures_are_refused(start_intake: StartIntake) -> None:
    (port,) = free_ports(1)
    async with start_intake(mongo=f"mongodb://127.0.0.1:{port}/none") as intake:
        key = {"authorization": f"Bearer {intake.keys.channels['app']}"}
        refused = await intake.client.post(f"{intake.url}/api/uploads", content=jpeg(), headers=key)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        customer = await Customer.with_complaint(intake, images=["an-upload-of-yesterday"])
        assert (await customer.post("messages", {"text": "x"})).status_code == 201
        assert (await intake.readiness()).status_code == 200
