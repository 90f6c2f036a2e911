"""One customer, one ticket: complaints that belong to an open ticket."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from common.clock import ManualClock
from common.errors import Unavailable
from rules.bounds import MOST_MESSAGES
from rules.words import Status
from services.router.commands import Cause, Close, Command, EraseCustomer, Resolve, Submitted
from services.router.handlers import ComplaintHandler
from services.router.joining import BRAND_ASSUMED
from services.router.model import Actor, ActorKind, Complaint, Message, Personal, Ticket, Update
from services.router.policy import perform
from services.router.reading import Reader
from services.router.relay import Relay
from tests.fakes_router import INDEX, START, VAULT, FakeLog, FakeOrders, FakePictures, FakeTickets, complaint, number
from tests.unit.router.test_handlers import Book, said

AGENT = Actor(ActorKind.AGENT, "li")
RED = "菜里有虫子，孩子吃了拉肚子"
PHONE, MAIL, OTHER = "+8613900000001", "guest@example.com", "+8613900000002"


class Desk:
    """A router over fakes: complaints in, tickets out."""

    def __init__(self) -> None:
        self.clock = ManualClock(START + timedelta(seconds=1))
        self.store = FakeTickets(self.clock)
        self.log = FakeLog()
        self.pictures = FakePictures()
        self.relay = Relay(self.store, self.log, self.clock)
        self.handler = ComplaintHandler(
            self.store, self.relay, Book(self.log), VAULT, self.clock, INDEX, Reader(), self.pictures, FakeOrders()
        )

    async def take(self, *complaints: Complaint) -> None:
        await self.handler.handle([Submitted(each) for each in complaints])

    def ticket(self, n: int) -> Ticket:
        return self.store.tickets[number(n)]

    def texts(self, n: int) -> list[str]:
        """What was said to a ticket, from its description on."""
        ticket = self.ticket(n)
        sealed = [ticket.personal, *(message.content for message in ticket.messages)]
        return [VAULT.open(ticket.id, each).text for each in sealed if each is not None]

    def own(self) -> list[int]:
        """The complaints that have a ticket of their own."""
        return [n for n in range(1, 20) if (t := self.store.tickets.get(number(n))) and not t.joined]

    async def does(self, n: int, *commands: Command) -> None:
        for place, command in enumerate(commands):
            ticket = self.ticket(n)
            events = perform(ticket, command, Cause(f"c{place}{ticket.version}", self.clock.now(), AGENT))
            await self.store.save([Update(ticket.version, events)])

    async def resolve(self, n: int) -> None:
        await self.does(n, Resolve("r", VAULT.seal(number(n), Personal(text="办好了")), "other"))

    async def close(self, n: int) -> None:
        await self.resolve(n)
        await self.does(n, Close("done"))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def sent(n: int, text: str = "菜送错了", contact: str = PHONE, **changes: Any) -> Complaint:
    """A complaint of somebody without a customer id, by default about no order."""
    personal = VAULT.seal(number(n), Personal(contact=contact, text=text))
    values = {"customer_ref": f"anon-{contact}", "customer_id": "", "order_id": "", "personal": personal}
    return complaint(n, text, **{**values, **changes})


def sms(n: int, text: str = "还没有人理我", contact: str = PHONE, **changes: Any) -> Complaint:
    return sent(n, text, contact, channel="sms", **changes)


def mail(n: int, *references: str, text: str = "少送了一份", **changes: Any) -> Complaint:
    return sent(n, text, MAIL, channel="mail", mail_references=references, **changes)


async def test_the_same_order_of_the_same_customer_by_two_channels_is_one_ticket(desk: Desk) -> None:
    await desk.take(sent(1, "少送了一份", order_id="o-1"))
    await desk.take(sent(2, "少了一盒鸡蛋", order_id="o-1", channel="hotline"))
    assert desk.own() == [1]
    assert desk.texts(1) == ["少送了一份", "少了一盒鸡蛋"]
    assert desk.ticket(2).merged_into == number(1)


async def test_it_is_one_ticket_also_when_both_arrive_in_the_same_batch(desk: Desk) -> None:
    await desk.take(sent(1, order_id="o-1"), sent(2, order_id="o-1", channel="hotline"), sent(3, order_id="o-2"))
    assert desk.own() == [1, 3]
    assert len(desk.ticket(1).messages) == 1


@pytest.mark.parametrize(
    ("first", "second", "one"),
    [
        ({"customer_id": "c-1"}, {"customer_id": "c-1", "contact": OTHER}, True),
        ({"customer_id": "c-1"}, {}, True),
        ({"contact": MAIL}, {"contact": "Guest@Example.com"}, True),
        ({"contact": PHONE}, {"contact": "139 0000 0001"}, True),
        ({"customer_id": "c-1"}, {"customer_id": "c-2", "contact": OTHER}, False),
        ({"contact": PHONE}, {"contact": OTHER}, False),
        ({"brand": "default"}, {"brand": "demo"}, False),
    ],
)
async def test_a_customer_is_known_by_id_phone_or_mail_within_a_brand(
    desk: Desk, first: dict[str, Any], second: dict[str, Any], one: bool
) -> None:
    await desk.take(sent(1, order_id="o-1", **first))
    await desk.take(sent(2, order_id="o-1", **second))
    assert desk.own() == ([1] if one else [1, 2])


async def test_two_forms_without_an_order_are_two_tickets(desk: Desk) -> None:
    await desk.take(sent(1), sent(2), sent(3, channel="web"))
    assert desk.own() == [1, 2, 3]


async def test_two_texts_from_a_number_are_one_ticket(desk: Desk) -> None:
    await desk.take(sms(1, "送来的奶酸了"), sms(2, "怎么还不回"), sms(3, contact=OTHER))
    await desk.take(sms(4, "人呢"))
    assert desk.own() == [1, 3]
    assert desk.texts(1) == ["送来的奶酸了", "怎么还不回", "人呢"]


@pytest.mark.parametrize("channel", ["sms", "hotline", "wechat"])
async def test_who_writes_or_calls_without_an_order_adds_to_his_open_ticket(desk: Desk, channel: str) -> None:
    await desk.take(sent(1, order_id="o-1", customer_id="c-1"))
    await desk.take(sent(2, channel=channel))
    assert desk.own() == [1]


async def test_of_several_open_tickets_the_newest_gets_the_text(desk: Desk) -> None:
    await desk.take(sent(1, order_id="o-1"), sent(2, order_id="o-2", acknowledged_at=START + timedelta(hours=1)))
    await desk.take(sms(3))
    assert [len(desk.ticket(n).messages) for n in (1, 2)] == [0, 1]


async def test_a_text_that_names_no_brand_finds_the_ticket_of_another_brand(desk: Desk) -> None:
    await desk.take(sent(1, brand="demo"))
    await desk.take(sms(2, channel_facts={BRAND_ASSUMED: "true"}), sms(3))
    assert desk.own() == [1, 3]
    assert desk.ticket(2).merged_into == number(1)


async def test_a_mail_adds_to_the_ticket_that_knows_a_message_it_refers_to(desk: Desk) -> None:
    await desk.take(mail(1, "<a@x>"))
    await desk.take(mail(2, "<b@x>", "<a@x>"))
    await desk.take(mail(3, "<c@x>", "<b@x>"), mail(4, "<d@x>"))
    assert desk.own() == [1, 4]
    assert len(desk.ticket(1).messages) == 2


async def test_a_stranger_who_refers_to_a_mail_gets_a_ticket_of_his_own(desk: Desk) -> None:
    await desk.take(mail(1, "<a@x>"))
    await desk.take(sent(2, contact=OTHER, channel="mail", mail_references=("<b@x>", "<a@x>")))
    assert desk.own() == [1, 2]


async def test_the_number_of_his_ticket_leads_a_customer_there(desk: Desk) -> None:
    await desk.take(sent(1), sent(2))
    await desk.take(sent(3, channel="mail", thread_ticket=number(2)))
    assert desk.ticket(3).merged_into == number(2)


async def test_the_number_of_somebody_elses_ticket_only_links(desk: Desk) -> None:
    await desk.take(sent(1))
    await desk.take(sent(2, contact=MAIL, channel="mail", thread_ticket=number(1)))
    assert desk.own() == [1, 2]
    assert desk.ticket(2).linked == (number(1),)
    assert desk.texts(1) == ["菜送错了"]


async def test_a_red_complaint_never_disappears_in_an_ordinary_ticket(desk: Desk) -> None:
    await desk.take(sent(1, order_id="o-1"))
    await desk.take(sent(2, RED, order_id="o-1"), sent(3, RED, order_id="o-1", channel="hotline"))
    assert desk.own() == [1, 2]
    assert desk.ticket(2).red
    assert desk.ticket(2).linked == (number(1),)
    assert desk.ticket(3).merged_into == number(2)


async def test_an_ordinary_complaint_joins_a_red_ticket(desk: Desk) -> None:
    await desk.take(sms(1, RED))
    await desk.take(sms(2), sms(3, RED))
    assert desk.own() == [1]


async def test_a_complaint_about_what_was_resolved_opens_it_again(desk: Desk) -> None:
    await desk.take(sms(1))
    await desk.resolve(1)
    await desk.take(sms(2, "谢谢"))
    assert desk.ticket(1).status is Status.RESOLVED
    await desk.take(sms(3, "根本没解决"))
    assert desk.ticket(1).status is Status.IN_PROGRESS
    assert desk.own() == [1]


async def test_after_closing_a_text_opens_a_ticket_and_further_ones_join_that(desk: Desk) -> None:
    await desk.take(sms(1))
    await desk.close(1)
    await desk.take(sms(2, "谢谢你们"))
    assert desk.own() == [1]
    await desk.take(sms(3, "又送错了"), sms(4, "快点"))
    assert desk.own() == [1, 3]
    assert desk.texts(3) == ["又送错了", "快点"]


async def test_a_reply_to_a_closed_ticket_opens_one_that_is_linked(desk: Desk) -> None:
    await desk.take(mail(1, "<a@x>"))
    await desk.close(1)
    await desk.take(mail(2, "<b@x>", "<a@x>", thread_ticket=number(1)), mail(3, "<c@x>", "<b@x>"))
    assert desk.own() == [1, 2]
    assert desk.ticket(2).linked == (number(1),)
    assert desk.ticket(3).merged_into == number(2)


async def test_what_joined_is_told_as_merged_once_and_no_clock_of_it_goes_on(desk: Desk) -> None:
    await desk.take(sent(1, order_id="o-1"), sent(2, order_id="o-1", customer_id="c-9"))
    (event,) = desk.log.events(number(2))
    assert event.version == 1
    assert event.merged.into == number(1)
    assert event.snapshot.merged_into == number(1)
    assert {course.over for course in event.snapshot.clock_facts.courses} == {"merged"}
    assert event.snapshot.customer_ref == f"anon-{PHONE}", "who holds its number is led to the survivor"


async def test_a_repeat_changes_nothing_whatever_has_become_of_the_ticket(desk: Desk) -> None:
    complaints = [sms(1), sms(2, "快点")]
    await desk.take(*complaints)
    await desk.take(*complaints)
    assert desk.texts(1) == ["还没有人理我", "快点"]
    await desk.close(1)
    await desk.take(sms(3, "又送错了"))
    before = dict(desk.store.tickets)
    await desk.take(*complaints)
    assert desk.store.tickets == before


async def test_a_message_to_what_joined_reaches_the_survivor(desk: Desk) -> None:
    await desk.take(sms(1))
    await desk.handler.handle([Submitted(sms(2, "快点")), said(2, "m1")])
    await desk.handler.handle([said(2, "m2")])
    assert desk.texts(1) == ["还没有人理我", "快点", "还没到", "还没到"]


@pytest.mark.parametrize("acknowledged", range(4))
async def test_wherever_it_dies_the_repeat_ends_in_the_same(desk: Desk, acknowledged: int) -> None:
    desk.log.fails_after = acknowledged
    batch = [sms(1), sms(2, "快点"), sms(3, "人呢")]
    try:
        await desk.take(*batch)
    except Unavailable:
        desk.log.fails_after = None
        await desk.take(*batch)
    assert desk.own() == [1]
    assert desk.texts(1) == ["还没有人理我", "快点", "人呢"]
    await desk.relay.clear()
    assert await desk.store.pending() == 0
    versions = [event.version for event in desk.log.events(number(1))]
    assert sorted(set(versions)) == [1, 2, 3]


async def test_who_loses_the_claim_to_another_process_joins_it(desk: Desk) -> None:
    class Late(FakeTickets):
        """Another process opens its ticket just before ours is stored."""

        overtaken = False

        async def add(self, updates: Sequence[Update]) -> set[str]:
            if not self.overtaken:
                self.overtaken = True
                await desk.take(sms(9, "先到"))
            return await super().add(updates)

    late = Late(desk.clock)
    late.__dict__.update(desk.store.__dict__)
    handler = ComplaintHandler(
        late,
        Relay(late, desk.log, desk.clock),
        Book(desk.log),
        VAULT,
        desk.clock,
        INDEX,
        Reader(),
        desk.pictures,
        FakeOrders(),
    )
    await handler.handle([Submitted(sms(1, "后到"))])
    assert desk.own() == [9]
    assert desk.texts(9) == ["先到", "后到"]


async def test_erasing_lets_go_of_claims(desk: Desk) -> None:
    await desk.take(sms(1))
    await desk.does(1, EraseCustomer())
    await desk.take(sms(2))
    assert desk.own() == [1, 2]


async def test_the_pictures_of_what_joined_belong_to_the_survivor(desk: Desk) -> None:
    for picture in ("p1", "p2", "p3"):
        desk.pictures.add(picture, START)
    await desk.take(sms(1, images=("p1",)), sms(2, images=("p2",)))
    await desk.take(sms(2, images=("p2",)), sms(3, contact=OTHER, images=("p3",)))
    assert desk.pictures.pictures == {"p1": {number(1)}, "p2": {number(1)}, "p3": {number(3)}}
    assert desk.ticket(1).messages[0].images == ("p2",)
    assert desk.ticket(2).images == ()


async def test_who_goes_on_and_on_gets_another_ticket(desk: Desk) -> None:
    await desk.take(sms(1))
    full = desk.ticket(1)
    message = Message("m", START, Actor(ActorKind.CUSTOMER), None)
    desk.store.tickets[full.id] = replace(full, messages=(message,) * MOST_MESSAGES)
    await desk.take(sms(2, "还有"), sms(3, "再说"))
    assert desk.own() == [1, 2]
    assert desk.texts(2) == ["还有", "再说"]
