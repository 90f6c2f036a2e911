"""The further calls of the desk, on the fake store: corrections, merging, erasing, searching, timers."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest

from common.clock import ManualClock
from common.errors import Conflict, Invalid, NotFound, PingxiError, Refused, StaleVersion, Unavailable
from gen.pingxi.v1.remedy_pb2 import RefundRequested, ReshipRequested
from rules.model import PolicySet
from rules.words import Category, Priority, Status
from services.router.assembling import Assembling
from services.router.commands import Cause, ReceiveMessage, ReceiveRating, Told
from services.router.corrections import Corrections
from services.router.desk import Desk
from services.router.erasure import Erasure
from services.router.execution import Head
from services.router.handlers import ComplaintHandler
from services.router.merging import Merging
from services.router.model import Actor, ActorKind, Complaint, Personal, Ticket, Update
from services.router.ports import Filter
from services.router.reading import Reader
from services.router.relay import Relay
from services.router.timers import Timers
from tests.fakes_parts import FakeParts
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
from tests.unit.router.behaviour import opened

AGENT = Actor(ActorKind.AGENT, "li")
SUPERVISOR = Actor(ActorKind.SUPERVISOR, "wang")
CUSTOMER = Actor(ActorKind.CUSTOMER)


class Book:
    def of(self, brand: str) -> PolicySet | None:
        return policies().get(brand)

    async def announce(self, hashes: object) -> None:
        pass


class Router:
    """Everything on one fake store."""

    def __init__(self) -> None:
        self.clock = ManualClock(START + timedelta(minutes=3))
        self.store = FakeTickets(self.clock)
        self.log = FakeLog()
        self.relay = Relay(self.store, self.log, self.clock)
        self.pictures = FakePictures()
        self.desk = Desk(self.store, self.relay, VAULT, self.clock, INDEX, pictures=self.pictures)
        self.corrections = Corrections(self.desk.executor, Book(), VAULT)
        self.merging = Merging(self.desk.executor, Book(), VAULT, self.clock)
        self.timers = Timers(self.store, self.relay, Book(), VAULT, self.merging, self.clock, self.pictures)
        around = (VAULT, self.clock, INDEX, Reader(), self.pictures, FakeOrders())
        self.handler = ComplaintHandler(self.store, self.relay, Book(), *around)
        patience = timedelta(seconds=30)
        self.assembling = Assembling(FakeParts(), self.handler.handle, Book(), VAULT, self.clock, patience)
        self.erasure = Erasure(self.desk.executor, self.store, INDEX, self.pictures, self.assembling)

    async def submit(self, *complaints: Complaint) -> None:
        updates = [opened(each) for each in complaints]
        for update, each in zip(updates, complaints, strict=True):
            personal = VAULT.open(each.ticket_id, each.personal)
            terms = INDEX.terms(personal.contact, personal.text)
            await self.store.add([Update(0, update.events, terms)])

    async def say(self, text: str, message_id: str = "m1", ticket_id: str = number(1)) -> None:
        command = ReceiveMessage(message_id, "app", VAULT.seal(ticket_id, Personal(text=text)))
        cause = Cause(f"message:{message_id}", self.clock.now(), CUSTOMER)
        await self.handler.handle([Told(ticket_id, command, cause)])

    async def closed(self) -> Ticket:
        await self.desk.resolve(head(), "已处理", "")
        return await self.desk.close(head())

    def ticket(self, n: int = 1) -> Ticket:
        return self.store.tickets[number(n)]


@pytest.fixture
async def router() -> Router:
    made = Router()
    await made.submit(complaint(1))
    return made


def head(n: int = 1, version: int = 0, key: str = "", actor: Actor = AGENT, reason: str = "") -> Head:
    return Head(number(n), version, key, actor, reason)


# --- corrections


async def test_a_supervisor_loosens_a_promise_and_the_customer_is_told_an_agent_does_not(router: Router) -> None:
    await router.corrections.change_category(head(), Category.FOOD_SAFETY)
    promised = router.ticket().promise
    by_agent = await router.corrections.change_category(head(), Category.SYSTEM)
    assert by_agent.promise == promised
    assert not by_agent.messages
    by_supervisor = await router.corrections.change_category(head(actor=SUPERVISOR), Category.SYSTEM)
    assert by_supervisor.promise.resolve_by == START + timedelta(hours=72)
    assert by_supervisor.promise.resolve_by > promised.resolve_by  # type: ignore[operator]  # both are promised
    said = by_supervisor.messages[-1]
    assert (said.public, said.automatic) == (True, True)
    text = VAULT.open(by_supervisor.id, said.content).text  # type: ignore[arg-type]  # it was sealed just now
    assert "2026-11-23 12:00" in text
    assert [entry.kind for entry in by_supervisor.history[-2:]] == ["category_changed", "replied"]
    assert by_supervisor.facts.first_answer_at is None, "an apology of a machine is no answer"


async def test_a_repeated_correction_tells_the_customer_once(router: Router) -> None:
    for _ in range(2):
        ticket = await router.corrections.change_category(head(key="k", actor=SUPERVISOR), Category.SYSTEM)
    assert (ticket.version, len(ticket.messages)) == (3, 1)


async def test_a_priority_is_changed_by_the_policy_of_the_brand(router: Router) -> None:
    ticket = await router.corrections.change_priority(head(), Priority.LOW)
    assert (ticket.priority, ticket.sla_policy) == (Priority.LOW, "ordinary")


@pytest.mark.parametrize(
    ("call", "error", "field"),
    [
        (lambda r: r.corrections.change_priority(head(), None), Invalid, "priority"),
        (lambda r: r.corrections.change_category(head(), None), Invalid, "category"),
        (lambda r: r.corrections.change_category(head(), Category.PRICE, (None,)), Invalid, "secondary"),
        (lambda r: r.corrections.change_queue(head(), "nowhere"), Invalid, "queue"),
        (lambda r: r.corrections.change_queue(head(), "legal", ("legal",)), Invalid, "joint_queues"),
        (lambda r: r.merging.merge(head(), number(1)), Invalid, "merged_ticket_id"),
        (lambda r: r.merging.merge(head(), ""), Invalid, "merged_ticket_id"),
        (lambda r: r.merging.merge(head(), number(9)), NotFound, "no such ticket"),
        (lambda r: r.erasure.erase("", "c", "", "", AGENT), Invalid, "brand"),
        (lambda r: r.erasure.erase("default", "", "", "", AGENT), Invalid, "customer_id"),
        (lambda r: r.erasure.erase("default", "", "nobody", "", AGENT), Invalid, "contact"),
        (lambda r: r.desk.search(" ", Filter(), 0, ""), Invalid, "query"),
        (lambda r: r.desk.search("?!", Filter(), 0, ""), Invalid, "query"),
        (lambda r: r.desk.add_note(head(), ""), Invalid, "text"),
        (lambda r: r.desk.request_information(head(), ""), Invalid, "text"),
        (lambda r: r.desk.close(head()), Refused, "resolve it first"),
        (lambda r: r.desk.reopen(head()), Refused, "can't be reopened"),
        (lambda r: r.desk.assign(head(), ""), Refused, "name an assignee"),
    ],
)
async def test_wrong_requests_name_the_field_and_change_nothing(
    router: Router, call: Callable[[Router], Awaitable[object]], error: type[PingxiError], field: str
) -> None:
    with pytest.raises(error, match=field):
        await call(router)
    assert router.ticket().version == 1


# --- remedies


@pytest.mark.parametrize(
    ("resolution", "amount", "kind", "original"),
    [
        ("refund", 500, RefundRequested, True),
        ("price_difference", 300, RefundRequested, False),
        ("reship", 0, ReshipRequested, False),
    ],
)
async def test_a_remedy_is_on_the_log_with_the_resolution_under_the_orders_key(
    router: Router, resolution: str, amount: int, kind: type, original: bool
) -> None:
    for _ in range(2):
        await router.desk.resolve(head(key="k"), "好", resolution, "CNY" if amount else "", amount)
    await router.relay.deliver([number(1)])
    (sent,) = [message for message in router.log.messages if message.topic == "remedies.v1"]
    assert (sent.key, sent.subject) == ("order-1", number(1))
    body = sent.body
    assert isinstance(body, kind)
    assert (body.order_id, body.ticket_id) == ("order-1", number(1))  # type: ignore[attr-defined]
    if isinstance(body, RefundRequested):
        assert (body.amount.amount_minor, body.original_payment) == (amount, original)
    assert router.ticket().history[-1].facts["remedy_id"] == sent.id


async def test_a_remedy_that_was_not_acknowledged_stays_in_the_outbox_with_its_event(router: Router) -> None:
    await router.relay.deliver([number(1)])
    await router.desk.resolve(head(), "好", "refund", "CNY", 500)
    router.log.down = True
    with pytest.raises(Unavailable):
        await router.relay.deliver([number(1)])
    await router.relay.clear()
    (left,) = await router.store.uncleared([number(1)])
    assert [message.topic for message in left.messages()] == ["tickets.v1", "remedies.v1"]


@pytest.mark.parametrize("resolution", ["refund", "coupon", "apology"])
async def test_a_resolution_without_amount_or_of_another_kind_asks_the_platform_for_nothing(
    router: Router, resolution: str
) -> None:
    await router.desk.resolve(head(), "好", resolution)
    assert all(len(event.messages()) == 1 for event in await router.store.uncleared([number(1)]))


# --- merging


async def test_merging_changes_both_tickets_once_however_often_it_is_asked(router: Router) -> None:
    await router.submit(complaint(2))
    for _ in range(2):
        survivor = await router.merging.merge(head(key="k", version=1), number(2), 1)
    other = router.ticket(2)
    assert (survivor.merged, survivor.version) == ((number(2),), 2)
    assert (other.merged_into, other.status, other.version) == (number(1), Status.CLOSED, 2)
    readable = router.desk.opened(survivor)
    assert [number(2) in text for text in readable.texts.values()] == [True]
    await router.submit(complaint(3))
    with pytest.raises(Conflict):
        await router.merging.merge(head(key="k"), number(3))


@pytest.mark.parametrize(("versions", "error"), [((9, 0), StaleVersion), ((0, 9), StaleVersion)])
async def test_a_stale_version_of_either_ticket_merges_nothing(
    router: Router, versions: tuple[int, int], error: type[PingxiError]
) -> None:
    await router.submit(complaint(2))
    with pytest.raises(error):
        await router.merging.merge(head(version=versions[0]), number(2), versions[1])
    assert (router.ticket(1).version, router.ticket(2).version) == (1, 1)


async def test_tickets_of_two_brands_and_merged_ones_are_not_merged(router: Router) -> None:
    await router.submit(complaint(2, brand="demo"), complaint(3), complaint(4))
    with pytest.raises(Refused, match="brands"):
        await router.merging.merge(head(), number(2))
    await router.merging.merge(head(), number(3))
    with pytest.raises(Refused, match="was merged into"):
        await router.merging.merge(head(4), number(3))
    with pytest.raises(Refused, match="takes in no other"):
        await router.merging.merge(head(3), number(4))


async def test_a_crash_between_the_halves_of_a_merging_is_healed_by_the_timers(router: Router) -> None:
    await router.submit(complaint(2))
    real_save, writes = router.store.save, 0

    async def dies(updates: list[Update]) -> bool:
        nonlocal writes
        writes += 1
        if writes > 1:
            raise Unavailable("killed")
        return await real_save(updates)

    router.store.save = dies  # type: ignore[method-assign, assignment]
    with pytest.raises(Unavailable):
        await router.merging.merge(head(key="k"), number(2))
    router.store.save = real_save  # type: ignore[method-assign]
    assert (router.ticket(2).merged_into, router.ticket(1).merged) == (number(1), ())
    await router.timers.look()
    assert router.ticket(1).merged == (), "the desk's own call has two seconds"
    router.clock.advance(timedelta(seconds=3))
    await router.timers.look()
    assert router.ticket(1).merged == (number(2),)
    version = router.ticket(1).version
    await router.timers.look()
    assert (await router.merging.merge(head(key="k"), number(2))).version == version
    assert await router.store.due_actions(router.clock.now(), 10) == []


async def test_what_the_customer_says_to_a_merged_ticket_reaches_the_survivor(router: Router) -> None:
    await router.submit(complaint(2))
    await router.merging.merge(head(), number(2))
    for _ in range(2):
        await router.say("还没到", "m7", number(2))
    readable = await router.desk.read(number(1))
    assert readable.texts["m7"] == "还没到"
    assert (router.ticket(1).version, router.ticket(2).version) == (3, 2)


# --- after the end


@pytest.mark.parametrize("text", ["谢谢", "好的,谢谢您!", "OK thanks", "收到🙏", "辛苦了,谢谢"])
async def test_thanks_open_nothing(router: Router, text: str) -> None:
    await router.desk.resolve(head(), "已处理", "")
    await router.say(text)
    assert router.ticket().status is Status.RESOLVED


@pytest.mark.parametrize("text", ["谢谢,但是还没退款", "不好", "好吗?", "没收到", "ok where is my refund", "再说一次"])
async def test_anything_but_thanks_opens_a_resolved_ticket_again(router: Router, text: str) -> None:
    await router.desk.resolve(head(), "已处理", "")
    await router.say(text)
    assert router.ticket().status is Status.IN_PROGRESS


async def test_a_message_after_closing_opens_one_linked_ticket_and_later_ones_join_it(router: Router) -> None:
    await router.closed()
    for _ in range(2):
        await router.say("饺子里又有虫子", "m1")
    await router.say("请尽快", "m2")
    (linked,) = [t for t in router.store.tickets.values() if t.id != number(1)]
    old = router.ticket()
    assert (old.linked, old.continued_by, old.status) == ((linked.id,), linked.id, Status.CLOSED)
    assert (linked.linked, linked.red, linked.status) == ((number(1),), True, Status.RECEIVED)
    assert (linked.customer_ref, linked.order_id) == (old.customer_ref, old.order_id)
    readable = router.desk.opened(linked)
    assert (readable.personal.text, readable.personal.contact) == ("饺子里又有虫子", "+8613800000000")
    assert list(readable.texts.values()) == ["请尽快"]
    assert linked.promise.first_response_by == router.clock.now() + timedelta(minutes=10)
    assert [event.version for event in router.log.events(linked.id)] == [1, 2]


async def test_a_crash_after_the_linked_ticket_opens_no_second_one(router: Router) -> None:
    await router.closed()
    real_save = router.store.save

    async def dies(updates: object) -> bool:
        raise Unavailable("killed")

    router.store.save = dies  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await router.say("还是坏的")
    router.store.save = real_save  # type: ignore[method-assign]
    await router.say("还是坏的")
    assert len(router.store.tickets) == 2
    assert router.ticket().continued_by


async def test_an_unhappy_rating_after_closing_opens_a_linked_ticket_a_happy_one_none(router: Router) -> None:
    await router.closed()
    for rating_id, score in (("r1", 5), ("r2", 1), ("r3", 1)):
        cause = Cause(f"rating:{rating_id}", router.clock.now(), CUSTOMER)
        await router.handler.handle([Told(number(1), ReceiveRating(rating_id, score, True), cause)])
        assert len(router.store.tickets) == (1 if rating_id == "r1" else 2)


async def test_the_customer_is_reminded_once_then_the_ticket_closes(router: Router) -> None:
    await router.desk.request_information(head(), "请发照片")
    for hours, status in ((71, "pending"), (72.1, "pending"), (96, "pending"), (97, "closed")):
        router.clock.advance(START + timedelta(hours=hours, minutes=3) - router.clock.now())
        for _ in range(3):
            await router.timers.look()
        assert router.ticket().status == status
    messages = [VAULT.open(number(1), m.content).text for m in router.ticket().messages if m.content]
    assert len(messages) == 2
    assert "2026-11-24 12:09" in messages[1], "when it closes, in the brand's time"
    assert router.ticket().history[-1].facts == {"why": "no answer"}


async def test_a_resolved_ticket_closes_by_itself(router: Router) -> None:
    await router.desk.resolve(head(), "已处理", "")
    router.clock.advance(timedelta(days=6, hours=23))
    await router.timers.look()
    assert router.ticket().status is Status.RESOLVED
    router.clock.advance(timedelta(hours=1))
    await router.timers.look()
    assert router.ticket().status is Status.CLOSED


# --- what the watchdog missed


async def test_an_open_ticket_that_nothing_was_armed_for_is_told_again_every_few_minutes(router: Router) -> None:
    await router.submit(complaint(2))
    await router.store.heard({number(2): 0})
    for seconds, version in ((59, 1), (2, 2), (60, 2), (300, 3)):
        router.clock.advance(timedelta(seconds=seconds))
        await router.timers.look()
        assert router.ticket(1).version == version
    await router.store.heard({number(1): 3})
    router.clock.advance(timedelta(hours=1))
    await router.timers.look()
    assert (router.ticket(1).version, router.ticket(2).version) == (3, 1)


async def test_a_row_that_the_watchdog_lost_is_noticed_at_the_next_change_that_moves_a_clock(router: Router) -> None:
    await router.store.heard({number(1): 1})
    router.clock.advance(timedelta(minutes=2))
    await router.timers.look()
    await router.desk.request_information(head(), "请发照片")
    for seconds, version in ((59, 2), (2, 3), (300, 4)):
        router.clock.advance(timedelta(seconds=seconds))
        await router.timers.look()
        assert router.ticket().version == version
    assert (router.ticket().history[-1].kind, router.ticket().status) == ("repeated_snapshot", "pending")
    await router.store.heard({number(1): 4})
    router.clock.advance(timedelta(hours=1))
    await router.timers.look()
    assert router.ticket().version == 4


# --- search and erasing


@pytest.mark.parametrize(
    "query",
    [
        number(2).lower().replace("-", ""),
        "order-2",
        "138 1234 5678",
        "+86 13812345678",
        "虫子",
        "蟲子 裡有",
        "COCKROACH",
    ],
)
async def test_tickets_are_found_by_number_order_phone_and_words(router: Router, query: str) -> None:
    text = "饺子里有虫子 cockroach"
    sealed = VAULT.seal(number(2), Personal(contact="+8613812345678", text=text))
    await router.submit(complaint(2, text, personal=sealed))
    found, token = await router.desk.search(query, Filter(), 0, "")
    assert ([ticket.id for ticket in found], token) == ([number(2)], "")


async def test_a_search_has_pages_and_filters(router: Router) -> None:
    await router.submit(*(complaint(n, acknowledged_at=START + timedelta(seconds=n)) for n in range(2, 6)))
    first, token = await router.desk.search("送错", Filter(brands=("default",)), 3, "")
    second, end = await router.desk.search("送错", Filter(brands=("default",)), 3, token)
    assert [t.id for t in (*first, *second)] == [number(n) for n in (5, 4, 3, 2, 1)]
    assert end == ""
    assert await router.desk.search("送错", Filter(brands=("demo",)), 3, "") == ([], "")


async def test_erasing_finds_all_tickets_of_a_customer_and_counts_them_once(router: Router) -> None:
    for picture in ("i1", "i2", "other"):
        router.pictures.add(picture, START)
    await router.submit(complaint(2, customer_id="customer-1", images=("i1", "i2", "never-uploaded")), complaint(3))
    await router.say("我的地址是…", "m1")
    erase = SimpleNamespace(brand="default", customer_id="customer-1", contact="138-0000-0000")
    result = await router.erasure.erase(erase.brand, erase.customer_id, erase.contact, "k", AGENT, "asked")
    # The contact is that of all three.
    assert result == (3, 2)
    assert set(router.pictures.pictures) == {"other"}
    assert await router.erasure.erase(erase.brand, erase.customer_id, erase.contact, "k", AGENT, "asked") == (0, 0)
    for n in (1, 2, 3):
        readable = await router.desk.read(number(n))
        assert (readable.personal, readable.texts) == (Personal(), {})
    assert (await router.desk.search("送错", Filter(), 0, ""))[0] == []
