"""Two workers, of which one dies: the other does what is due, once, and as of the instant it was due."""

from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from common.words import from_timestamp
from tests.integration.sla.world import Worker, seconds, world
from tests.waiting import CLOCK, eventually


async def partitions_of(worker: Worker) -> set[int]:
    """The partitions in which it has armed timers."""
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"http://{worker.metrics}/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    samples = families["pingxi_sla_armed_timers"].samples
    return {int(sample.labels["partition"]) for sample in samples if sample.value}


async def test_killed_a_second_before_the_deadlines_another_running_breaches_each_once_stamped_with_its_deadline(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        first = await w.start_worker("1")
        second = await w.start_worker("2")
        # Both partitions are hit: whichever the first worker has, four of its own are near their deadline.
        complaints = [*w.complaints_on(0, 4), *w.complaints_on(1, 4)]
        await w.submit(*complaints)
        due = min(filter(None, (from_timestamp(c.promise.first_response_by) for c in complaints)))
        for complaint in complaints:
            await w.until(complaint.ticket_id, "SlaArmed", count=2)

        async def one_partition_each() -> bool:
            return sorted([*await partitions_of(first), *await partitions_of(second)]) == [0, 1]

        await eventually(one_partition_each)

        async def a_second_before() -> bool:
            return CLOCK.now() >= due - seconds(1)

        await eventually(a_second_before)
        await first.kill()
        for complaint in complaints:
            breach = await w.until(complaint.ticket_id, "SlaBreached", within=60.0, metric="first_response")
            assert breach.breached_at == complaint.promise.first_response_by
        for complaint in complaints:
            await w.until(complaint.ticket_id, "TicketEscalated", metric="first_response", level="2")
        await w.all_read()
        for complaint in complaints:
            assert len(w.of(complaint.ticket_id, "SlaBreached", metric="first_response")) == 1
            assert len(w.of(complaint.ticket_id, "TicketEscalated", metric="first_response", level="1")) == 1
        assert second.process.returncode is None
