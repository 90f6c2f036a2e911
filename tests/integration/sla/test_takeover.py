"""Two workers, of which one dies: the other does what is due, once, and as of the instant it was due."""

import json
import re
from pathlib import Path

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
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


def of_last_recovery(worker: Worker, title: str) -> dict[int, int]:
    """The numbers of the clocks' changelog in Faust's last table of that title, by partition."""
    told = [json.loads(line)["message"] for line in worker.log.read_text().splitlines() if title in line]
    numbers: dict[int, int] = {}
    topic = ""
    for name, partition, number in re.findall(r"^\| (\S+) +\| (\d+) +\| (-?\d+) +\|$", told[-1], re.MULTILINE):
        topic = topic if name == "〃" else name
        if topic.endswith("-clocks-changelog"):
            numbers[int(partition)] = int(number)
    return numbers


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


async def test_a_standby_takes_over_from_its_own_copy_and_reads_no_changelog_again(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with world(kafka, mongo, unique, tmp_path) as w:
        # Only DEBUG lets Faust tell what a standby copies and where a recovery starts.
        standby = {"PINGXI_SLA_STANDBY": "1", "PINGXI_LOG_LEVEL": "DEBUG"}
        first = await w.start_worker("1", variables=standby)
        second = await w.start_worker("2", variables=standby)
        complaints = [*w.complaints_on(0, 60, "default"), *w.complaints_on(1, 60, "default")]
        await w.submit(*complaints)
        for complaint in complaints:
            await w.until(complaint.ticket_id, "SlaArmed", count=2)

        async def one_partition_each() -> bool:
            return sorted([*await partitions_of(first), *await partitions_of(second)]) == [0, 1]

        await eventually(one_partition_each)
        [lost] = await partitions_of(first)
        changelog = TopicPartition(f"{w.prefix}pingxi-sla-clocks-changelog", lost)
        copied = 0

        async def everything_is_copied() -> bool:
            nonlocal copied
            async with AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False) as consumer:
                copied = (await consumer.end_offsets([changelog]))[changelog]
            told = f"Recovery message topic {changelog} offset {copied - 1}"
            return copied >= 60 and told in second.log.read_text()

        await eventually(everything_is_copied)
        await first.kill()

        async def taken_over() -> bool:
            return await partitions_of(second) == {0, 1}

        await eventually(taken_over, 60.0)
        ends = of_last_recovery(second, "Highwater - Active")
        starts = of_last_recovery(second, "Reading Starts At - Active")
        assert starts.keys() == ends.keys() == {0, 1}
        # Faust counts the last record it has, not the next: what was copied isn't read again.
        assert copied - 1 <= starts[lost] <= ends[lost]
