"""Plays the day and tells what is seen of it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pymongo.errors import PyMongoError

from common.clock import Clock
from deploy.demo.claims import CLAIM, Claims, claimed
from deploy.demo.day import SURGE_AT, Complaint
from deploy.demo.orders import ORDERS, Order, about
from deploy.demo.people import APOLOGY, SUPERVISOR, Customers, Desk
from deploy.demo.sighting import HTTP, INCIDENT, MONGODB, OUTBOX, TALLY, Sighting
from deploy.demo.steps import ANSWERED, CUSTOMER_EVENTS, LATE_ORDER, UNANSWERED
from deploy.demo.story import Stories, Story
from deploy.demo.surge import REASON, SURGE, orders_of
from deploy.demo.telling import Row, Teller
from deploy.demo.watching import DEAD_LETTERS, Queue, TicketLook

# Something too much has this long to show itself: a second message, or a breach after a kept promise.
QUIET_SECONDS = 2.0
PLAIN_PROGRESS_SECONDS = 10.0
STORED_SECONDS = 60.0
Action = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Trigger:
    """What the demo does, once, when all of `needs` were seen."""

    story: Story
    needs: Sequence[str]
    action: Action


class Play:
    """One day. `run` returns when both stories are told to the end and the day is over, or the bound has passed."""

    def __init__(
        self, complaints: Sequence[Complaint], customers: Customers, desk: Desk, look: TicketLook, clock: Clock,
        queue: Queue, teller: Teller, bound: float, late: Order, claims: Claims, disputed: Order,
    ) -> None:  # fmt: skip
        self._complaints = complaints
        self._customers = customers
        self._desk = desk
        self._look = look
        self._clock = clock
        self._queue = queue
        self._teller = teller
        self._bound = bound
        self._by_customer = {each.customer_id: each for each in complaints}
        self._by_story = {each.story: each for each in complaints if each.story}
        self._unanswered = Story("A", "nobody answers", UNANSWERED)
        self._answered = Story("B", "answered in time", ANSWERED)
        self._surge = Story("C", "a surge at one shop", SURGE)
        self._late = late
        self._late_order = Story("D", "late, and nobody complains", LATE_ORDER)
        self._claims = claims
        self._disputed = disputed
        self._claim = Story("E", "a claim that is looked at", CLAIM)
        self._told = (self._unanswered, self._answered, self._surge, self._late_order, self._claim)
        self._stories = Stories(self._told)
        self._triggers = self._make_triggers()
        self._counts: Counter[str] = Counter()
        self._known: set[tuple[str, str]] = set()
        # What each order got for the incident.
        self._vouchers: dict[str, set[str]] = {}
        self._minute = complaints[0].clock
        self._sent = 0
        self._stored = 0
        self._dead: list[str] = []
        self._acting: set[asyncio.Task[None]] = set()
        self._group = asyncio.TaskGroup()

    async def run(self, watches: Sequence[Callable[[], Awaitable[None]]]) -> list[Row]:
        """The table's rows. Raises ExceptionGroup where something went wrong that isn't one of its steps."""
        async with self._group as group:
            background = [group.create_task(_coroutine(watch())) for watch in (*watches, self._tell, self._report)]
            try:
                await self._send_all()
                last = self._clock.monotonic() + self._bound
                await self._until(lambda: not any(story.missing for story in self._told), last)
                await self._count_stored()
            finally:
                self._teller.end_progress()
                for task in (*background, *self._acting):
                    task.cancel()
        return self._rows()

    def _make_triggers(self) -> list[Trigger]:
        a, b = self._unanswered, self._answered
        first, second = self._by_story["unanswered"], self._by_story["answered"]

        async def tap_again() -> None:
            await self._customers.complain(first, "repeated")

        async def compensated() -> None:
            await self._customers.progress(
                a.ticket, a.token, lambda page: bool(page["status"] == "resolved" and page["compensation"])
            )

        return [
            Trigger(a, ["received"], tap_again),
            Trigger(a, ["routed"], lambda: self._look.ticket(a.ticket, first.customer_id)),
            Trigger(
                a, ["voucher told", "level 2 told"], lambda: self._desk.acknowledge(a.ticket, a.facts["escalation"])
            ),
            Trigger(a, ["acknowledged"], lambda: self._desk.resolve(a.ticket, SUPERVISOR, APOLOGY)),
            Trigger(a, ["resolved"], compensated),
            Trigger(a, ["resolution told"], lambda: self._desk.call_back(a.ticket, SUPERVISOR)),
            Trigger(a, [step.name for step in a.steps[:-1]], self._tally_once),
            Trigger(b, ["routed"], lambda: self._look.ticket(b.ticket, second.customer_id)),
            Trigger(
                b,
                ["resolved"],
                lambda: self._customers.progress(b.ticket, b.token, lambda page: bool(page["status"] == "resolved")),
            ),
            Trigger(b, [step.name for step in b.steps[:-1]], self._tally_quiet),
            Trigger(self._surge, ["orders compensated", "surge over"], self._tally_orders),
            # By then the disputed order, an early one, is known to whoever checks claims.
            Trigger(self._late_order, ["voucher"], lambda: self._claims.ask(self._disputed)),
            Trigger(self._claim, ["claim held"], lambda: self._claims.approve(self._claim.facts["ledger"])),
            Trigger(self._claim, ["redeemable"], lambda: self._claims.account(self._disputed)),
        ]

    async def _send_all(self) -> None:
        start = self._clock.monotonic()
        sending = []
        for complaint in self._complaints:
            await self._clock.sleep(max(0.0, start + complaint.send_at - self._clock.monotonic()))
            self._minute = complaint.clock
            if complaint.story:
                label = self._story_of(complaint)
                words = f"{complaint.fields['type']}: {complaint.fields['description']}"
                self._teller.say(f"[{label.label}] {complaint.clock} by {complaint.channel}, {words}", "bold")
            sending.append(self._group.create_task(self._send(complaint)))
        await asyncio.gather(*sending)

    async def _send(self, complaint: Complaint) -> None:
        await self._customers.complain(complaint)
        self._sent += 1

    def _story_of(self, complaint: Complaint) -> Story:
        return self._unanswered if complaint.story == "unanswered" else self._answered

    async def _tell(self) -> None:
        while True:
            sighting = await self._queue.get()
            sighting = claimed(about(sighting, self._late), self._disputed, self._claim.facts.get("ledger", ""))
            self._count(sighting)
            self._react(sighting)
            told = self._stories.observe(sighting)
            for story, seen in told:
                self._teller.step(story, seen)
            if sighting.kind == "tally" and not told:
                self._teller.say(f"{sighting.ticket}: the count is wrong: {sighting.body}", "bold red")
            for trigger in [t for t in self._triggers if t.story.has(*t.needs)]:
                self._triggers.remove(trigger)
                self._act(trigger.action())

    def _react(self, s: Sighting) -> None:
        if s.place == HTTP and s.kind == "accepted":
            for complaint in self._by_story.values():
                if s.body["key"] == complaint.idempotency_key:
                    promise = datetime.fromisoformat(s.body["promise"]["firstResponseBy"])
                    acknowledged = datetime.fromisoformat(s.body["acknowledgedAt"])
                    self._story_of(complaint).accept(s.ticket, s.body["token"], acknowledged, promise)
            shop = next((each for each in self._complaints if each.idempotency_key == s.body["key"]), None)
            if shop and shop.fields.get("merchantId") == SURGE_AT and not self._surge.ticket:
                at = datetime.fromisoformat(s.body["acknowledgedAt"])
                self._surge.accept(INCIDENT, "", at, at)
        if s.place == ORDERS and s.ticket == self._late.id and not self._late_order.ticket:
            self._late_order.accept(s.ticket, "", s.at, s.at)
        if s.place == ORDERS and s.ticket == self._disputed.id and not self._claim.ticket:
            self._claim.accept(s.ticket, "", s.at, s.at)
        if s.place == "tickets.v1" and s.body.WhichOneof("change") == "opened" and self._is_new("opened", s.id):
            complaint_of = self._by_customer.get(s.body.snapshot.customer_id)
            if complaint_of:
                self._act(self._desk.answer(s.ticket, complaint_of))

    def _act(self, action: Awaitable[None]) -> None:
        task = self._group.create_task(_coroutine(action))
        self._acting.add(task)
        task.add_done_callback(self._acting.discard)

    def _is_new(self, what: str, id: str) -> bool:
        if (what, id) in self._known:
            return False
        self._known.add((what, id))
        return True

    def _count(self, s: Sighting) -> None:
        if s.place == DEAD_LETTERS:
            self._dead.append(s.body)
        elif s.kind not in ("document", "progress", "tally") and self._is_new(s.place, s.id + s.kind + s.ticket):
            self._counts[s.kind if s.place != OUTBOX else "messages"] += 1
        if s.kind == "VoucherIssued" and s.body.reason == REASON:
            self._vouchers.setdefault(s.body.order_id, set()).add(s.body.voucher_id)
        for story in (self._unanswered, self._answered):
            # Before its complaint a story has no ticket, and neither has a message about an order.
            if s.place == OUTBOX and story.ticket and s.ticket == story.ticket:
                story.messages[s.kind, s.body["recipient"]] += 1

    async def _tally_once(self) -> None:
        a = self._unanswered
        await self._clock.sleep(QUIET_SECONDS)
        body = {event: self._to_customer(a, event) for event in CUSTOMER_EVENTS}
        self._see_tally(a, {**body, "vouchers": a.counts["vouchers.v1", "VoucherIssued"]})

    def _to_customer(self, story: Story, event: str) -> int:
        return sum(count for (kind, _), count in story.messages.items() if kind == event)

    async def _tally_quiet(self) -> None:
        b = self._answered
        assert b.first_response_by is not None
        over = b.first_response_by + timedelta(seconds=QUIET_SECONDS)
        await self._clock.sleep(max(0.0, (over - self._clock.now()).total_seconds()))
        unwanted = (
            ("sla-events.v1", "SlaBreached"), ("escalations.v1", "TicketEscalated"), ("vouchers.v1", "VoucherIssued"),
        )  # fmt: skip
        self._see_tally(b, {kind: b.counts[place, kind] for place, kind in unwanted})

    async def _tally_orders(self) -> None:
        c = self._surge
        # What was attached last may be paid a little after the end.
        while not all(order in self._vouchers for order in orders_of(c)):
            await self._clock.sleep(0.1)
        await self._clock.sleep(QUIET_SECONDS)
        # A step looks no further once it is seen: these are all vouchers, also those that came after it.
        self._see_tally(c, {order: len(self._vouchers[order]) for order in orders_of(c)})

    def _see_tally(self, story: Story, body: dict[str, int]) -> None:
        self._queue.put_nowait(Sighting(self._clock.now(), TALLY, "tally", story.ticket, "tally", body))

    async def _until(self, condition: Callable[[], bool], last: float) -> None:
        while not condition() and self._clock.monotonic() < last:
            await self._clock.sleep(0.1)

    async def _count_stored(self) -> None:
        last = self._clock.monotonic() + STORED_SECONDS
        customers = [each.customer_id for each in self._complaints]
        while True:
            try:
                tickets, different = await self._look.stored(customers)
            except PyMongoError:
                tickets = different = 0
            self._stored = tickets if tickets == different else -1
            if self._stored == len(customers) or self._clock.monotonic() > last:
                return
            await self._clock.sleep(0.5)

    async def _report(self) -> None:
        while True:
            self._teller.progress(self.summary())
            await self._clock.sleep(0.25 if self._teller.live else PLAIN_PROGRESS_SECONDS)

    def summary(self) -> str:
        """What was counted so far, in one line."""
        c = self._counts
        return (
            f"{self._minute} · {self._sent}/{len(self._complaints)} complaints accepted · "
            f"{c['SlaMet']} promises kept · {c['SlaBreached']} missed · {c['TicketEscalated']} escalations · "
            f"{c['VoucherIssued']} vouchers · {c['messages']} messages"
        )

    def _rows(self) -> list[Row]:
        rows = []
        for story in self._told:
            for step in story.steps:
                seen = story.seen.get(step.name)
                within = seen is not None and seen.after <= self._bound
                rows.append(
                    Row(f"{story.label} {story.title}", step.name, step.place, seen.after if seen else None, within)
                )
        count = len(self._complaints)
        return [
            *rows,
            Row("the day", f"{self._sent} of {count} complaints accepted", "HTTP, gRPC", None, self._sent == count),
            Row("the day", f"{max(self._stored, 0)} stored, each once", MONGODB, None, self._stored == count),
            Row("the day", f"{len(self._dead)} dead letters", DEAD_LETTERS, None, not self._dead),
        ]


async def _coroutine(awaitable: Awaitable[Any]) -> None:
    await awaitable
