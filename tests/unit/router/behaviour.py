"""How a `Tickets` store behaves, whatever it is made of: run over the fake and over the real database."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from common.clock import ManualClock
from rules.model import ComplaintFacts
from rules.routing import decide
from rules.words import Status
from services.router.commands import (
    Assign,
    Cause,
    Command,
    EraseCustomer,
    NoteRemedy,
    Reply,
    RequestInformation,
    Resolve,
)
from services.router.model import Actor, ActorKind, Complaint, Personal, Remedy, Ticket, Update
from services.router.policy import apply, open_ticket
from services.router.ports import Filter, Position
from tests.fakes_router import START, VAULT, complaint, policies

AGENT = Actor(ActorKind.AGENT, "li")


def opened(of: Complaint) -> Update:
    """The first update of a complaint's ticket."""
    brand = policies()[of.brand]
    text = VAULT.open(of.ticket_id, of.personal).text
    decision = decide(brand, ComplaintFacts(of.declared, text, of.brand, of.channel))
    return Update(0, (open_ticket(of, decision, brand, START + timedelta(seconds=1), "00-" + "a" * 32),))


def assigned(ticket: Ticket, to: str = "li", cause: str = "command:1") -> Update:
    """An update that assigns the ticket."""
    event = apply(ticket, Assign(to), Cause(cause, START + timedelta(seconds=2), AGENT))
    assert event is not None
    return Update(ticket.version, (event,))


class TicketsBehaviour:
    """Subclasses give `store` (on `clock`)."""

    async def test_a_ticket_comes_back_as_it_was_stored(self, store: Any) -> None:
        update = opened(complaint(1, "菜里有虫子", images=("i1",), channel_facts={"callId": "7"}))
        assert await store.add([update]) == set()
        assert await store.get(update.ticket.id) == update.ticket
        reply = Reply("m1", VAULT.seal(update.ticket.id, Personal(text="马上处理")), ("i2",))
        event = apply(update.ticket, reply, Cause("command:2", START + timedelta(microseconds=7), AGENT, "why"))
        assert event is not None
        assert await store.save([Update(1, (event,))])
        assert await store.get_many([update.ticket.id, "none"]) == {update.ticket.id: event.ticket}

    async def test_a_new_ticket_never_replaces_one_that_exists(self, store: Any) -> None:
        first, other, new = opened(complaint(1)), opened(complaint(1, fingerprint="other")), opened(complaint(2))
        await store.add([first])
        assert await store.add([other, new]) == {first.ticket.id}
        assert (await store.get(first.ticket.id)).fingerprint == "print-1"
        assert await store.get(new.ticket.id) == new.ticket
        assert len(await store.uncleared([first.ticket.id])) == 1

    async def test_a_change_of_an_older_version_is_not_stored(self, store: Any) -> None:
        first, second = opened(complaint(1)), opened(complaint(2))
        await store.add([first, second])
        assert await store.save([assigned(first.ticket)])
        assert not await store.save([assigned(first.ticket, "wang"), assigned(second.ticket)])
        assert (await store.get(first.ticket.id)).assignee == "li"
        assert (await store.get(second.ticket.id)).assignee == "li"
        assert not await store.save([assigned(first.ticket, "wang")])

    async def test_the_outbox_keeps_events_in_order_until_they_are_cleared(self, store: Any) -> None:
        first, second = opened(complaint(1)), opened(complaint(2))
        await store.add([first, second])
        await store.save([assigned(first.ticket)])
        ids = [first.ticket.id, second.ticket.id]
        events = await store.uncleared(ids)
        assert sorted((e.ticket_id, e.version) for e in events) == sorted([(ids[0], 1), (ids[0], 2), (ids[1], 1)])
        assert [e.version for e in events if e.ticket_id == ids[0]] == [1, 2]
        assert next(e for e in events if e.ticket_id == ids[1]).trace == "00-" + "a" * 32
        assert await store.pending() == 3
        await store.clear({ids[0]: 1, ids[1]: 1})
        assert [(e.ticket_id, e.version) for e in await store.uncleared(ids)] == [(ids[0], 2)]
        assert await store.leftovers(timedelta(), 10) == [ids[0]]
        await store.clear({ids[0]: 2})
        assert await store.pending() == 0
        assert await store.leftovers(timedelta(), 10) == []

    async def test_tickets_at_different_versions_are_cleared_together(self, store: Any) -> None:
        first, second, third = (opened(complaint(n)) for n in (1, 2, 3))
        await store.add([first, second, third])
        await store.save([assigned(first.ticket), assigned(second.ticket)])
        await store.clear({first.ticket.id: 2, second.ticket.id: 1, third.ticket.id: 1})
        left = await store.uncleared([each.ticket.id for each in (first, second, third)])
        assert [(e.ticket_id, e.version) for e in left] == [(second.ticket.id, 2)]
        assert await store.leftovers(timedelta(), 10) == [second.ticket.id]

    async def test_leftovers_are_those_nobody_touched_for_a_while(self, store: Any, clock: ManualClock) -> None:
        await store.add([opened(complaint(1))])
        clock.advance(timedelta(seconds=3))
        await store.add([opened(complaint(2))])
        assert await store.leftovers(timedelta(seconds=2), 10) == [complaint(1).ticket_id]
        assert await store.leftovers(timedelta(), 10) == [complaint(1).ticket_id, complaint(2).ticket_id]
        assert await store.leftovers(timedelta(), 1) == [complaint(1).ticket_id]

    async def test_pages_hold_every_ticket_once_also_where_times_are_equal(self, store: Any) -> None:
        tickets = [
            opened(complaint(n, acknowledged_at=START + timedelta(seconds=n // 3))).ticket.id for n in range(1, 12)
        ]
        await store.add([opened(complaint(n, acknowledged_at=START + timedelta(seconds=n // 3))) for n in range(1, 12)])
        for order in ("acknowledged_at", "-acknowledged_at", "due"):
            pages = await self._pages(store, order, 4)
            assert sorted(ticket.id for page in pages for ticket in page) == sorted(tickets)
            times = [ticket.facts.acknowledged_at for page in pages for ticket in page]
            assert times == sorted(times, reverse=order.startswith("-"))

    async def _pages(self, store: Any, order: str, size: int) -> Sequence[Sequence[Ticket]]:
        pages: list[list[Ticket]] = []
        after: Position | None = None
        while rows := await store.find(Filter(), order, after, size):
            pages.append([ticket for ticket, _ in rows])
            after = rows[-1][1]
        return pages

    async def test_filters_are_and_between_fields_and_or_within(self, store: Any) -> None:
        red, plain = opened(complaint(1, "菜里有虫子")), opened(complaint(2))
        demo = opened(complaint(3, brand="demo", acknowledged_at=START + timedelta(days=1)))
        await store.add([red, plain, demo])
        await store.save([assigned(plain.ticket)])

        async def found(**parts: Any) -> set[str]:
            return {ticket.id for ticket, _ in await store.find(Filter(**parts), "due", None, 10)}

        ids = [update.ticket.id for update in (red, plain, demo)]
        assert await found() == set(ids)
        assert await found(brands=("default",)) == {ids[0], ids[1]}
        assert await found(brands=("default", "demo"), queues=(red.ticket.queue,)) == {ids[0]}
        assert await found(statuses=(Status.IN_PROGRESS, Status.RESOLVED)) == {ids[1]}
        assert await found(assignees=("li",), priorities=(plain.ticket.priority,)) == {ids[1]}
        assert await found(categories=(red.ticket.category,)) == {ids[0]}
        assert await found(customer_id="customer-2") == {ids[1]}
        assert await found(customer_ref="ref-2", order_id="order-2") == {ids[1]}
        assert await found(region="north") == set()
        assert await found(acknowledged_from=START + timedelta(microseconds=1)) == {ids[2]}
        assert await found(acknowledged_to=START) == set()

    async def test_open_tickets_are_counted_by_queue_and_priority(self, store: Any) -> None:
        await store.add([opened(complaint(1)), opened(complaint(2)), opened(complaint(3, "菜里有虫子"))])
        counts = await store.open_by_queue()
        assert sum(counts.values()) == 3
        assert sorted(counts.values()) == [1, 2]

    async def test_due_actions_are_those_whose_time_has_come_until_settled_or_changed(self, store: Any) -> None:
        asked, other = opened(complaint(1)), opened(complaint(2))
        await store.add([asked, other])
        question = RequestInformation("m1", VAULT.seal(asked.ticket.id, Personal(text="?")))
        event = apply(asked.ticket, question, Cause("command:q", START, AGENT))
        assert event is not None
        await store.save([Update(1, (event,))])
        maximum = START + timedelta(hours=72)
        assert await store.due_actions(maximum - timedelta(seconds=1), 10) == []
        assert await store.due_actions(maximum, 10) == [event.ticket]
        await store.settle(asked.ticket)
        assert await store.due_actions(maximum, 10) == [event.ticket], "an older version settles nothing"
        await store.settle(event.ticket)
        assert await store.due_actions(maximum, 10) == []
        await store.settle(event.ticket, maximum + timedelta(hours=1))
        assert await store.due_actions(maximum, 10) == []
        assert await store.due_actions(maximum + timedelta(hours=1), 10) == [event.ticket]
        resolve = Resolve("m2", VAULT.seal(asked.ticket.id, Personal(text="!")), "other")
        again = apply(event.ticket, resolve, Cause("command:r", START, AGENT))
        assert again is not None
        await store.save([Update(2, (again,))])
        assert await store.due_actions(START + timedelta(days=7), 10) == [again.ticket]

    async def test_unheard_are_open_tickets_nothing_was_armed_for_in_time(self, store: Any, clock: ManualClock) -> None:
        await store.heard({complaint(1).ticket_id: 0})
        await store.add([opened(complaint(n)) for n in (1, 2)])
        assert await store.unheard(clock.now() + timedelta(seconds=59), 10) == []
        later = clock.now() + timedelta(seconds=61)
        assert [ticket.id for ticket in await store.unheard(later, 10)] == [complaint(2).ticket_id]
        await store.expect([complaint(2).ticket_id], later + timedelta(minutes=5))
        assert await store.unheard(later, 10) == []
        await store.heard({complaint(2).ticket_id: 1, complaint(1).ticket_id: 2})
        assert await store.unheard(later + timedelta(minutes=5), 10) == []

    async def test_a_change_that_moves_a_clock_is_waited_for_at_its_version_or_later(
        self, store: Any, clock: ManualClock
    ) -> None:
        event = opened(complaint(1)).events[-1]
        await store.add([opened(complaint(1))])
        await store.heard({event.ticket.id: 0})
        clock.advance(timedelta(seconds=61))
        assert await store.unheard(clock.now(), 10) == []
        noted = await self.changed(store, event.ticket, NoteRemedy("r1", "done"))
        clock.advance(timedelta(seconds=61))
        assert await store.unheard(clock.now(), 10) == [], "no clock has to do with it"
        question = RequestInformation("m1", VAULT.seal(noted.id, Personal(text="?")))
        asked = await self.changed(store, noted, question)
        assert asked.version == 3
        assert await store.unheard(clock.now() + timedelta(seconds=59), 10) == []
        clock.advance(timedelta(seconds=61))
        await store.heard({asked.id: 2})
        assert await store.unheard(clock.now(), 10) == [asked], "what was armed before says nothing of this change"
        await store.expect([asked.id], clock.now() + timedelta(minutes=5))
        clock.advance(timedelta(minutes=5))
        assert await store.unheard(clock.now(), 10) == [asked]
        await store.heard({asked.id: 3})
        assert await store.unheard(clock.now(), 10) == []
        clock.advance(timedelta(days=1))
        assert await store.unheard(clock.now(), 10) == [], "heard of, and settled"

    async def changed(self, store: Any, ticket: Ticket, command: Command) -> Ticket:
        event = apply(ticket, command, Cause(f"command:{command}", START, AGENT))
        assert event is not None
        assert await store.save([Update(ticket.version, (event,))])
        return event.ticket

    async def test_tickets_are_found_by_all_their_terms_until_they_are_erased(self, store: Any) -> None:
        first, second = opened(complaint(1)), opened(complaint(2))
        await store.add([replace(first, terms=("a", "b")), replace(second, terms=("b", "c"))])

        async def found(*terms: str) -> set[str]:
            return {ticket.id for ticket, _ in await store.find(Filter(terms=terms), "acknowledged_at", None, 10)}

        assert await found("b") == {first.ticket.id, second.ticket.id}
        assert await found("a", "b") == {first.ticket.id}
        assert await found("a", "c") == set()
        event = apply(first.ticket, EraseCustomer(), Cause("erase:1", START, AGENT))
        assert event is not None
        await store.save([Update(1, (event,))])
        assert await found("b") == {second.ticket.id}

    async def test_what_goes_out_with_an_event_stays_with_it(self, store: Any) -> None:
        first = opened(complaint(1))
        await store.add([first])
        remedy = Remedy("r1", "refund", "CNY", 500, original_payment=True)
        resolve = Resolve("m", VAULT.seal(first.ticket.id, Personal(text="!")), "refund", "CNY", 500, remedy)
        event = apply(first.ticket, resolve, Cause("command:r", START, AGENT))
        assert event is not None
        await store.save([Update(1, (event,))])
        sent = (await store.uncleared([first.ticket.id]))[1].messages()
        assert [(message.topic, message.key) for message in sent] == [
            ("tickets.v1", first.ticket.id),
            ("remedies.v1", "order-1"),
        ]
        assert sent[1].body.amount.amount_minor == 500

    async def test_a_claim_is_held_by_one_ticket_until_it_lets_go(self, store: Any) -> None:
        first, second, third = (opened(complaint(n)) for n in (1, 2, 3))
        ids = [update.ticket.id for update in (first, second, third)]
        assert await store.add([replace(first, claims=("a", "b")), replace(second, claims=("b", "c")), third]) == {
            ids[1]
        }
        assert await store.get(ids[1]) is None
        assert await store.holders(["a", "b", "c"]) == {"a": ids[0], "b": ids[0]}
        await store.release(ids[0], ["b", "x"])
        await store.save([assigned(await store.get(ids[0]))])
        assert await store.add([replace(second, claims=("b", "c"))]) == set()
        assert await store.holders(["a", "b", "c"]) == {"a": ids[0], "b": ids[1], "c": ids[1]}

    async def test_an_erased_ticket_holds_nothing(self, store: Any) -> None:
        first = opened(complaint(1))
        await store.add([replace(first, claims=("a",))])
        event = apply(first.ticket, EraseCustomer(), Cause("erase:1", START, AGENT))
        assert event is not None
        await store.save([Update(1, (event,))])
        assert await store.holders(["a"]) == {}
