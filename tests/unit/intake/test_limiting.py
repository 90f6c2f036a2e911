"""Limits: each customer and channel by itself, a minute long, never for repeats or for our own services."""

from datetime import timedelta

import pytest

from common.clock import ManualClock
from common.errors import RateLimited
from services.intake.limiting import Counters, RateLimits
from tests.unit.intake.fakes import NOW, Bench, submission


def test_a_customer_may_send_so_much_a_minute_and_is_told_when_to_go_on() -> None:
    clock = ManualClock(NOW)
    limits = RateLimits(clock, customer_per_minute=3, channel_per_minute=0)
    for _ in range(3):
        limits.customer("a")
    clock.advance(timedelta(seconds=20))
    with pytest.raises(RateLimited) as refused:
        limits.customer("a")
    assert refused.value.retry_after == 40
    limits.customer("b")
    clock.advance(timedelta(seconds=40))
    limits.customer("a")


def test_no_limit_is_none() -> None:
    limits = RateLimits(ManualClock(NOW), customer_per_minute=0, channel_per_minute=0)
    for _ in range(10_000):
        limits.customer("a")
        limits.channel("app")


def test_counters_are_bounded_and_end_with_their_minute() -> None:
    clock = ManualClock(NOW)
    counters = Counters(clock, max_counters=3)
    for key in "abcd":
        counters.incr(key, 60)
    assert len(counters) == 3
    assert [counters.get(key) for key in "abcd"] == [0, 1, 1, 1]
    clock.advance(timedelta(seconds=61))
    counters.incr("e", 60)
    assert len(counters) == 1


def test_calls_of_a_channel_are_counted_and_those_of_services_are_not() -> None:
    limits = RateLimits(ManualClock(NOW), customer_per_minute=0, channel_per_minute=2)
    authenticate = limits.counted({"app-key": "app", "service": "system"}.get)
    assert [authenticate("app-key"), authenticate("app-key"), authenticate("wrong")] == ["app", "app", None]
    with pytest.raises(RateLimited):
        authenticate("app-key")
    assert {authenticate("service") for _ in range(5)} == {"system"}


async def test_one_customer_s_complaints_are_limited_whatever_his_number_looks_like() -> None:
    bench = Bench(limits=RateLimits(ManualClock(NOW), customer_per_minute=2, channel_per_minute=0))
    for contact in ("138 0013 8000", "+86-13800138000"):
        await bench.intake.submit(submission(contact=contact), "app", None)
    with pytest.raises(RateLimited):
        await bench.intake.submit(submission(), "app", "k")
    await bench.intake.submit(submission(contact="13900139000"), "app", None)
    await bench.intake.submit(submission(), "system", None)
    assert len(bench.log.complaints) == 4


async def test_repeats_of_a_known_key_don_t_count() -> None:
    bench = Bench(limits=RateLimits(ManualClock(NOW), customer_per_minute=2, channel_per_minute=0))
    for _ in range(5):
        await bench.intake.submit(submission(), "app", "k")
    await bench.intake.submit(submission(), "app", "l")
    with pytest.raises(RateLimited):
        await bench.intake.submit(submission(), "app", "m")


async def test_a_refused_try_leaves_no_trace_under_its_key() -> None:
    clock = ManualClock(NOW)
    bench = Bench(limits=RateLimits(clock, customer_per_minute=1, channel_per_minute=0))
    await bench.intake.submit(submission(), "app", None)
    with pytest.raises(RateLimited):
        await bench.intake.submit(submission(), "app", "k")
    clock.advance(timedelta(seconds=61))
    await bench.intake.submit(submission(description="另一件事"), "app", "k")
    assert len(bench.log.complaints) == 2
