"""Work on a stream: bounded, in order, each answer as soon as it may come."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.intake.in_order import in_order


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


async def test_answers_keep_the_order_whatever_is_done_first() -> None:
    async def work(number: int) -> int:
        for _ in range(10 - number):
            await asyncio.sleep(0)
        return number * 2

    assert [each async for each in in_order(numbers(10), work, 4)] == [(n, 2 * n) for n in range(10)]


async def test_no_more_are_under_way_than_may() -> None:
    now = most = 0

    async def work(number: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    assert len([each async for each in in_order(numbers(50), work, 3)]) == 50
    assert most == 3


async def test_an_answer_doesn_t_wait_for_the_next_question() -> None:
    asked = asyncio.Event()

    async def slowly() -> AsyncIterator[int]:
        yield 1
        await asked.wait()
        yield 2

    async def work(number: int) -> int:
        return number

    answers = in_order(slowly(), work, 3)
    assert await anext(answers) == (0, 1)
    asked.set()
    assert await anext(answers) == (1, 2)


async def test_who_stops_listening_leaves_nothing_running() -> None:
    stopped = asyncio.Event()

    async def work(number: int) -> int:
        if number == 0:
            return 0
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return number

    answers = in_order(numbers(5), work, 3)
    await anext(answers)
    await asyncio.sleep(0)
    await answers.aclose()  # type: ignore[attr-defined]
    assert stopped.is_set()


async def test_an_error_ends_it_after_the_answers_before() -> None:
    async def work(number: int) -> int:
        if number == 2:
            raise ValueError("the third")
        return number

    seen = []

    async def listen() -> None:
        async for each in in_order(numbers(5), work, 2):
            seen.append(each)

    with pytest.raises(ValueError, match="the third"):
        await listen()
    assert seen == [(0, 0), (1, 1)]
