"""The notifier as it runs, with what surrounds it failing in turn."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from gen.pingxi.v1 import notification_pb2 as pb
from gen.pingxi.v1.notification_pb2_grpc import NotificationServiceStub
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from tests.integration.notifier.world import CONTACT, World, escalated, granted, issued, known, made, opened, replied
from tests.waiting import CLOCK, eventually


@pytest.fixture
async def world(kafka: str, mongo: str, unique: str, tmp_path: Path) -> AsyncIterator[World]:
    async with made(kafka, mongo, unique, tmp_path) as found:
        yield found


async def sent(world: World, count: int) -> None:
    async def enough() -> bool:
        return len(await world.sent()) >= count

    await eventually(enough)


async def deliveries(world: World, ticket: str) -> list[pb.Delivery]:
    async with grpc.aio.insecure_channel(world.env["PINGXI_NOTIFIER_GRPC"]) as channel:
        answer = await NotificationServiceStub(channel).ListDeliveries(
            pb.ListDeliveriesRequest(ticket_id=ticket),
            metadata=(("authorization", f"Bearer {world.token}"),),
            timeout=5.0,
        )
        return list(answer.deliveries)


async def test_every_event_delivered_three_times_is_one_message_each(world: World) -> None:
    world.router.tickets["T1"] = known("T1", {"m1": "您好，已为您退款。"})
    await world.publish(opened("T1", red=True), replied("T1", 2, "m1"), times=3)
    await world.publish(escalated("T1", 1), escalated("T1", 2), issued("T1"), granted("T1"), times=3)
    process = await world.start()
    # 2 notices, confirmation, reply, lead, supervisor and rota, voucher, points. Each outcome is published once.
    outcomes = await world.outcomes(9)
    await world.publish(opened("T1", red=True), escalated("T1", 2), issued("T1"), granted("T1"))
    await world.publish(opened("T2"))
    world.router.tickets["T2"] = known("T2")
    await sent(world, 10)

    rows = await world.sent("T1")
    assert sorted((row["event"], row["recipient"], row["channel"]) for row in rows) == [
        ("confirmation", CONTACT, "sms"),
        ("escalation", "oncall:emergency", "robot"),
        ("escalation", "queue_lead:quality_control", "robot"),
        ("escalation", "role:supervisor", "robot"),
        ("notice", "oncall:emergency", "robot"),
        ("notice", "role:supervisor", "robot"),
        ("points", CONTACT, "sms"),
        ("reply", CONTACT, "sms"),
        ("voucher", CONTACT, "sms"),
    ]
    texts = {row["event"]: row["text"] for row in rows}
    assert texts["confirmation"].startswith("【小象买菜】非常抱歉")
    assert texts["reply"].endswith("您好，已为您退款。")
    assert "¥10" in texts["voucher"]
    assert "送您 50 积分" in texts["points"]
    order = [row["event"] for row in rows]
    assert order.index("confirmation") < order.index("reply")

    assert len({message.id for message in outcomes}) == 9
    assert {message.type for message in outcomes} == {"NotificationDelivered"}
    assert {message.body.recipient for message in outcomes if "role" not in message.body.recipient} == {  # type: ignore[attr-defined]
        "+86138****1111",
        "queue_lead:quality_control",
        "oncall:emergency",
    }
    listed = await deliveries(world, "T1")
    assert len(listed) == 9
    assert {(row.state, row.recipient) for row in listed if row.event == "voucher"} == {("delivered", "+86138****1111")}
    assert CONTACT not in world.log.read_text()
    process.terminate()
    started = CLOCK.monotonic()
    assert await process.wait() == 0
    assert CLOCK.monotonic() - started < 8.0


async def test_a_kill_between_sending_and_recording_sends_nothing_twice(world: World) -> None:
    world.router.tickets["T1"] = known("T1")
    process = await world.start()
    # Taken by the provider but never answered: the notifier is killed while it waits.
    await world.behave(timeout=1.0, count=1)
    await world.publish(opened("T1"))
    await sent(world, 1)
    process.kill()
    await process.wait()
    await world.start()
    [outcome] = await world.outcomes(1)
    assert outcome.type == "NotificationDelivered"
    [row] = await world.sent()
    assert outcome.body.provider_id == row["id"]  # type: ignore[attr-defined]
    assert [found.state for found in await deliveries(world, "T1")] == ["delivered"]


async def test_a_provider_that_fails_for_a_while_gets_each_message_once(world: World) -> None:
    world.router.tickets.update({f"T{i}": known(f"T{i}") for i in range(10)})
    await world.behave(fail=1.0, count=15)
    await world.publish(*(opened(f"T{i}") for i in range(10)))
    await world.start()
    outcomes = await world.outcomes(10)
    assert {message.type for message in outcomes} == {"NotificationDelivered"}
    assert sorted(row["ticket"] for row in await world.sent()) == [f"T{i}" for i in range(10)]


async def test_what_a_provider_refuses_or_never_takes_is_told_as_failed(world: World) -> None:
    world.router.tickets["refused"] = known("refused")
    # Longer than the outbox takes: 422.
    world.router.tickets["refused"].contact = "x" * 500
    await world.publish(opened("refused"))
    await world.start()
    [outcome] = await world.outcomes(1)
    assert (outcome.type, outcome.body.why) == ("NotificationFailed", "refused")  # type: ignore[attr-defined]

    await world.behave(fail=1.0)
    world.router.tickets["lost"] = known("lost")
    await world.publish(opened("lost"))
    outcomes = await world.outcomes(2)
    assert outcomes[-1].body.why in ("gave_up", "refused")  # type: ignore[attr-defined]
    assert sorted(message.body.why for message in outcomes) == ["gave_up", "refused"]  # type: ignore[attr-defined]
    assert await world.sent() == []


async def test_the_database_away_staff_are_told_in_time_and_it_is_recorded_later(world: World) -> None:
    world.router.tickets["T1"] = known("T1")
    await world.start()
    await world.door.shut()
    # A customer's message waits; what is behind it in another topic doesn't.
    await world.publish(opened("T1"))
    started = CLOCK.monotonic()
    for level in (1, 2):
        await world.publish(escalated("T2", level))
    await sent(world, 3)
    assert CLOCK.monotonic() - started < 10.0
    assert {row["event"] for row in await world.sent()} == {"escalation"}

    await world.door.open()
    await sent(world, 4)

    async def recorded() -> bool:
        return [row.state for row in await deliveries(world, "T2")] == ["delivered"] * 3

    await eventually(recorded)
    assert sorted(row["event"] for row in await world.sent()) == ["confirmation"] + ["escalation"] * 3


async def test_the_router_away_is_waited_for(world: World) -> None:
    world.router.tickets["T1"] = known("T1")
    world.router.away = True
    await world.publish(opened("T1", red=True))
    await world.start()
    # Staff don't wait for the router.
    await sent(world, 2)

    async def asked_again() -> bool:
        return world.router.asked >= 2

    await eventually(asked_again)
    assert {row["event"] for row in await world.sent()} == {"notice"}
    world.router.away = False
    await sent(world, 3)


async def test_an_old_event_and_an_unknown_ticket_send_nothing_and_say_so(world: World) -> None:
    world.router.tickets["old"] = known("old")
    await world.publish(opened("old", at=datetime.now(UTC) - timedelta(hours=25)), opened("nobody"))
    await world.start()
    outcomes = await world.outcomes(2)
    assert {(m.key, m.body.why) for m in outcomes} == {("old", "expired"), ("nobody", "no_contact")}  # type: ignore[attr-defined]
    assert await world.sent() == []
    assert [row.state for row in await deliveries(world, "old")] == ["expired"]


async def test_a_wrong_event_is_a_dead_letter_and_the_next_goes_on(world: World) -> None:
    world.router.tickets["T2"] = known("T2")
    stranger = opened("T1")
    stranger.snapshot.brand = "nobody"
    timeless = opened("T3")
    timeless.ClearField("occurred_at")
    await world.publish(stranger, timeless, opened("T2"))
    await world.start()
    [outcome] = await world.outcomes(1)
    assert outcome.key == "T2"
    dead = await world.read("dead-letters.v1", [TicketEvent], 2)
    assert {message.key for message in dead} == {"T1", "T3"}


async def test_the_api_previews_and_refuses(world: World) -> None:
    await world.start()
    async with grpc.aio.insecure_channel(world.env["PINGXI_NOTIFIER_GRPC"]) as channel:
        stub = NotificationServiceStub(channel)
        allowed = (("authorization", f"Bearer {world.token}"),)
        request = pb.PreviewRequest(
            brand="default", event="voucher", channel="sms", locale="zh-CN", values={"amount": "¥66"}
        )
        answer = await stub.Preview(request, metadata=allowed, timeout=5.0)
        assert "¥66 优惠券" in answer.text
        assert (answer.characters, answer.sms_segments) == (len(answer.text), 1)

        codes = []
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Preview(request, timeout=5.0)
        codes.append(caught.value.code().name)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Preview(pb.PreviewRequest(brand="default", event="birthday"), metadata=allowed, timeout=5.0)
        codes.append(caught.value.code().name)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ListDeliveries(pb.ListDeliveriesRequest(), metadata=allowed, timeout=5.0)
        codes.append(caught.value.code().name)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Resend(pb.ResendRequest(notification_id="n"), metadata=allowed, timeout=5.0)
        codes.append(caught.value.code().name)
        assert codes == ["UNAUTHENTICATED", "INVALID_ARGUMENT", "INVALID_ARGUMENT", "UNIMPLEMENTED"]
