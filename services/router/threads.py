"""Where a customer's words belong: to the survivor of a merged ticket, or to a linked ticket, after the end and where
there have been so many that the ticket is full."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from common.clock import Clock
from common.errors import Poison
from common.ids import deterministic_id
from rules import promise as promises
from rules.bounds import MOST_MESSAGES, MOST_RATINGS
from rules.model import ComplaintFacts
from rules.number import from_random
from rules.routing import decide
from rules.words import Status
from services.router.answerer import Answerer
from services.router.changes import KINDS, Rated
from services.router.commands import Arrival, ReceiveMessage, ReceiveRating, Told
from services.router.joining import HOPS
from services.router.model import Complaint, Event, Personal, Sealed, Ticket, Update
from services.router.policy import open_ticket
from services.router.ports import Policies, Reads, Tickets, Vault
from services.router.search import SearchIndex

_UNHAPPY = "(rating)"


async def with_successors(tickets: Tickets, ticket_ids: Sequence[str]) -> dict[str, Ticket]:
    """These tickets, and whoever followed them. Raises Unavailable, Poison."""
    known: dict[str, Ticket] = {}
    wanted = set(ticket_ids)
    for _ in range(HOPS):
        if not wanted:
            return known
        found = await tickets.get_many(sorted(wanted))
        known |= found
        wanted = {ticket.successor for ticket in found.values() if ticket.successor} - set(known)
    raise Poison("endless_merging")


class Threads:
    """Prepares what customers said, before it is folded into tickets."""

    def __init__(
        self,
        tickets: Tickets,
        policies: Policies,
        vault: Vault,
        index: SearchIndex,
        clock: Clock,
        reads: Reads,
        answerer: Answerer,
    ) -> None:
        self._tickets = tickets
        self._policies = policies
        self._vault = vault
        self._index = index
        self._clock = clock
        self._reads = reads
        self._answerer = answerer

    async def follow(self, arrivals: Sequence[Arrival]) -> tuple[list[Arrival], list[Update]]:
        """The arrivals, each under the ticket it belongs to, and the linked tickets that are new because of them.

        Everything may be repeated: a message opens the same linked ticket again. Raises Unavailable; Poison, also for
        a rating where there have been more than anybody needs.
        """
        spoken = [each for each in arrivals if isinstance(each, Told) and _spoken(each)]
        if not spoken:
            return list(arrivals), []
        known = await with_successors(self._tickets, [each.ticket_id for each in spoken])
        updates: list[Update] = []
        placed: list[Arrival] = []
        coming: Counter[str] = Counter()
        for each in arrivals:
            if isinstance(each, Told) and _spoken(each):
                each, update = self._place(each, known, coming)
                each = await self.answered(known.get(each.ticket_id), each)
                if update is not None:
                    updates.append(update)
            placed.append(each)
        return placed, updates

    def _place(self, told: Told, known: dict[str, Ticket], coming: Counter[str]) -> tuple[Told, Update | None]:
        """`coming`: how many messages of this batch go to each ticket."""
        judged = self.judged(told)
        assert isinstance(judged, Told)
        command = judged.command
        assert isinstance(command, ReceiveMessage | ReceiveRating)
        ticket = _last(known, told)
        if ticket is None:
            # Its complaint never came.
            return judged, None
        # One of those it was led through knows it already: a repeat must find it there.
        if (knows := _knowing(known, told)) is not None:
            return replace(judged, ticket_id=knows.id), None
        if ticket.id != told.ticket_id:
            command = self._moved(told.ticket_id, ticket.id, command)
        if isinstance(command, ReceiveRating) and _rated(ticket) >= MOST_RATINGS:
            raise Poison("too_many_ratings")
        coming[ticket.id] += isinstance(command, ReceiveMessage)
        if not _opens_again(ticket, command, coming[ticket.id]):
            return Told(ticket.id, command, told.cause), None
        event = self._continuation(ticket, command, told)
        known[event.ticket.id] = event.ticket
        known[ticket.id] = replace(ticket, continued_by=event.ticket.id)
        assert isinstance(command, ReceiveMessage | ReceiveRating)
        linked = replace(command, linked=event.ticket.id)
        return Told(ticket.id, linked, told.cause), Update(0, (event,), self._terms(event.ticket))

    def judged(self, arrival: Arrival) -> Arrival:
        """With what the customer's words say, where he says something. Raises Poison where they don't open."""
        if not isinstance(arrival, Told) or not isinstance(arrival.command, ReceiveMessage):
            return arrival
        text = self._vault.open(arrival.ticket_id, arrival.command.content).text
        return replace(arrival, command=replace(arrival.command, thanks=self._reads.thanks(text)))

    async def answered(self, ticket: Ticket | None, told: Told) -> Told:
        """With a machine's answer, where there is one. `told` is sealed for `ticket`."""
        if ticket is None or ticket.entry_of(told.cause.id) is not None:
            return told
        return await self._answerer.prepared(ticket, told)

    def _moved(
        self, from_id: str, to_id: str, command: "ReceiveMessage | ReceiveRating"
    ) -> "ReceiveMessage | ReceiveRating":
        """Sealed for the other ticket."""

        def again(sealed: Sealed) -> Sealed:
            return self._vault.seal(to_id, self._vault.open(from_id, sealed))

        if isinstance(command, ReceiveMessage):
            return replace(command, content=again(command.content))
        return replace(command, comment=None if command.comment is None else again(command.comment))

    def _continuation(self, ticket: Ticket, command: "ReceiveMessage | ReceiveRating", told: Told) -> Event:
        """The linked ticket: the same customer and order, routed by the new words and the old category."""
        policies = self._policies.of(ticket.brand)
        if policies is None:
            raise Poison("unknown_brand", ticket.brand[:50])
        sealed = command.content if isinstance(command, ReceiveMessage) else command.comment
        text = self._vault.open(ticket.id, sealed).text if sealed is not None else _UNHAPPY
        contact = self._vault.open(ticket.id, ticket.personal) if ticket.personal else Personal()
        new_id = from_random(int(deterministic_id("linked-ticket", ticket.id, told.cause.id)[:15], 16))
        facts = ComplaintFacts(declared=ticket.category, text=text, brand=ticket.brand, channel=ticket.channel)
        decision = decide(policies, facts)
        complaint = Complaint(
            ticket_id=new_id,
            brand=ticket.brand,
            channel=command.channel if isinstance(command, ReceiveMessage) else ticket.channel,
            declared=ticket.category,
            customer_ref=ticket.customer_ref,
            acknowledged_at=told.cause.at,
            promise=promises.promise(policies, decision, told.cause.at),
            targets=(),
            fingerprint=deterministic_id("linked", ticket.id, told.cause.id),
            personal=self._vault.seal(new_id, replace(contact, text=text)),
            customer_id=ticket.customer_id,
            order_id=ticket.order_id,
            region=ticket.region,
            merchant_id=ticket.merchant_id,
            product_id=ticket.product_id,
            locale=ticket.locale,
            images=command.images if isinstance(command, ReceiveMessage) else (),
        )
        event = open_ticket(complaint, decision, policies, self._clock.now(), told.cause.trace)
        return replace(event, ticket=replace(event.ticket, linked=(ticket.id,)))

    def _terms(self, ticket: Ticket) -> tuple[str, ...]:
        assert ticket.personal is not None
        personal = self._vault.open(ticket.id, ticket.personal)
        return self._index.terms(personal.contact, personal.text)


def _spoken(told: Told) -> bool:
    return isinstance(told.command, ReceiveMessage | ReceiveRating)


def _last(known: Mapping[str, Ticket], told: Told) -> Ticket | None:
    """A message goes to where the customer is served now; a rating is of the ticket, or of who took it over."""
    ticket = known.get(told.ticket_id)
    for _ in range(HOPS):
        if ticket is None:
            return None
        following = ticket.merged_into if isinstance(told.command, ReceiveRating) else ticket.successor
        if not following or following not in known:
            return ticket
        ticket = known[following]
    return ticket


def _knowing(known: Mapping[str, Ticket], told: Told) -> Ticket | None:
    ticket = known.get(told.ticket_id)
    for _ in range(HOPS):
        if ticket is None or ticket.entry_of(told.cause.id) is not None:
            return ticket
        ticket = known.get(ticket.successor)
    return None


def _rated(ticket: Ticket) -> int:
    return sum(entry.kind == KINDS[Rated] for entry in ticket.history)


def _opens_again(ticket: Ticket, command: "ReceiveMessage | ReceiveRating", coming: int) -> bool:
    if ticket.continued_by or ticket.merged_into:
        return False
    if isinstance(command, ReceiveMessage) and (ticket.full or len(ticket.messages) + coming > MOST_MESSAGES):
        # Thanks too: a ticket without a bound for them has none.
        return True
    if ticket.status is not Status.CLOSED:
        return False
    return not command.thanks if isinstance(command, ReceiveMessage) else command.unhappy
