"""What the router does with a batch of messages. Every step may be repeated: what is known already changes nothing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from common.clock import Clock
from common.errors import Poison, Unavailable
from common.ids import deterministic_id
from rules.lateness import known_lateness
from rules.routing import decide
from services.router.answerer import Answerer
from services.router.commands import Answer, Arrival, Cause, ReceiveMessage, Submitted, Told
from services.router.joiner import Found, Joiner
from services.router.joining import Placement, Traits, traits
from services.router.model import Actor, ActorKind, Event, Personal, Ticket, Update
from services.router.policy import first_word, fold, join_ticket, open_ticket
from services.router.ports import Orders, Outbox, Pictures, Policies, Reads, Tickets, Vault
from services.router.search import SearchIndex
from services.router.threads import Threads
from services.router.understanding import facts_of

_ATTEMPTS = 20
_CUSTOMER = Actor(ActorKind.CUSTOMER)
# How long a note waits for its ticket while the database answers: the complaint's own consumer may be behind.
_PATIENCE_SECONDS = 300.0

Groups = dict[str, list[Arrival]]


def by_ticket(arrivals: Sequence[Arrival]) -> Groups:
    """The arrivals of each ticket, in their order."""
    groups: Groups = {}
    for arrival in arrivals:
        groups.setdefault(arrival.ticket_id, []).append(arrival)
    return groups


class ChangeHandler:
    """Changes tickets that exist, several in one write each, and sees their events published."""

    def __init__(self, tickets: Tickets, outbox: Outbox) -> None:
        self._tickets = tickets
        self._outbox = outbox

    async def change(self, groups: Groups) -> list[str]:
        """Returns the ids that don't exist. Raises Unavailable, Poison as `fold`.

        When it returns the events of all others are on tickets.v1, also those that an earlier attempt had stored.
        """
        if not groups:
            return []
        for _ in range(_ATTEMPTS):
            found = await self._tickets.get_many(list(groups))
            folded = [fold(found[ticket_id], group) for ticket_id, group in groups.items() if ticket_id in found]
            updates = [update for update in folded if update is not None]
            # Where somebody else was first, what was stored folds to nothing at the next look.
            if not updates or await self._tickets.save(updates):
                break
        else:
            raise Unavailable("tickets change faster than this can follow")
        await self._outbox.deliver(list(found))
        return [ticket_id for ticket_id in groups if ticket_id not in found]


class ComplaintHandler:
    """complaints.v1: opens tickets, and adds to them what the customer says, a further complaint of his included."""

    def __init__(
        self,
        tickets: Tickets,
        outbox: Outbox,
        policies: Policies,
        vault: Vault,
        clock: Clock,
        index: SearchIndex,
        reads: Reads,
        pictures: Pictures,
        orders: Orders,
    ) -> None:
        self._tickets = tickets
        self._outbox = outbox
        self._policies = policies
        self._vault = vault
        self._clock = clock
        self._index = index
        self._reads = reads
        self._pictures = pictures
        self._joiner = Joiner(tickets, vault, index)
        self._answerer = Answerer(policies, vault, clock, reads, orders)
        self._threads = Threads(tickets, policies, vault, index, clock, reads, self._answerer)
        self._changes = ChangeHandler(tickets, outbox)

    async def handle(self, arrivals: Sequence[Arrival]) -> None:
        """When it returns, the tickets are stored and their events on tickets.v1.

        Raises Unavailable; Poison for an unknown brand, content that doesn't open, another complaint under the same id,
        and a message to a ticket that doesn't exist (its complaint would be earlier in the partition).
        """
        openings: dict[str, Opening] = {}
        rest: list[Arrival] = []
        following: Groups = {}
        for each in arrivals:
            if each.ticket_id in openings:
                following.setdefault(each.ticket_id, []).append(each)
            elif isinstance(each, Submitted):
                openings[each.ticket_id] = await self._open(each)
            else:
                rest.append(each)
        judged = {
            ticket_id: [await self._judged(openings[ticket_id].event.ticket, each) for each in said]
            for ticket_id, said in following.items()
        }
        new, joined = await self._settle(openings, judged)
        for ticket_id, one in openings.items():
            if ticket_id not in new:
                rest += [one.submitted, *([self._as_message(one)] if ticket_id in joined else [])]
                rest += following.get(ticket_id, [])
        rest, linked = await self._threads.follow(rest)
        if linked:
            await self._policies.announce([update.ticket.policy_hash for update in linked])
            await self._tickets.add(linked)
            await self._outbox.deliver([update.ticket.id for update in linked])
        missing = await self._changes.change(by_ticket(rest))
        # After they are stored: a picture of what ends as a dead letter belongs to nobody, and goes.
        stored: list[Arrival] = [one.submitted for ticket_id, one in openings.items() if ticket_id not in joined]
        stored += [each for ticket_id in new for each in following.get(ticket_id, ())]
        await self._pictures.claim(_pictures_of([*stored, *rest], linked, {*missing, *joined}))
        if missing:
            raise Poison("unknown_ticket", f"{len(missing)} without a complaint")

    async def _settle(
        self, openings: Mapping[str, "Opening"], following: Mapping[str, Sequence[Arrival]]
    ) -> tuple[set[str], set[str]]:
        """Stores a ticket for each complaint, of its own or one that leads to where it belongs, and sees the first
        events published. Returns those opened here, with what was `following`, and those that lead elsewhere.
        """
        new: set[str] = set()
        joined: set[str] = set()
        pending, look = dict(openings), False
        for _ in range(_ATTEMPTS):
            if not pending:
                return new, joined
            asking = [one.traits for one in pending.values() if look or one.traits.asks]
            places = await self._joiner.find(asking) if asking else {}
            updates = {
                ticket_id: self._update(one, places.get(ticket_id), following.get(ticket_id, ()))
                for ticket_id, one in pending.items()
            }
            await self._policies.announce([update.ticket.policy_hash for update in updates.values()])
            async with self._outbox.hold(list(updates)):
                refused = await self._tickets.add(list(updates.values()))
                stored = [update for ticket_id, update in updates.items() if ticket_id not in refused]
                await self._outbox.publish([event for update in stored for event in update.events])
            for update in stored:
                (joined if update.ticket.joined else new).add(update.ticket.id)
            known = await self._tickets.get_many(sorted(refused)) if refused else {}
            joined |= {ticket.id for ticket in known.values() if ticket.joined}
            # What isn't known was refused for its claims: somebody was first.
            pending, look = {each: openings[each] for each in openings if each in refused - known.keys()}, True
        raise Unavailable("claims change faster than this can follow")

    def _update(self, one: "Opening", found: Found | None, following: Sequence[Arrival]) -> Update:
        placement = Placement(claims=one.traits.claims) if found is None else found.placement
        ticket, trace = one.event.ticket, one.event.trace
        if found is not None and found.into is not None:
            event = join_ticket(ticket, found.into, self._clock.now(), trace)
            return Update(0, (event,), one.terms, placement.claims)
        event = one.event
        if placement.linked:
            event = replace(event, ticket=replace(ticket, linked=(placement.linked,)))
        events = [event]
        if (said := first_word(event, one.answer)) is not None:
            events.append(said)
        if (more := fold(events[-1].ticket, following)) is not None:
            events += more.events
        return Update(0, tuple(events), one.terms, placement.claims)

    async def _open(self, submitted: Submitted) -> "Opening":
        complaint = submitted.complaint
        policies = self._policies.of(complaint.brand)
        if policies is None:
            raise Poison("unknown_brand", complaint.brand[:50])
        personal = self._vault.open(complaint.ticket_id, complaint.personal)
        found = self._reads.explained(policies, personal.text, complaint.declared, complaint.channel)
        facts = facts_of(found, personal.text, complaint.brand, complaint.channel, complaint.declared)
        facts = replace(facts, order_late=known_lateness(complaint.channel_facts))
        decision = decide(policies, facts)
        event = open_ticket(complaint, decision, policies, self._clock.now(), submitted.trace, found)
        thanks = self._reads.thanks(personal.text)
        known_by = traits(complaint, personal.contact, self._index, red=event.ticket.red, thanks=thanks)
        answer = await self._answerer.at_opening(event.ticket, personal.text, found, decision)
        return Opening(submitted, event, self._index.terms(personal.contact, personal.text), known_by, answer)

    async def _judged(self, ticket: Ticket, arrival: Arrival) -> Arrival:
        judged = self._threads.judged(arrival)
        return await self._answerer.prepared(ticket, judged) if isinstance(judged, Told) else judged

    def _as_message(self, one: "Opening") -> Told:
        """A complaint as what its customer says to the ticket it joined."""
        complaint = one.submitted.complaint
        personal = self._vault.open(complaint.ticket_id, complaint.personal)
        content = self._vault.seal(complaint.ticket_id, Personal(text=personal.text))
        message_id = deterministic_id("joined", complaint.ticket_id)
        command = ReceiveMessage(message_id, complaint.channel, content, complaint.images)
        cause = Cause(f"joined:{complaint.ticket_id}", complaint.acknowledged_at, _CUSTOMER, trace=one.event.trace)
        return Told(complaint.ticket_id, command, cause)


@dataclass(frozen=True)
class Opening:
    """A complaint, the ticket it would open, and what it can be recognised by."""

    submitted: Submitted
    event: Event
    terms: tuple[str, ...]
    traits: Traits
    answer: Answer | None


def _pictures_of(
    arrivals: Sequence[Arrival], linked: Sequence[Update], without: Collection[str]
) -> dict[str, list[str]]:
    """The pictures that came with these, by ticket, but for the tickets that are to have none."""
    found = {update.ticket.id: dict.fromkeys(update.ticket.images) for update in linked}
    for arrival in arrivals:
        images: Sequence[str] = ()
        if isinstance(arrival, Submitted):
            images = arrival.complaint.images
        elif isinstance(arrival.command, ReceiveMessage):
            images = arrival.command.images
        if arrival.ticket_id not in without:
            found.setdefault(arrival.ticket_id, {}).update(dict.fromkeys(images))
    return {ticket_id: list(pictures) for ticket_id, pictures in found.items() if pictures}


class HistoryHandler:
    """escalations.v1, vouchers.v1, ledger.v1 and others: what others did for a ticket becomes part of its history."""

    def __init__(self, tickets: Tickets, outbox: Outbox, clock: Clock) -> None:
        self._changes = ChangeHandler(tickets, outbox)
        self._clock = clock
        self._waiting: dict[str, float] = {}

    async def handle(self, arrivals: Sequence[Arrival]) -> None:
        """Notes what belongs to known tickets, and waits (Unavailable) for tickets that aren't there yet.

        Raises Poison for a ticket that never came: its complaint went to the dead letters.
        """
        groups = by_ticket(arrivals)
        missing = await self._changes.change(groups)
        for ticket_id in groups.keys() - missing:
            self._waiting.pop(ticket_id, None)
        if not missing:
            return
        now = self._clock.monotonic()
        since = [self._waiting.setdefault(ticket_id, now) for ticket_id in missing]
        if now - min(since) >= _PATIENCE_SECONDS:
            # Of several the consumer hands over each alone: who came late still waits its time.
            raise Poison("unknown_ticket", f"{len(missing)} tickets never came")
        raise Unavailable(f"{len(missing)} tickets aren't there yet")
