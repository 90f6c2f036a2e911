"""One ticket is one document: how much it takes in, and where the rest goes."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from common.errors import Poison, Refused, Unavailable
from rules.bounds import MOST_BYTES, MOST_MESSAGES, MOST_RATINGS, MOST_SAID
from rules.words import Status
from services.router.commands import Cause, ReceiveMessage, ReceiveRating, Reply, Told
from services.router.model import ANSWERS, Message, Personal, Sealed, Ticket
from services.router.policy import apply
from tests.fakes_router import START, VAULT, complaint, number
from tests.unit.router.behaviour import opened
from tests.unit.router.test_calls import AGENT, CUSTOMER, Router, head


def filled(router: Router, messages: int, content: Sealed | None = None) -> None:
    """Ticket 1 has so many messages of the customer."""
    said = tuple(Message(f"old-{place}", START, CUSTOMER, content) for place in range(messages))
    router.store.tickets[number(1)] = replace(router.ticket(), messages=said)


def linked_of(router: Router) -> Ticket:
    """The only other ticket."""
    (other,) = [ticket for ticket in router.store.tickets.values() if ticket.id != number(1)]
    return other


def texts_of(router: Router, ticket: Ticket) -> list[str]:
    readable = router.desk.opened(ticket)
    return [readable.personal.text, *readable.texts.values()]


def rating(router: Router, rating_id: str, score: int = 5) -> Told:
    cause = Cause(f"rating:{rating_id}", router.clock.now(), CUSTOMER)
    return Told(number(1), ReceiveRating(rating_id, score, True), cause)


@pytest.fixture
async def router() -> Router:
    made = Router()
    await made.submit(complaint(1))
    return made


async def test_a_message_to_a_full_ticket_opens_one_linked_ticket_and_later_ones_join_it(router: Router) -> None:
    filled(router, MOST_MESSAGES - 1)
    for text, message_id in (("快点", "m1"), ("人呢", "m2"), ("人呢", "m2"), ("谢谢", "m3")):
        await router.say(text, message_id)
    old, other = router.ticket(), linked_of(router)
    assert (old.continued_by, old.linked, old.status) == (other.id, (other.id,), Status.RECEIVED)
    assert len(old.messages) == MOST_MESSAGES + 1, "the one that led on is in both"
    assert (other.linked, other.customer_ref, other.order_id) == ((old.id,), old.customer_ref, old.order_id)
    assert texts_of(router, other) == ["人呢", "谢谢"]


async def test_messages_of_one_batch_are_counted_together(router: Router) -> None:
    filled(router, MOST_MESSAGES - 2)
    sealed = VAULT.seal(number(1), Personal(text="快点"))
    causes = [Cause(f"message:m{place}", router.clock.now(), CUSTOMER) for place in range(6)]
    batch = [Told(number(1), ReceiveMessage(cause.id, "app", sealed), cause) for cause in causes]
    await router.handler.handle(batch)
    assert len(router.ticket().messages) == MOST_MESSAGES + 1
    assert texts_of(router, linked_of(router)) == ["快点"] * 4
    before = dict(router.store.tickets)
    await router.handler.handle(batch)
    assert router.store.tickets == before


async def test_long_texts_fill_a_ticket_sooner(router: Router) -> None:
    filled(router, 10, Sealed("k1", b"x" * (MOST_BYTES // 10)))
    assert not router.ticket().full
    filled(router, 11, Sealed("k1", b"x" * (MOST_BYTES // 10)))
    await router.say("快点")
    assert texts_of(router, linked_of(router)) == ["快点"]


async def test_a_resolved_ticket_that_is_full_stays_resolved_and_the_linked_one_is_open(router: Router) -> None:
    await router.desk.resolve(head(), "已处理", "")
    filled(router, MOST_MESSAGES)
    await router.say("还没退款")
    assert (router.ticket().status, linked_of(router).status) == (Status.RESOLVED, Status.RECEIVED)


async def test_a_question_to_the_customer_is_answered_also_by_what_leads_on(router: Router) -> None:
    await router.desk.request_information(head(), "哪一件？")
    filled(router, MOST_MESSAGES)
    await router.say("牛奶")
    assert (router.ticket().status, router.ticket().waiting_since) == (Status.IN_PROGRESS, None)


async def test_a_crash_between_the_two_tickets_is_repeated(router: Router) -> None:
    filled(router, MOST_MESSAGES)
    real_save = router.store.save

    async def dies(updates: object) -> bool:
        raise Unavailable("killed")

    router.store.save = dies  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await router.say("快点")
    router.store.save = real_save  # type: ignore[method-assign]
    await router.say("快点")
    assert router.ticket().continued_by == linked_of(router).id


async def test_ratings_without_end_go_to_the_dead_letters(router: Router) -> None:
    await router.desk.resolve(head(), "已处理", "")
    for place in range(MOST_RATINGS):
        await router.handler.handle([rating(router, f"r{place}")])
    await router.handler.handle([rating(router, "r3")])
    with pytest.raises(Poison) as refused:
        await router.handler.handle([rating(router, "more")])
    assert refused.value.reason == "too_many_ratings"
    assert sum(entry.kind == "rated" for entry in router.ticket().history) == MOST_RATINGS


@pytest.mark.parametrize(
    "say",
    [
        lambda desk: desk.reply(head(), "您好"),
        lambda desk: desk.add_note(head(), "记一下"),
        lambda desk: desk.request_information(head(), "哪一件？"),
    ],
)
async def test_the_desk_says_no_more_on_a_ticket_with_too_many_messages(
    router: Router, say: Callable[[Any], Awaitable[object]]
) -> None:
    filled(router, MOST_SAID - 1)
    await say(router.desk)
    with pytest.raises(Refused, match="takes no more of them"):
        await say(router.desk)


async def test_such_a_ticket_can_still_be_ended_but_not_opened_again_by_the_desk(router: Router) -> None:
    filled(router, MOST_SAID)
    await router.desk.resolve(head(), "已处理", "")
    with pytest.raises(Refused):
        await router.desk.reopen(head())
    await router.handler.handle([rating(router, "r1", score=1)])
    assert router.ticket().status is Status.IN_PROGRESS, "the customer may"
    await router.closed()
    assert router.ticket().status is Status.CLOSED


def test_what_the_router_says_by_itself_is_never_refused() -> None:
    ticket = opened(complaint(1)).ticket
    ticket = replace(ticket, messages=(Message("m", START, CUSTOMER, None),) * MOST_SAID)
    reply = Reply("m", VAULT.seal(ticket.id, Personal(text="您好")))
    with pytest.raises(Refused):
        apply(ticket, reply, Cause("a", START, AGENT))
    assert apply(ticket, reply, Cause("b", START, ANSWERS)) is not None
