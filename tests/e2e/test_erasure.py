"""A customer who is forgotten is forgotten everywhere: every topic, every collection, GridFS and every log."""

import io
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import bson
import grpc
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from motor.motor_asyncio import AsyncIOMotorClient
from PIL import Image

from deploy.local.system import System
from gen.pingxi.v1 import common_pb2
from gen.pingxi.v1 import ticket_service_pb2 as pb
from gen.pingxi.v1.ticket_service_pb2_grpc import TicketServiceStub
from services.intake.signing import body_signature
from tests.waiting import CLOCK, eventually

pytestmark = pytest.mark.timeout(300)

PHONE = "13987654321"
SECRET = "紫色大象暗号"
SUPERVISOR = common_pb2.Actor(kind=common_pb2.Actor.KIND_SUPERVISOR, id="lin")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("system")) as system:
        system.ready()
        yield system


@pytest.fixture
async def http(system: System) -> AsyncIterator[httpx.AsyncClient]:
    key = {"authorization": f"Bearer {system.keys()['channels']['app']}"}
    async with httpx.AsyncClient(
        base_url=f"http://{system.env['PINGXI_INTAKE_HTTP']}", headers=key, timeout=20
    ) as made:
        yield made


@pytest.fixture
async def desk(system: System) -> AsyncIterator[Any]:
    metadata = (("authorization", f"Bearer {system.keys()['service']}"),)
    async with grpc.aio.insecure_channel(system.env["PINGXI_ROUTER_GRPC"]) as channel:
        stub = TicketServiceStub(channel)

        async def call(method: str, request: Any) -> Any:
            return await getattr(stub, method)(request, metadata=metadata, timeout=10)

        yield call


@pytest.fixture
async def database(system: System) -> AsyncIterator[Any]:
    client: Any = AsyncIOMotorClient(system.env["PINGXI_MONGO"])
    yield client.get_default_database()
    client.close()


def photo() -> bytes:
    """A photo whose camera wrote a phone number into it."""
    exif = Image.Exif()
    exif[0x010F] = PHONE
    out = io.BytesIO()
    Image.new("RGB", (300, 200), (10, 200, 10)).save(out, "JPEG", exif=exif, comment=PHONE.encode())
    assert PHONE.encode() in out.getvalue()
    return out.getvalue()


async def first_part(system: System, http: httpx.AsyncClient) -> httpx.Response:
    """The first of two parts of a text, as the gateway hands it over."""
    now = CLOCK.now()
    sent = {
        "from": PHONE,
        "text": f"{SECRET}，还有",
        "messageId": "m-1",
        "receivedAt": now.isoformat(),
        "brand": "demo",
    }
    body, at = json.dumps({**sent, "part": 1, "parts": 2, "reference": "r-1"}).encode(), str(int(now.timestamp()))
    signature = body_signature(system.keys()["channels"]["sms"], at, body)
    headers = {"content-type": "application/json", "X-Timestamp": at, "X-Signature": signature}
    return await http.post("/channels/sms", content=body, headers=headers)


async def in_topics(system: System, needle: bytes) -> set[str]:
    """The topics that hold it, in a key, a value or a header; an empty set is proof only where something was read."""
    read, found = 0, set()
    async with AIOKafkaConsumer(bootstrap_servers=system.env["PINGXI_KAFKA"], enable_auto_commit=False) as consumer:
        known = await consumer._client.fetch_all_metadata()
        assert {"complaints.v1", "tickets.v1", "dead-letters.v1"} <= known.topics()
        for topic in sorted(known.topics()):
            places = [TopicPartition(topic, number) for number in known.partitions_for_topic(topic)]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            ends = await consumer.end_offsets(places)
            while any([await consumer.position(place) < ends[place] for place in places]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        read += 1
                        parts = [record.key or b"", record.value or b"", *(value for _, value in record.headers)]
                        found |= {topic} if any(needle in part for part in parts) else set()
    assert read > 5
    return found


async def in_collections(database: Any, needle: bytes) -> set[str]:
    """The collections that hold it, in any form a document has."""
    found = set()
    for name in await database.list_collection_names():
        async for document in database[name].find({}):
            if needle in bson.encode(document):
                found.add(name)
    return found


def in_files(system: System, needle: bytes) -> set[str]:
    """The logs that hold it."""
    logs = list((system.local / "logs").rglob("*"))
    assert logs
    return {path.name for path in logs if path.is_file() and needle in Path(path).read_bytes()}


async def test_after_an_erasure_nothing_says_who_the_customer_was(
    system: System, http: httpx.AsyncClient, desk: Any, database: Any
) -> None:
    uploaded = [(await http.post("/api/uploads", content=photo())).json()["id"] for _ in range(3)]
    complaint = {
        "type": "商品质量", "description": f"鸡蛋碎了，{SECRET}，电话 {PHONE}", "contact": PHONE, "brand": "demo",
        "customerId": "c-7", "images": uploaded[:1],
    }  # fmt: skip
    answer = (await http.post("/api/complaint", json=complaint)).json()
    ticket, token = answer["id"], {"token": answer["token"]}
    message = {"text": f"请打 {PHONE}，{SECRET}", "images": uploaded[1:2]}
    assert (await http.post(f"/api/complaint/{ticket}/messages", params=token, json=message)).status_code == 201
    wrong = await http.post("/api/complaint", json={"type": "x", "contact": PHONE, PHONE: PHONE, "description": SECRET})
    assert wrong.status_code == 422
    assert PHONE not in wrong.text

    async def told() -> bool:
        rows = [row for row in system.outbox() if row["ticket"] == ticket]
        texts = {
            entry["kind"] for entry in (await http.get(f"/api/complaint/{ticket}", params=token)).json()["timeline"]
        }
        return any(PHONE in row["recipient"] for row in rows) and "message" in texts

    await eventually(told)
    change = pb.Change(ticket_id=ticket, actor=SUPERVISOR, reason=f"已致电 {PHONE}")
    await desk("Reply", pb.ReplyRequest(change=change, text=f"我们会打 {PHONE} 给您", images=[]))
    change = pb.Change(ticket_id=ticket, actor=SUPERVISOR)
    await desk("Resolve", pb.ResolveRequest(change=change, text="已退款", resolution="apology"))
    rating = {"score": 5, "resolved": True, "comment": f"谢谢，{SECRET} {PHONE}"}
    assert (await http.post(f"/api/complaint/{ticket}/rating", params=token, json=rating)).status_code == 201

    async def rated() -> bool:
        history = (await desk("GetTicket", pb.GetTicketRequest(ticket_id=ticket))).ticket.history
        return "rated" in [entry.kind for entry in history]

    await eventually(rated)
    before = (await desk("GetTicket", pb.GetTicketRequest(ticket_id=ticket))).ticket
    assert (before.contact, SECRET in before.description, len(before.messages)) == (f"+86{PHONE}", True, 4)
    assert await database["uploads.files"].count_documents({}) == 3

    # A long text of his of which the rest never comes.
    assert (await first_part(system, http)).status_code == 200
    parts = database["parts"]

    async def waits() -> bool:
        return bool(await parts.count_documents({"texts.1": {"$exists": True}}))

    await eventually(waits)
    erased = await desk("EraseCustomer", pb.EraseCustomerRequest(brand="demo", contact=PHONE, actor=SUPERVISOR))
    assert (erased.tickets_erased, erased.images_erased) == (2, 2)
    left = await parts.find({}).to_list(None)
    assert [set(each) & {"texts", "complaint"} for each in left] == [set()]
    after = (await desk("GetTicket", pb.GetTicketRequest(ticket_id=ticket))).ticket
    assert (after.contact, after.description, {each.text for each in after.messages}) == ("", "", {""})
    assert (await desk("SearchTickets", pb.SearchTicketsRequest(query=PHONE))).tickets == []

    async def published() -> bool:
        count: int = await database["tickets"].count_documents({"_id": ticket, "outbox.0": {"$exists": False}})
        return count == 1

    await eventually(published)
    # The third picture belongs to no ticket: that it is there shows that the search finds bytes in GridFS.
    pixels = (await http.get(f"/api/uploads/{uploaded[2]}")).content
    assert await in_collections(database, pixels[:200]) == {"uploads.chunks"}
    for needle in (PHONE, SECRET, uploaded[0], uploaded[1]):
        assert await in_collections(database, needle.encode()) == set(), needle
    for needle in (PHONE, SECRET):
        assert await in_topics(system, needle.encode()) == set(), needle
        assert in_files(system, needle.encode()) == set(), needle
    for gone in uploaded[:2]:
        assert (await http.get(f"/api/uploads/{gone}")).status_code == 404
    progress = await http.get(f"/api/complaint/{ticket}", params=token)
    assert progress.status_code == 200
    assert PHONE not in progress.text
