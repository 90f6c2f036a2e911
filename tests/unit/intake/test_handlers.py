"""What intake promises, on fakes."""

import asyncio
from datetime import timedelta

import pytest

from common.errors import Conflict, NotFound, Unauthenticated, Unavailable
from rules import number
from rules.model import Category, Metric, Promise
from services.intake.memory import RecentKeys
from services.intake.model import Progress
from tests.unit.intake.fakes import NOW, Bench, submission

RED = submission(type="其他", description="吃了你们的菜全家拉肚子")


async def test_an_acknowledged_complaint_is_in_the_log_with_its_promise() -> None:
    bench = Bench()
    receipt = await bench.intake.submit(submission(), "app", None)
    (complaint,) = bench.log.complaints
    assert complaint.ticket_id == receipt.ticket_id == number.parse(receipt.ticket_id)
    assert complaint.promise == receipt.promise
    assert complaint.acknowledged_at == receipt.acknowledged_at == NOW
    assert {Metric.FIRST_RESPONSE, Metric.RESOLUTION} <= {target.metric for target in complaint.decision.targets}


async def test_the_red_channel_is_promised_an_answer_in_ten_minutes_whatever_type_was_declared() -> None:
    bench = Bench()
    receipt = await bench.intake.submit(RED, "app", None)
    assert receipt.promise == Promise(NOW + timedelta(minutes=10), NOW + timedelta(hours=24))
    assert bench.log.complaints[0].declared_category is Category.OTHER


async def test_two_complaints_without_a_key_are_two_tickets() -> None:
    bench = Bench()
    first = await bench.intake.submit(submission(), "app", None)
    second = await bench.intake.submit(submission(), "app", None)
    assert first.ticket_id != second.ticket_id
    assert len(bench.log.complaints) == 2


async def test_five_at_once_with_one_key_are_one_record_and_one_answer() -> None:
    bench = Bench()
    bench.log.gate = asyncio.Event()
    posts = [asyncio.create_task(bench.intake.submit(submission(), "app", "k")) for _ in range(5)]
    await asyncio.sleep(0)
    bench.log.gate.set()
    receipts = await asyncio.gather(*posts)
    assert len(set(receipts)) == 1
    assert bench.log.asked == len(bench.log.complaints) == 1


async def test_a_repeat_is_answered_as_the_first_was_without_another_record() -> None:
    bench = Bench()
    first = await bench.intake.submit(submission(), "app", "k")
    bench.clock.advance(timedelta(hours=23))
    assert await bench.intake.submit(submission(), "app", "k") == first
    assert bench.log.asked == 1


async def test_another_instance_gives_the_same_id_and_token() -> None:
    bench = Bench()
    first = await bench.intake.submit(submission(), "app", "k")
    bench.clock.advance(timedelta(minutes=3))
    again = await bench.instance().submit(submission(), "app", "k")
    assert (again.ticket_id, again.token) == (first.ticket_id, first.token)
    assert bench.log.complaints[0].fingerprint == bench.log.complaints[1].fingerprint


async def test_another_complaint_under_the_key_is_a_conflict() -> None:
    bench = Bench()
    await bench.intake.submit(submission(), "app", "k")
    with pytest.raises(Conflict):
        await bench.intake.submit(submission(description="换一个"), "app", "k")
    assert len(bench.log.complaints) == 1


async def test_another_complaint_is_a_conflict_while_the_first_is_under_way_and_when_its_fate_is_unknown() -> None:
    bench = Bench()
    bench.log.gate = asyncio.Event()
    bench.log.away = True
    first = asyncio.create_task(bench.intake.submit(submission(), "app", "k"))
    await asyncio.sleep(0)
    with pytest.raises(Conflict):
        await bench.intake.submit(submission(description="换一个"), "app", "k")
    bench.log.gate.set()
    with pytest.raises(Unavailable):
        await first
    with pytest.raises(Conflict):
        await bench.intake.submit(submission(description="换一个"), "app", "k")


async def test_a_key_of_another_channel_is_another_complaint() -> None:
    bench = Bench()
    ids = {(await bench.intake.submit(submission(), caller, "k")).ticket_id for caller in ("app", "web", "hotline")}
    assert len(ids) == 3


async def test_a_retry_after_the_log_was_away_gets_the_id_the_first_would_have_got() -> None:
    bench, calm = Bench(), Bench()
    bench.log.away = True
    for _ in range(2):
        with pytest.raises(Unavailable):
            await bench.intake.submit(submission(), "app", "k")
    bench.log.away = False
    receipt = await bench.intake.submit(submission(), "app", "k")
    assert receipt.ticket_id == (await calm.intake.submit(submission(), "app", "k")).ticket_id
    assert [complaint.ticket_id for complaint in bench.log.complaints] == [receipt.ticket_id]


async def test_a_retry_promises_what_the_first_try_did_which_may_be_in_the_log_by_now() -> None:
    bench = Bench()
    bench.log.away = True
    with pytest.raises(Unavailable):
        await bench.intake.submit(submission(), "app", "k")
    bench.log.away = False
    bench.clock.advance(timedelta(seconds=30))
    receipt = await bench.intake.submit(submission(), "app", "k")
    assert receipt.acknowledged_at == NOW
    assert bench.log.complaints[-1].promise == receipt.promise


async def test_a_customer_who_hangs_up_takes_nobody_else_with_him() -> None:
    bench = Bench()
    bench.log.gate = asyncio.Event()
    impatient = asyncio.create_task(bench.intake.submit(submission(), "app", "k"))
    patient = asyncio.create_task(bench.intake.submit(submission(), "app", "k"))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    bench.log.gate.set()
    receipt = await patient
    assert bench.log.complaints[0].ticket_id == receipt.ticket_id
    assert impatient.cancelled()


async def test_draining_waits_for_what_is_under_way() -> None:
    bench = Bench()
    bench.log.gate = asyncio.Event()
    post = asyncio.create_task(bench.intake.submit(submission(), "app", "k"))
    await asyncio.sleep(0)
    draining = asyncio.create_task(bench.intake.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    bench.log.gate.set()
    await draining
    assert len(bench.log.complaints) == 1
    await post


async def test_a_forgotten_key_is_published_again_under_the_same_id() -> None:
    bench = Bench(RecentKeys(keep_seconds=60))
    first = await bench.intake.submit(submission(), "app", "k")
    bench.clock.advance(timedelta(seconds=61))
    again = await bench.intake.submit(submission(), "app", "k")
    assert (again.ticket_id, again.token) == (first.ticket_id, first.token)
    assert again.acknowledged_at > first.acknowledged_at


@pytest.mark.parametrize("router_away", [True, False])
@pytest.mark.parametrize("key", [None, "k"])
async def test_progress_before_the_router_knows_the_ticket_is_received_with_its_promise(
    router_away: bool, key: str | None
) -> None:
    bench = Bench()
    bench.tickets.away = router_away
    receipt = await bench.intake.submit(submission(), "app", key)
    progress = await bench.intake.progress(receipt.ticket_id, receipt.token, trusted=False)
    assert progress.status == "received"
    assert progress.promise == receipt.promise
    assert progress.category is Category.PRODUCT_QUALITY
    assert [(entry.at, entry.kind) for entry in progress.timeline] == [(NOW, "received")]
    assert not progress.can_rate


async def test_another_instance_knows_the_promise_from_the_token_unless_it_is_a_key_s() -> None:
    bench = Bench()
    plain = await bench.intake.submit(submission(), "app", None)
    keyed = await bench.intake.submit(submission(), "app", "k")
    elsewhere = bench.instance()
    assert (await elsewhere.progress(plain.ticket_id, plain.token, trusted=False)).promise == plain.promise
    unknown = await elsewhere.progress(keyed.ticket_id, keyed.token, trusted=False)
    assert (unknown.status, unknown.promise) == ("received", Promise(None, None))
    assert unknown.category is Category.PRODUCT_QUALITY


async def test_what_the_router_knows_is_told() -> None:
    bench = Bench()
    receipt = await bench.intake.submit(submission(), "app", None)
    known = Progress(receipt.ticket_id, "resolved", Category.FOOD_SAFETY, receipt.promise)
    bench.tickets.tickets[receipt.ticket_id] = known
    assert await bench.intake.progress(receipt.ticket_id.lower().replace("-", ""), None, trusted=True) == known
    assert known.can_rate


async def test_a_well_formed_number_nobody_knows_yet_is_received_for_a_channel() -> None:
    bench = Bench()
    assert (await bench.intake.progress(number.from_random(7), None, trusted=True)).status == "received"


async def test_a_mistyped_number_is_not_found() -> None:
    bench = Bench()
    with pytest.raises(NotFound):
        await bench.intake.progress("7K3M-9QXZ-4TPC-0", None, trusted=True)
    with pytest.raises(NotFound):
        await bench.intake.progress("nonsense", "token", trusted=False)


async def test_progress_needs_the_ticket_s_own_token_or_a_key() -> None:
    bench = Bench()
    mine = await bench.intake.submit(submission(), "app", None)
    other = await bench.intake.submit(submission(), "app", None)
    for token in (None, "", "x", other.token):
        with pytest.raises(Unauthenticated):
            await bench.intake.progress(mine.ticket_id, token, trusted=False)
    with pytest.raises(Unauthenticated):
        await bench.intake.progress("nonsense", None, trusted=False)
