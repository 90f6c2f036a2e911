"""Claim, send, tell, record: what happens when each of them fails."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from common.clock import ManualClock
from common.errors import Poison, Refused, Unavailable
from services.notifier.handlers import Notifier, Patience, keep_records
from services.notifier.model import CUSTOMER, Event, Message, Notification, Person, State, Way, Why
from tests.unit.notifier.behaviour import NOW, ClaimsBehaviour
from tests.unit.notifier.fakes import FakeClaims, FakeOutcomes, FakeProvider, FakeTickets

CONTACT = "+8613800001111"


class Plain:
    """Writes the facts that matter to these tests."""

    def locale(self, brand: str, wanted: str) -> str:
        if brand != "default":
            raise Poison("unknown_brand", brand)
        return wanted or "zh-CN"

    def write(self, notification: Notification, way: Way, locale: str, now: object, text: str) -> str:
        return f"{notification.event} {locale} {text}".strip()

    def preview(self, *_: object) -> str:
        raise NotImplementedError


class World:
    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.claims = FakeClaims()
        self.tickets = FakeTickets()
        self.provider = FakeProvider()
        self.outcomes = FakeOutcomes()
        self.tickets.people["T1"] = Person(CONTACT, "en", {"m1": "your refund is on its way"})
        self.notifier = Notifier(
            self.claims,
            self.tickets,
            self.provider,
            self.outcomes,
            Plain(),
            self.clock,
            lambda: 0.5,
            Patience(provider=120.0, unknown_ticket=30.0, at_once=2),
        )

    async def deliver(self, *owed: Notification) -> None:
        await self.notifier.deliver_all(owed)

    @property
    def sent(self) -> Sequence[Message]:
        return list(self.provider.taken.values())

    @property
    def told(self) -> list[tuple[str, State, str]]:
        return [(d.id, d.state, d.why) for d in self.outcomes.published]


@pytest.fixture
def world() -> World:
    return World()


CONFIRMATION = Notification(
    id="n1", event=Event.CONFIRMATION, ticket_id="T1", brand="default", recipient=CUSTOMER, at=NOW, locale="zh-CN"
)
REPLY = replace(CONFIRMATION, id="n2", event=Event.REPLY, message_id="m1")
VOUCHER = replace(CONFIRMATION, id="n3", event=Event.VOUCHER, locale="")
STAFF = Notification(
    id="s1",
    event=Event.ESCALATION,
    ticket_id="T1",
    brand="default",
    recipient="role:supervisor",
    at=NOW,
    ways=(Way.ROBOT, Way.SMS),
)


class TestFakeClaims(ClaimsBehaviour):
    @pytest.fixture
    def claims(self) -> FakeClaims:
        return FakeClaims()


async def test_a_message_is_sent_told_and_recorded(world: World) -> None:
    await world.deliver(CONFIRMATION)
    [message] = world.sent
    assert (message.key, message.recipient, message.channel, message.locale) == ("n1", CONTACT, Way.SMS, "zh-CN")
    assert world.told == [("n1", State.DELIVERED, "")]
    row = world.claims.rows["n1"]
    assert (row.state, row.recipient, row.provider_id) == (State.DELIVERED, "+86138****1111", "p-n1")


async def test_what_is_recorded_as_delivered_is_never_sent_again(world: World) -> None:
    await world.deliver(CONFIRMATION, CONFIRMATION)
    await world.deliver(CONFIRMATION)
    assert len(world.provider.posts) == 1
    assert len(world.told) == 1


async def test_the_desks_text_is_fetched_when_it_is_sent(world: World) -> None:
    await world.deliver(REPLY)
    assert world.sent[0].text == "reply zh-CN your refund is on its way"


async def test_a_reply_whose_text_is_gone_is_not_sent(world: World) -> None:
    await world.deliver(replace(REPLY, message_id="erased"))
    assert world.sent == []
    assert world.told == [("n2", State.FAILED, Why.NO_CONTACT)]


async def test_a_resolution_without_words_of_the_desk_is_told_all_the_same(world: World) -> None:
    await world.deliver(replace(REPLY, event=Event.RESOLUTION, message_id="silent"))
    assert world.sent[0].text == "resolution zh-CN"


async def test_a_voucher_is_told_in_the_tickets_language(world: World) -> None:
    await world.deliver(VOUCHER)
    assert world.sent[0].locale == "en"


async def test_a_crash_after_sending_repeats_with_the_same_key(world: World) -> None:
    world.outcomes.away = True
    with pytest.raises(Unavailable):
        await world.deliver(CONFIRMATION)
    world.outcomes.away = False
    await world.deliver(CONFIRMATION)
    assert [post.key for post in world.provider.posts] == ["n1", "n1"]
    assert len(world.sent) == 1
    assert world.told == [("n1", State.DELIVERED, "")]


async def test_a_provider_that_fails_is_tried_again_within_bounds(world: World) -> None:
    world.provider.troubles = [Unavailable("503")] * 5
    await world.deliver(CONFIRMATION)
    assert len(world.provider.posts) == 6
    assert world.told == [("n1", State.DELIVERED, "")]
    assert timedelta(seconds=5) < world.clock.now() - NOW < timedelta(seconds=8)


async def test_a_provider_that_never_works_is_given_up_after_two_minutes(world: World) -> None:
    world.provider.refuses = {Way.SMS: Unavailable("503")}
    await world.deliver(CONFIRMATION)
    assert world.told == [("n1", State.FAILED, Why.GAVE_UP)]
    assert timedelta(seconds=100) < world.clock.now() - NOW <= timedelta(seconds=120)


async def test_a_wrong_number_is_never_tried_again(world: World) -> None:
    world.provider.troubles = [Refused("400")]
    await world.deliver(CONFIRMATION)
    await world.deliver(CONFIRMATION)
    assert len(world.provider.posts) == 1
    assert world.told == [("n1", State.FAILED, Why.REFUSED)]


async def test_staff_are_told_by_the_next_way_when_one_fails(world: World) -> None:
    world.provider.refuses = {Way.ROBOT: Refused("410")}
    await world.deliver(STAFF)
    [message] = world.sent
    assert message.channel is Way.SMS
    assert world.told == [("s1", State.DELIVERED, "")]


async def test_staff_by_no_way_is_one_failure(world: World) -> None:
    world.provider.refuses = {Way.ROBOT: Refused("410"), Way.SMS: Refused("400")}
    await world.deliver(STAFF)
    assert world.told == [("s1", State.FAILED, Why.REFUSED)]


async def test_an_old_event_is_recorded_as_expired_and_not_sent(world: World) -> None:
    world.clock.advance(timedelta(hours=24, seconds=1))
    await world.deliver(CONFIRMATION, STAFF)
    assert world.provider.posts == []
    assert world.tickets.asked == 0
    assert sorted(world.told) == [("n1", State.EXPIRED, "expired"), ("s1", State.EXPIRED, "expired")]


async def test_a_ticket_nobody_knows_is_waited_for_within_bounds(world: World) -> None:
    world.tickets.unknown_for = 3
    await world.deliver(CONFIRMATION)
    assert world.told == [("n1", State.DELIVERED, "")]


async def test_a_ticket_that_stays_unknown_fails_for_want_of_a_contact(world: World) -> None:
    await world.deliver(replace(CONFIRMATION, ticket_id="T9"))
    assert world.told == [("n1", State.FAILED, Why.NO_CONTACT)]
    assert timedelta(seconds=14) < world.clock.now() - NOW <= timedelta(seconds=30)


async def test_a_voucher_without_a_ticket_has_no_contact_and_waits_for_nobody(world: World) -> None:
    await world.deliver(replace(VOUCHER, ticket_id=""))
    assert world.told == [("n3", State.FAILED, Why.NO_CONTACT)]
    assert world.clock.now() == NOW


async def test_an_erased_contact_gets_nothing(world: World) -> None:
    world.tickets.people["T1"] = Person("", "zh-CN", {})
    await world.deliver(CONFIRMATION)
    assert world.told == [("n1", State.FAILED, Why.NO_CONTACT)]


async def test_the_router_away_is_waited_for_and_other_tickets_go_on(world: World) -> None:
    world.tickets.away = True
    with pytest.raises(Unavailable):
        await world.deliver(CONFIRMATION, replace(STAFF, ticket_id="T2"))
    assert [message.key for message in world.sent] == ["s1"]
    world.tickets.away = False
    await world.deliver(CONFIRMATION, replace(STAFF, ticket_id="T2"))
    assert sorted(message.key for message in world.sent) == ["n1", "s1"]
    assert len(world.provider.posts) == 2


async def test_the_database_away_doesnt_hold_up_staff(world: World) -> None:
    world.claims.away = True
    await world.deliver(STAFF)
    assert [message.key for message in world.sent] == ["s1"]
    assert world.told == [("s1", State.DELIVERED, "")]


async def test_the_database_away_holds_up_customers(world: World) -> None:
    world.claims.away = True
    with pytest.raises(Unavailable):
        await world.deliver(CONFIRMATION)
    assert world.provider.posts == []


async def test_what_couldnt_be_recorded_is_recorded_from_what_was_published(world: World) -> None:
    world.claims.away = True
    await world.deliver(STAFF)
    with pytest.raises(Unavailable):
        await keep_records(world.claims, world.outcomes.published)
    world.claims.away = False
    await keep_records(world.claims, [*world.outcomes.published, *world.outcomes.published])
    assert world.claims.rows["s1"].state is State.DELIVERED
    await world.deliver(STAFF)
    assert len(world.provider.posts) == 1


async def test_messages_of_a_ticket_keep_their_order(world: World) -> None:
    world.provider.troubles = [Unavailable("503")] * 3
    await world.deliver(CONFIRMATION, REPLY, VOUCHER)
    assert [message.key for message in world.sent] == ["n1", "n2", "n3"]


async def test_an_unknown_brand_is_poison_even_beside_a_part_that_is_away(world: World) -> None:
    world.tickets.away = True
    with pytest.raises(Poison, match="unknown_brand"):
        await world.deliver(CONFIRMATION, replace(STAFF, ticket_id="T2", brand="nobody"))
