"""Customers at intake and agents at the desk: what they ask, and what they are told."""

from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import timedelta

from chaos.observation import Command, Outcome, Request
from chaos.simulation.world import IDLE, STEP, Steps, World, publish
from common.errors import Refused
from common.events import Outgoing
from common.ids import deterministic_id
from common.words import to_timestamp
from gen.pingxi.v1 import common_pb2, complaint_pb2
from rules import number
from rules import promise as promises
from rules.model import ComplaintFacts, PolicySet, Priority
from rules.routing import decide
from services.router import commands as c
from services.router.model import Actor, ActorKind, Sealed, Ticket, Update
from services.router.policy import perform
from services.router.terms import terms_for
from wire.promise import promise_to_proto, targets_to_proto

TEXTS = ("鸡肉沙拉里吃出了一截铁丝", "骑手把餐送到隔壁楼去了")
AGENT = Actor(ActorKind.AGENT, "li")
SUPERVISOR = Actor(ActorKind.SUPERVISOR, "lin")
CUSTOMER = Actor(ActorKind.CUSTOMER)
# Sealing is slow and isn't what is looked at.
SEALED = Sealed("k1", b"sealed")
CONTACT = "13900001111"
_PAUSES = tuple(timedelta(milliseconds=each) for each in (50, 200, 800))


def text_of(ticket: Ticket | complaint_pb2.ComplaintSubmitted) -> str:
    """What was written, by the order it is about."""
    return TEXTS[int(ticket.order_id.rpartition("-")[2]) % len(TEXTS)]


class Customers:
    """Complaints with idempotency keys; `told` is the ledger of what they were told."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.told: dict[str, Request] = {}

    def complain(self, n: int, tries: int, patient: bool) -> Steps:
        """One customer: several tries at once where `tries` > 1; a patient one asks until it is acknowledged."""
        key, order = f"key-{n}", f"order-{n}"
        self.told[key] = Request(key, order, "unknown")
        attempts = [self._attempt(key, order) for _ in range(tries)]
        while attempts:
            one = self._world.chance.choice(attempts)
            try:
                yield next(one)
            except StopIteration:
                attempts.remove(one)
                if patient and not attempts and self.told[key].outcome != "ok":
                    self._world.pass_time(self._world.chance.choice(_PAUSES))
                    attempts.append(self._attempt(key, order))

    def _attempt(self, key: str, order: str) -> Steps:
        world = self._world
        life = world.lives["intake"]
        yield STEP
        message = self._complaint(key, order)
        body: complaint_pb2.ComplaintSubmitted = message.body  # type: ignore[assignment]
        if "intake answers before the log has it" in world.bugs:
            self._answer(key, body)
            yield STEP
        for step in publish(world, message):
            if world.lives["intake"] != life:
                return
            yield step
        if world.lives["intake"] == life:
            self._answer(key, body)

    def _answer(self, key: str, body: complaint_pb2.ComplaintSubmitted) -> None:
        before = self.told[key]
        by = body.promise.first_response_by.ToDatetime(tzinfo=self._world.now.tzinfo)
        self.told[key] = Request(
            key, before.order_id, "ok", (*before.tickets, body.ticket_id), before.first_response_by or by,
            before.tries + 1,
        )  # fmt: skip

    def _complaint(self, key: str, order: str) -> Outgoing:
        world = self._world
        book = world.policies
        bits = int(deterministic_id("number", key)[:15], 16)
        if "every try has its own number" in world.bugs:
            bits = world.chance.getrandbits(60)
        ticket_id = number.from_random(bits)
        if "a contact is printed" in world.bugs:
            world.printed.append(f"accepted from {CONTACT}")
        text = TEXTS[int(order.rpartition("-")[2]) % len(TEXTS)]
        decision = decide(book, ComplaintFacts("其他", text, "demo", "app"))
        body = complaint_pb2.ComplaintSubmitted(
            ticket_id=ticket_id,
            brand="demo",
            channel=common_pb2.Channel.CHANNEL_APP,
            customer_ref=f"ref-{order}",
            customer_id=f"customer-{order}",
            order_id=order,
            acknowledged_at=to_timestamp(world.now),
            promise=promise_to_proto(promises.promise(book, decision, world.now)),
            targets=targets_to_proto(decision),
            policy_hash=book.hash,
            red=decision.red,
            fingerprint=f"print-{order}",
            personal=common_pb2.Sealed(key_id=SEALED.key_id, ciphertext=SEALED.ciphertext),
        )
        id_ = deterministic_id("ComplaintSubmitted", ticket_id)
        return Outgoing("complaints.v1", ticket_id, id_, ticket_id, world.now, body)


Make = Callable[[Ticket, str, PolicySet], c.Command]
# Kind of change → who, and the command.
DESK: dict[str, tuple[Actor, Make]] = {
    "replied": (AGENT, lambda t, key, book: c.Reply(key, SEALED)),
    "assigned": (AGENT, lambda t, key, book: c.Assign("li")),
    "information_requested": (AGENT, lambda t, key, book: c.RequestInformation(key, SEALED)),
    "customer_replied": (CUSTOMER, lambda t, key, book: c.ReceiveMessage(key, "app", SEALED)),
    "priority_changed": (
        SUPERVISOR,
        lambda t, key, book: c.ChangePriority(terms_for(t, book, Priority.URGENT, loosen=False)),
    ),
    "resolved": (AGENT, lambda t, key, book: c.Resolve(key, SEALED, "refund")),
    "reopened": (AGENT, lambda t, key, book: c.Reopen("agent")),
}


class Desk:
    """Calls of the router's TicketService, repeated with the same key until there is an answer."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.told: dict[str, Command] = {}

    def work(self, n: int, ticket_id: str, change: str) -> Steps:
        """One change of one ticket."""
        key = f"{change}-{n}"
        self.told[key] = Command(key, ticket_id, change, "unknown")
        for _ in range(20):
            outcome = yield from self._call(key, ticket_id, change)
            if self.told[key].outcome == "ok":
                return
            if outcome:
                self.told[key] = replace(self.told[key], outcome=outcome)
                return
            yield STEP

    def _call(self, key: str, ticket_id: str, change: str) -> Generator[str, None, Outcome | None]:
        world = self._world
        life = world.lives["router"]
        while "store" in world.away:
            yield IDLE
        if world.lives["router"] != life:
            return None
        ticket = world.store.tickets.get(ticket_id)
        if ticket is None:
            return "failed"
        yield STEP
        actor, make = DESK[change]
        try:
            events = perform(ticket, make(ticket, key, world.policies), c.Cause(key, world.now, actor, content=change))
        except Refused:
            return "failed"
        if "the desk is answered before its change is stored" in world.bugs:
            self.told[key] = replace(self.told[key], outcome="ok")
            yield STEP
        if world.lives["router"] != life:
            return None
        if events and not world.store.save(Update(ticket.version, events)):
            return None
        # Stored: it counts, and whether the caller learns of it is open.
        yield STEP
        return "ok" if world.lives["router"] == life else None
