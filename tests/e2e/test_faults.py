"""A whole system whose parts die, freeze, repeat themselves or are told nonsense, in the middle of the story."""

import asyncio
import signal
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.system import System
from tests.e2e.observed import STEPS, observing
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("system")) as system:
        system.ready()
        yield system


@pytest.mark.parametrize("name", ["intake", "router", "sla", "notifier", "outbox", "mongo", "kafka"])
async def test_kill_9_at_each_step_of_the_story_changes_nothing_in_its_outcome(system: System, name: str) -> None:
    async with observing(system) as observed:
        # One complaint each half second: when the kill comes, there is one at every step of the story, and three
        # that are just being sent.
        posting = [asyncio.ensure_future(observed.complain())]
        for _ in range(16):
            await asyncio.sleep(0.5)
            posting.append(asyncio.ensure_future(observed.complain()))
        steps = {observed.step_of(answer["id"]) for answer in observed.accepted.values()}
        posting += [asyncio.ensure_future(observed.complain()) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(sending.done() for sending in posting[-3:])
        old = system.kill(name)
        answers = await asyncio.gather(*posting)
        assert steps >= set(STEPS) - {"acknowledged"}
        await asyncio.to_thread(system.restarted, name, old)
        await observed.story_told([answer["id"] for answer in answers])
        for answer in answers:
            await observed.assert_once(answer)
        assert {letter["key"] for letter in observed.dead}.isdisjoint(answer["id"] for answer in answers)


async def test_mongodb_away_for_a_minute_complaints_are_accepted_and_a_lapsed_red_promise_is_escalated_meanwhile(
    system: System,
) -> None:
    async with observing(system) as observed:
        system.kill("mongo", signal.SIGSTOP)
        away = asyncio.ensure_future(asyncio.sleep(60))
        try:
            answers = [await observed.complain() for _ in range(3)]
            tickets = {answer["id"] for answer in answers}

            async def supervisors_told() -> bool:
                told = {row["ticket"] for row in system.outbox() if row["event"] == "escalation"}
                return (
                    all(observed.escalations(t, 1) and observed.escalations(t, 2) for t in tickets) and told >= tickets
                )

            await eventually(supervisors_told, 40)
            assert not away.done(), "told while the database was away"
            progress = await observed.http.get(f"/api/complaint/{answers[0]['id']}")
            assert (progress.status_code, progress.json()["status"]) == (200, "received")
            await away
            answers.append(await observed.complain())
        finally:
            system.kill("mongo", signal.SIGCONT)
        await observed.story_told([answer["id"] for answer in answers], 120)
        for answer in answers:
            await observed.assert_once(answer)


async def test_five_posts_at_once_with_one_key_and_the_message_twice_are_one_of_everything(system: System) -> None:
    async with observing(system) as observed:
        responses = await asyncio.gather(*(observed.post("one-key-for-five") for _ in range(5)))
        assert {r.status_code for r in responses} == {201}
        assert len({r.content for r in responses}) == 1
        answer = responses[0].json()

        async def logged() -> bool:
            return bool(observed.of(answer["id"], "ComplaintSubmitted"))

        await eventually(logged)
        record = observed.record_of(answer["id"])
        producer = AIOKafkaProducer(bootstrap_servers=system.env["PINGXI_KAFKA"])
        await producer.start()
        await producer.send_and_wait(record.topic, record.value, record.key, headers=list(record.headers))
        await producer.stop()
        await observed.story_told([answer["id"]])
        await observed.assert_once(answer)
        other = await observed.post("one-key-for-five", description="另一件事")
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


async def test_no_wrong_message_stops_a_consumer_each_is_in_the_dead_letters_with_its_reason(system: System) -> None:
    async with observing(system) as observed:
        before = await observed.complain()

        async def logged() -> bool:
            return bool(observed.of(before["id"], "ComplaintSubmitted"))

        await eventually(logged)
        record = observed.record_of(before["id"])
        conflicting = observed.of(before["id"], "ComplaintSubmitted")[0]
        conflicting.fingerprint = "another complaint under the same id"
        topics = {
            "complaints.v1": ["router", "sla"],
            "tickets.v1": ["sla", "notifier"],
            "escalations.v1": ["router", "notifier"],
            "vouchers.v1": ["router", "notifier"],
            "compensation-requests": ["sla"],
            "sla-commands": ["sla"],
            "sla-due": ["sla"],
        }
        producer = AIOKafkaProducer(bootstrap_servers=system.env["PINGXI_KAFKA"])
        await producer.start()
        for topic in topics:
            await producer.send_and_wait(topic, b"\xff no protobuf", b"k")
        await producer.send_and_wait(
            record.topic, conflicting.SerializeToString(), record.key, headers=list(record.headers)
        )
        await producer.stop()

        def buried() -> set[tuple[str, str, str]]:
            return {(d["topic"], d["service"], d["reason"]) for d in observed.dead}

        expected = {(topic, service, "no_type") for topic, services in topics.items() for service in services}
        expected.add(("complaints.v1", "router", "idempotency_conflict"))

        async def all_buried() -> bool:
            return buried() >= expected

        await eventually(all_buried, 60, lambda: f"missing {expected - buried()}")
        after = await observed.complain()
        await observed.story_told([before["id"], after["id"]])
        await observed.assert_once(before)
        await observed.assert_once(after)
