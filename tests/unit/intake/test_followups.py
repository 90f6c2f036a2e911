"""Messages and ratings: once for each key, never lost, never taken where there is nothing to rate."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from common.errors import Conflict, NotFound, RateLimited, Refused, Unauthenticated, Unavailable
from rules.bounds import MOST_RATINGS
from rules.model import Promise
from rules.number import from_random
from services.intake.limiting import RateLimits
from services.intake.model import Progress
from tests.unit.intake.fakes import NOW, Bench, submission

UNKNOWN = from_random(12345)


async def complained(bench: Bench, key: str | None = None) -> tuple[str, str]:
    receipt = await bench.intake.submit(submission(), "app", key)
    return receipt.ticket_id, receipt.token


def resolved(ticket_id: str) -> Progress:
    return Progress(ticket_id, "resolved", None, Promise(None, None), version=4, served_by=ticket_id)


async def test_the_holder_of_the_token_adds_a_message() -> None:
    bench = Bench()
    ticket_id, token = await complained(bench)
    receipt = await bench.follow_ups.add_message(ticket_id, token, "", None, "还有照片", ("u1",))
    (message,) = bench.log.messages
    assert (message.ticket_id, message.text, message.images, message.channel) == (ticket_id, "还有照片", ("u1",), "")
    assert (receipt.message_id, receipt.received_at) == (message.message_id, NOW)


async def test_the_same_key_is_the_same_message_and_another_text_under_it_a_conflict() -> None:
    bench = Bench()
    ticket_id, token = await complained(bench)

    async def add(text: str) -> str:
        return (await bench.follow_ups.add_message(ticket_id, token, "", "k", text, ())).message_id

    assert len(set(await asyncio.gather(*(add("一") for _ in range(5))))) == 1
    assert len(bench.log.messages) == 1
    with pytest.raises(Conflict):
        await add("二")


async def test_another_instance_gives_a_message_the_same_id() -> None:
    bench = Bench()
    ticket_id, token = await complained(bench)
    other = bench.follow_ups_of(bench.instance())
    one = await bench.follow_ups.add_message(ticket_id, token, "", "k", "一", ())
    two = await other.add_message(ticket_id, token, "", "k", "一", ())
    assert one.message_id == two.message_id


async def test_keys_of_holder_channel_and_kind_are_apart() -> None:
    bench = Bench()
    ticket_id, token = await complained(bench, "c")
    bench.tickets.tickets[ticket_id] = resolved(ticket_id)
    holder = await bench.follow_ups.add_message(ticket_id, token, "", "k", "一", ())
    channel = await bench.follow_ups.add_message(ticket_id, None, "app", "k", "一", ())
    rating = await bench.follow_ups.rate(ticket_id, token, "", "k", 5, True, "")
    assert len({holder.message_id, channel.message_id, rating.rating_id}) == 3


async def test_nobody_without_token_or_key_adds_anything() -> None:
    bench = Bench()
    ticket_id, _ = await complained(bench)
    for token in (None, "", "wrong"):
        with pytest.raises(Unauthenticated):
            await bench.follow_ups.add_message(ticket_id, token, "", None, "一", ())
    assert not bench.log.messages


async def test_a_channel_s_message_to_a_number_nobody_knows_is_refused_and_taken_where_that_can_t_be_told() -> None:
    bench = Bench()
    with pytest.raises(NotFound):
        await bench.follow_ups.add_message(UNKNOWN, None, "app", None, "一", ())
    bench.tickets.away = True
    await bench.follow_ups.add_message(UNKNOWN, None, "app", None, "一", ())
    assert len(bench.log.messages) == 1


async def test_a_channel_adds_at_once_to_what_it_has_just_sent() -> None:
    bench = Bench()
    ticket_id, _ = await complained(bench, "k")
    await bench.follow_ups.add_message(ticket_id, None, "app", None, "一", ())
    assert bench.log.messages[0].channel == "app"


async def test_a_log_that_is_away_is_said_and_the_retry_has_the_same_id_and_time() -> None:
    bench = Bench()
    ticket_id, token = await complained(bench)
    bench.log.away = True
    with pytest.raises(Unavailable):
        await bench.follow_ups.add_message(ticket_id, token, "", "k", "一", ())
    bench.log.away = False
    bench.clock.advance(timedelta(seconds=60))
    receipt = await bench.follow_ups.add_message(ticket_id, token, "", "k", "一", ())
    assert receipt.received_at == NOW


@pytest.mark.parametrize(
    ("score", "is_resolved", "reopens"), [(5, True, False), (3, True, False), (2, True, True), (5, False, True)]
)
async def test_an_unhappy_rating_says_that_it_opens_the_complaint_again(
    score: int, is_resolved: bool, reopens: bool
) -> None:
    bench = Bench()
    ticket_id, token = await complained(bench)
    bench.tickets.tickets[ticket_id] = resolved(ticket_id)
    receipt = await bench.follow_ups.rate(ticket_id, token, "", None, score, is_resolved, "还行")
    assert receipt.reopens is reopens
    (rating,) = bench.log.ratings
    assert (rating.score, rating.resolved, rating.comment) == (score, is_resolved, "还行")


async def test_what_has_no_result_can_t_be_rated_and_nothing_is_kept_of_the_try() -> None:
    bench = Bench()
    ticket_id, token = await complained(bench)
    bench.tickets.tickets[ticket_id] = replace(resolved(ticket_id), status="in_progress")
    with pytest.raises(Refused) as refused:
        await bench.follow_ups.rate(ticket_id, token, "", "k", 5, True, "")
    assert refused.value.code == "cannot_rate"
    assert not bench.log.ratings
    bench.tickets.tickets[ticket_id] = resolved(ticket_id)
    await bench.follow_ups.rate(ticket_id, token, "", "k", 5, True, "")
    assert len(bench.log.ratings) == 1


async def test_a_rating_is_taken_while_the_router_is_away() -> None:
    bench = Bench()
    ticket_id, token = await complained(bench)
    bench.tickets.away = True
    await bench.follow_ups.rate(ticket_id, token, "", None, 1, False, "")
    assert len(bench.log.ratings) == 1


async def test_a_rating_that_opened_the_complaint_again_may_be_repeated_at_another_instance() -> None:
    bench = Bench()
    ticket_id, token = await complained(bench)
    bench.tickets.tickets[ticket_id] = resolved(ticket_id)
    first = await bench.follow_ups.rate(ticket_id, token, "", "k", 1, False, "")
    reopened = replace(resolved(ticket_id), status="in_progress", ratings=frozenset({first.rating_id}))
    bench.tickets.tickets[ticket_id] = reopened
    again = await bench.follow_ups_of(bench.instance()).rate(ticket_id, token, "", "k", 1, False, "")
    assert again.rating_id == first.rating_id


async def test_a_full_complaint_takes_in_no_message_and_says_so_but_a_repeat_of_one_it_has_is_answered() -> None:
    bench = Bench()
    ticket_id, token = await complained(bench)
    taken = await bench.follow_ups.add_message(ticket_id, token, "", "k", "一", ())
    full = replace(resolved(ticket_id), status="in_progress", full=True, messages=frozenset({taken.message_id}))
    bench.tickets.tickets[ticket_id] = full
    with pytest.raises(Refused) as refused:
        await bench.follow_ups.add_message(ticket_id, token, "", "k2", "二", ())
    assert refused.value.code == "too_many_messages"
    assert len(bench.log.messages) == 1
    again = await bench.follow_ups_of(bench.instance()).add_message(ticket_id, token, "", "k", "一", ())
    assert again.message_id == taken.message_id


async def test_a_message_is_taken_while_the_router_can_t_tell_whether_the_complaint_is_full() -> None:
    bench = Bench()
    ticket_id, token = await complained(bench)
    bench.tickets.away = True
    await bench.follow_ups.add_message(ticket_id, token, "", None, "一", ())
    assert len(bench.log.messages) == 1


async def test_ratings_have_a_bound_too() -> None:
    bench = Bench()
    ticket_id, token = await complained(bench)
    rated = frozenset(f"r{place}" for place in range(MOST_RATINGS))
    bench.tickets.tickets[ticket_id] = replace(resolved(ticket_id), ratings=rated)
    with pytest.raises(Refused) as refused:
        await bench.follow_ups.rate(ticket_id, token, "", None, 5, True, "")
    assert refused.value.code == "cannot_rate"


async def test_a_customer_s_messages_are_limited_but_repeats_are_not() -> None:
    clockless = Bench()
    bench = Bench(limits=RateLimits(clockless.clock, customer_per_minute=2, channel_per_minute=0))
    ticket_id, token = await complained(bench)
    for _ in range(5):
        await bench.follow_ups.add_message(ticket_id, token, "", "one", "一", ())
    await bench.follow_ups.add_message(ticket_id, token, "", "two", "二", ())
    with pytest.raises(RateLimited):
        await bench.follow_ups.add_message(ticket_id, token, "", "three", "三", ())
