"""Automatic answers from the message that comes in to the event that goes out."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from common.clock import ManualClock
from gen.pingxi.v1 import common_pb2
from rules.model import PolicySet
from services.router.answerer import Answerer
from services.router.answering import OrderNews
from services.router.commands import Arrival, Cause, Close, ReceiveMessage, Reply, Resolve, Submitted, Told
from services.router.handlers import ComplaintHandler
from services.router.model import Actor, ActorKind, Personal, Ticket, Update
from services.router.policy import perform
from services.router.reading import Reader
from services.router.relay import Relay
from tests.fakes_router import (
    INDEX,
    START,
    VAULT,
    FakeLog,
    FakeOrders,
    FakePictures,
    FakeTickets,
    complaint,
    number,
    policies,
)

CUSTOMER, AGENT = Actor(ActorKind.CUSTOMER), Actor(ActorKind.AGENT, "li")
QUESTION = "请问我的外卖现在到哪里了"
WAY = "回复“人工”转人工客服。"


class Desk:
    """A router on fakes, with the policies of this repository or others."""

    def __init__(self) -> None:
        self.clock = ManualClock(START + timedelta(seconds=1))
        self.store = FakeTickets(self.clock)
        self.log = FakeLog()
        self.orders = FakeOrders()
        self.policies = dict(policies())
        around = (VAULT, self.clock, INDEX, Reader(), FakePictures(), self.orders)
        self.handler = ComplaintHandler(self.store, Relay(self.store, self.log, self.clock), self, *around)

    def of(self, brand: str) -> PolicySet | None:
        return self.policies.get(brand)

    async def announce(self, hashes: Sequence[str]) -> None:
        assert set(hashes) <= {each.hash for each in self.policies.values()}

    async def take(self, *arrivals: Arrival) -> None:
        await self.handler.handle(arrivals)

    async def does(self, command: Reply | Resolve | Close) -> None:
        events = perform(self.ticket(), command, Cause(f"command:{type(command).__name__}", self.clock.now(), AGENT))
        assert await self.store.save([Update(self.ticket().version, events)])

    def ticket(self, n: int = 1) -> Ticket:
        return self.store.tickets[number(n)]

    def answers(self, n: int = 1) -> list[str]:
        """What a machine has said to a ticket."""
        said = [m for m in self.ticket(n).messages if m.actor.kind is ActorKind.BOT]
        return [VAULT.open(number(n), m.content).text for m in said if m.content is not None]

    def kinds(self, n: int = 1) -> list[str]:
        return [entry.kind for entry in self.ticket(n).history]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def told(text: str, message: str = "m1", n: int = 1, at: datetime = START) -> Told:
    content = VAULT.seal(number(n), Personal(text=text))
    return Told(number(n), ReceiveMessage(message, "app", content), Cause(f"message:{message}", at, CUSTOMER))


def person(text: str = "马上为您查") -> Reply:
    return Reply("r1", VAULT.seal(number(1), Personal(text=text)))


async def test_a_question_that_opens_a_ticket_is_answered_once_however_often_it_comes(desk: Desk) -> None:
    await desk.take(Submitted(complaint(1, QUESTION)), Submitted(complaint(1, QUESTION)))
    await desk.take(Submitted(complaint(1, QUESTION)))
    assert len(desk.answers()) == 1
    assert desk.answers()[0].endswith(WAY)
    event = desk.log.events()[-1]
    assert (event.version, event.replied.automatic, event.replied.topic) == (2, True, "where-is-my-order")
    assert (event.actor.kind, event.snapshot.answered_topic) == (common_pb2.Actor.KIND_BOT, "where-is-my-order")
    assert desk.ticket().status == "received", "a machine's answer doesn't mean that somebody is at work"


async def test_a_question_to_an_open_ticket_is_answered_once_however_often_it_comes(desk: Desk) -> None:
    await desk.take(Submitted(complaint(1)))
    for _ in range(2):
        await desk.take(told(QUESTION))
    assert len(desk.answers()) == 1
    assert desk.kinds() == ["opened", "customer_replied", "replied"]


async def test_an_automatic_answer_is_a_first_response_only_where_the_policy_says_so(desk: Desk) -> None:
    await desk.take(Submitted(complaint(1, QUESTION)))
    assert desk.ticket().facts.first_answer_at is None
    sla = tuple(replace(policy, automatic_answer_counts=True) for policy in policies()["default"].sla)
    desk.policies["default"] = replace(policies()["default"], sla=sla)
    await desk.take(Submitted(complaint(2, QUESTION)))
    assert desk.ticket(2).facts.first_answer_at == desk.clock.now(), "when it was said, not when it was asked"


async def test_a_second_question_hands_over_and_no_machine_answers_any_more(desk: Desk) -> None:
    await desk.take(Submitted(complaint(1, QUESTION)), told("能开发票吗"), told(QUESTION, "m2"))
    assert len(desk.answers()) == 1
    assert desk.ticket().handed_over
    handed = [e.customer_replied.handed_over for e in desk.log.events() if e.HasField("customer_replied")]
    assert handed == [True, False], "told once"
    entry = desk.ticket().history[2]
    assert (entry.kind, entry.facts.get("handed_over")) == ("customer_replied", "true")


@pytest.mark.parametrize("word", ["人工", "转人工", "agent"])
async def test_the_word_hands_over_and_raises_nothing_else(desk: Desk, word: str) -> None:
    await desk.take(Submitted(complaint(1)))
    await desk.take(told(word), told(QUESTION, "m2"))
    assert desk.ticket().handed_over
    assert desk.answers() == []
    assert desk.kinds() == ["opened", "customer_replied", "customer_replied"]


async def test_thanks_for_an_answer_hand_nothing_over(desk: Desk) -> None:
    await desk.take(Submitted(complaint(1, QUESTION)), told("谢谢"))
    assert not desk.ticket().handed_over


async def test_once_a_person_has_answered_no_machine_does(desk: Desk) -> None:
    await desk.take(Submitted(complaint(1)))
    await desk.does(person())
    await desk.take(told(QUESTION))
    assert desk.answers() == []
    assert not desk.ticket().handed_over


async def test_the_red_channel_never_gets_a_machines_answer(desk: Desk) -> None:
    await desk.take(Submitted(complaint(1, "吃了拉肚子去医院了")), told(QUESTION))
    await desk.take(told("能开发票吗", "m2"))
    await desk.take(Submitted(complaint(2)), told("菜里有虫子，怎么退款", "m3", 2))
    assert desk.ticket().red
    assert desk.answers() == desk.answers(2) == []


async def test_a_complaint_gets_none(desk: Desk) -> None:
    await desk.take(Submitted(complaint(1, "菜送错了，少了一袋米")), told("到现在都没人管，太差了"))
    assert desk.answers() == []


async def test_an_old_question_is_left_to_people(desk: Desk) -> None:
    desk.clock.advance(timedelta(hours=1))
    await desk.take(Submitted(complaint(1, QUESTION)), told(QUESTION))
    assert desk.answers() == []


async def test_a_brand_without_answers_answers_nothing(desk: Desk) -> None:
    default = policies()["default"]
    desk.policies["default"] = replace(default, answers=replace(default.answers, enabled=False))
    await desk.take(Submitted(complaint(1, QUESTION)), told("人工"))
    assert desk.answers() == []


async def test_what_is_known_of_the_order_is_said_to_its_owner_only(desk: Desk) -> None:
    eta = START + timedelta(minutes=20)
    for n, owner in ((1, "customer-1"), (2, "somebody-else")):
        desk.orders.known["default", f"order-{n}"] = OrderNews("picked_up", owner, None, eta)
    await desk.take(Submitted(complaint(1, QUESTION)), Submitted(complaint(2, QUESTION)))
    assert desk.answers(1) == [f"您的订单已取货,正在配送,预计11-20 12:20送达。{WAY}"]
    assert "已取货" not in desk.answers(2)[0]


async def test_nothing_is_asked_of_orders_for_what_no_machine_answers(desk: Desk) -> None:
    await desk.take(Submitted(complaint(1)), Submitted(complaint(2, "能开发票吗")))
    assert len(desk.answers(2)) == 1
    assert desk.orders.asked == 0


def counted() -> dict[str, float]:
    """What the metric says of answers on where an order is, by outcome."""
    found = {}
    for outcome in ("answered", "handed_over", "reopened"):
        labels = {"brand": "default", "topic": "where-is-my-order", "outcome": outcome}
        found[outcome] = REGISTRY.get_sample_value("pingxi_automatic_answers_total", labels) or 0.0
    return found


async def test_who_comes_back_after_a_machines_answer_and_the_end_is_counted_as_reopened(desk: Desk) -> None:
    before = counted()
    await desk.take(Submitted(complaint(1, QUESTION)))
    await desk.does(Resolve("r1", VAULT.seal(number(1), Personal(text="已送达")), "other"))
    for _ in range(2):
        await desk.take(told("根本没有收到", "m1"))
    assert desk.ticket().status == "in_progress"
    assert desk.kinds() == ["opened", "replied", "resolved", "customer_replied", "reopened"]
    assert {word: counted()[word] - before[word] for word in before} == {
        "answered": 1, "handed_over": 1, "reopened": 1,
    }  # fmt: skip


async def test_who_comes_back_after_the_closing_is_handed_over_to_the_people_of_a_linked_ticket(desk: Desk) -> None:
    before = counted()
    await desk.take(Submitted(complaint(1, QUESTION)))
    await desk.does(Resolve("r1", VAULT.seal(number(1), Personal(text="已送达")), "other"))
    await desk.does(Close("time"))
    await desk.take(told("根本没有收到", "m1"))
    assert desk.ticket(1).continued_by in desk.store.tickets
    assert {word: counted()[word] - before[word] for word in before} == {
        "answered": 1, "handed_over": 1, "reopened": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answered", "text"), [(True, "谢谢"), (False, "根本没有收到")], ids=["only thanks", "no machine had answered"]
)
async def test_thanks_and_tickets_no_machine_answered_aren_t_counted_as_reopened(
    desk: Desk, answered: bool, text: str
) -> None:
    before = counted()
    await desk.take(Submitted(complaint(1, QUESTION if answered else "菜送错了")))
    await desk.does(Resolve("r1", VAULT.seal(number(1), Personal(text="好了")), "other"))
    await desk.take(told(text))
    assert desk.ticket().status == ("resolved" if answered else "in_progress")
    assert counted()["reopened"] == before["reopened"]


async def test_a_message_to_a_ticket_that_was_resolved_meanwhile_opens_it_again_unanswered(desk: Desk) -> None:
    await desk.take(Submitted(complaint(1)))
    asked = await Answerer(desk, VAULT, desk.clock, Reader(), desk.orders).prepared(desk.ticket(), told(QUESTION))
    await desk.does(Resolve("r1", VAULT.seal(number(1), Personal(text="好了")), "other"))
    events = perform(desk.ticket(), asked.command, asked.cause)
    assert [event.ticket.history[-1].kind for event in events] == ["customer_replied", "reopened"]
