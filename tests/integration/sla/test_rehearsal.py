"""A rehearsal on the history of a real broker, as a call and as a command."""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from google.protobuf.message import Message

from common.clock import ManualClock
from common.errors import Invalid
from common.events import Outgoing
from common.livepolicies import LivePolicies
from common.publisher import Publisher
from common.topics import ensure_topics
from common.words import to_timestamp
from gen.pingxi.v1 import order_pb2
from gen.pingxi.v1.sla_service_pb2 import RehearsePolicyRequest
from services.sla.rehearsal_service import Rehearsals
from tests.fakes_policies import edit, policies_copy
from tests.fakes_router import ROOT, START, policies
from tests.unit.sla.test_rehearsal import FOOD, REPLY, story


async def test_history_is_played_against_a_changed_policy(kafka: str, unique: str, tmp_path: Path) -> None:
    prefix = f"{unique}."
    await ensure_topics(kafka, prefix=prefix, partitions=3)
    publisher = Publisher(kafka, "test", topic_prefix=prefix)
    await publisher.start()
    # Every tenth ticket on the red channel is answered too late.
    events = [event for n in range(1, 31) for event in story(n, FOOD if n % 10 == 0 else "送错了", (12, REPLY))]
    await publisher.publish_all(
        [Outgoing("tickets.v1", e.ticket_id, e.event_id, e.ticket_id, START, e) for e in events], timeout=30
    )

    def placed(order: str, promised: float, late: float | None = None) -> list[Outgoing]:
        facts = order_pb2.OrderFacts(
            order_id=order, brand="default", promised_at=to_timestamp(START - timedelta(minutes=promised))
        )
        told: list[Message] = [order_pb2.OrderPlaced(order=facts)]
        if late is not None:
            arrived = START + timedelta(minutes=late - promised)
            told.append(order_pb2.OrderDelivered(order=facts, delivered_at=to_timestamp(arrived)))
        return [Outgoing("orders.v1", order, f"{order}-{n}", order, START, body) for n, body in enumerate(told)]

    # Promised two hours before: delivered 61 and 59 min late, still on its way; one promised just before.
    orders = [*placed("o1", 120, 61), *placed("o2", 120, 59), *placed("o3", 120), *placed("o4", 10, 5)]
    await publisher.publish_all(orders, timeout=30)
    await publisher.stop()

    clock = ManualClock(START + timedelta(minutes=20))
    live = LivePolicies(kafka, prefix, policies())
    service = Rehearsals(kafka, prefix, ROOT / "policies", live, clock)
    text = (ROOT / "policies/default/sla.yaml").read_text(encoding="utf-8")
    changed = text.replace("first_response: 10m", "first_response: 15m")
    answer = await service.rehearse(RehearsePolicyRequest(brand="default", files={"sla.yaml": changed}))
    assert answer.tickets == 30
    rows = {row.queue: row for row in answer.rows}
    red = rows["quality_control"]
    assert (red.breaches_before, red.breaches_after, red.vouchers_before, red.vouchers_after) == (3, 0, 3, 0)
    assert (red.amount_before.amount_minor, red.amount_after.amount_minor) == (3000, 0)
    assert all(row.breaches_before == 0 for queue, row in rows.items() if queue != "quality_control")

    assert "(late orders)" in rows
    orders_row = rows["(late orders)"]
    assert (orders_row.vouchers_before, orders_row.vouchers_after) == (2, 2)
    assert (orders_row.amount_before.amount_minor, orders_row.amount_after.amount_minor) == (1000, 1000)
    standard = (ROOT / "policies/default/compensation.yaml").read_text(encoding="utf-8")
    stricter = standard.replace("lateOver: 60m", "lateOver: 30m").replace("amountMinor: 500}", "amountMinor: 800}")
    answer = await service.rehearse(RehearsePolicyRequest(brand="default", files={"compensation.yaml": stricter}))
    [orders_row] = [row for row in answer.rows if row.queue == "(late orders)"]
    assert (orders_row.vouchers_before, orders_row.vouchers_after) == (2, 3)
    assert (orders_row.amount_before.amount_minor, orders_row.amount_after.amount_minor) == (1000, 2400)

    later = RehearsePolicyRequest(brand="default", files={"sla.yaml": changed})
    getattr(later, "from").CopyFrom(to_timestamp(START + timedelta(seconds=1)))
    assert (await service.rehearse(later)).tickets == 0
    with pytest.raises(Invalid) as caught:
        await service.rehearse(RehearsePolicyRequest(brand="default", files={"sla.yaml": text.replace("10m", "ten")}))
    assert [problem.field for problem in caught.value.problems] == [
        "files[default/sla.yaml]:7 policies[0].targets.first_response"
    ]

    root = policies_copy(tmp_path)
    edit(root, "first_response: 10m", "first_response: 15m")
    command = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "services.sla", "rehearse", str(root / "default")),
        *("--to", (START + timedelta(minutes=20)).isoformat()),
        cwd=ROOT,
        env={**os.environ, "PINGXI_KAFKA": kafka, "PINGXI_TOPIC_PREFIX": prefix},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, told = (each.decode() for each in await command.communicate())
    assert command.returncode == 0, told
    assert "60 of 60 messages" in told
    assert "30 tickets replayed" in printed
    [line] = [line for line in printed.splitlines() if "quality_control" in line]
    assert " ".join(line.split()) == "default quality_control 3 3 → 0 (-3) 3 → 0 (-3) 3 → 0 (-3) CNY 30.00 → 0.00"
