"""What any store of claims must do; run against the fake and the real one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from services.notifier.model import CUSTOMER, Delivery, Event, Notification, State
from services.notifier.ports import Claims

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def notification(id_: str = "n1", ticket: str = "T1", recipient: str = CUSTOMER) -> Notification:
    return Notification(
        id=id_, event=Event.CONFIRMATION, ticket_id=ticket, brand="default", recipient=recipient, at=NOW
    )


def delivery(id_: str = "n1", ticket: str = "T1", state: State = State.DELIVERED) -> Delivery:
    return Delivery(
        id=id_,
        ticket_id=ticket,
        brand="default",
        event="confirmation",
        channel="sms",
        recipient="+86138****1111",
        state=state,
        at=NOW,
        provider_id="p1",
    )


async def rows(claims: Claims, ticket: str = "T1") -> Sequence[Delivery]:
    return await claims.of_ticket(ticket, "", 100)


class ClaimsBehaviour:
    async def test_a_new_message_is_claimed_and_a_known_one_says_its_state(self, claims: Claims) -> None:
        assert await claims.claim(notification(), NOW) is State.CLAIMED
        assert await claims.claim(notification(), NOW) is State.CLAIMED
        await claims.record([delivery()])
        assert await claims.claim(notification(), NOW) is State.DELIVERED

    async def test_a_claim_after_the_record_leaves_the_record_as_it_is(self, claims: Claims) -> None:
        await claims.record([delivery(state=State.FAILED)])
        assert await claims.claim(notification(), NOW) is State.FAILED
        assert await rows(claims) == [delivery(state=State.FAILED)]

    async def test_recording_twice_changes_nothing(self, claims: Claims) -> None:
        await claims.record([delivery(), delivery("n2")])
        await claims.record([delivery()])
        assert await rows(claims) == [delivery(), delivery("n2")]

    async def test_deliveries_are_those_of_the_ticket_by_id_page_by_page(self, claims: Claims) -> None:
        await claims.record([delivery(f"n{i}", "T1" if i % 2 else "T2") for i in range(6)])
        assert [row.id for row in await claims.of_ticket("T1", "", 2)] == ["n1", "n3"]
        assert [row.id for row in await claims.of_ticket("T1", "n3", 2)] == ["n5"]

    async def test_what_is_claimed_is_listed_masked(self, claims: Claims) -> None:
        await claims.claim(notification(recipient="+8613800001111"), NOW)
        expected = replace(delivery(state=State.CLAIMED), channel="", provider_id="")
        assert await rows(claims) == [expected]

    async def test_nothing_to_record_is_fine(self, claims: Claims) -> None:
        await claims.record([])
        assert await rows(claims) == []
