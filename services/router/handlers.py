"""What the router does with a batch of messages. Every step may be repeated: what is known already changes nothing."""

from collections.abc import Sequence

from common.clock import Clock
from common.errors import Poison, Unavailable
from rules.lateness import known_lateness
from rules.model import ComplaintFacts
from rules.routing import decide
from services.router.commands import Arrival, Submitted
from services.router.model import Event, Update
from services.router.policy import fold, open_ticket
from services.router.ports import Outbox, Policies, Tickets, Vault
from services.router.search import SearchIndex
from services.router.threads import Threads

_ATTEMPTS = 20
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
    """complaints.v1: opens tickets, and adds to them what the customer says."""

    def __init__(
        self,
        tickets: Tickets,
        outbox: Outbox,
        policies: Policies,
        vault: Vault,
        clock: Clock,
        index: SearchIndex,
    ) -> None:
        self._tickets = tickets
        self._outbox = outbox
        self._policies = policies
        self._vault = vault
        self._clock = clock
        self._index = index
        self._threads = Threads(tickets, policies, vault, index, clock)
        self._changes = ChangeHandler(tickets, outbox)

    async def handle(self, arrivals: Sequence[Arrival]) -> None:
        """When it returns, the tickets are stored and their events on tickets.v1.

        Raises Unavailable; Poison for an unknown brand, content that doesn't open, another complaint under the same id,
        and a message to a ticket that doesn't exist (its complaint would be earlier in the partition).
        """
        arrivals, linked = await self._threads.follow(arrivals)
        if linked:
            await self._policies.announce([update.ticket.policy_hash for update in linked])
            await self._tickets.add(linked)
            await self._outbox.deliver([update.ticket.id for update in linked])
        groups = by_ticket(arrivals)
        opened = {ticket_id: update for ticket_id, group in groups.items() if (update := self._opened(group))}
        await self._policies.announce([update.ticket.policy_hash for update in opened.values()])
        known: set[str] = set()
        if opened:
            async with self._outbox.hold(list(opened)):
                known = await self._tickets.add(list(opened.values()))
                new = [update for ticket_id, update in opened.items() if ticket_id not in known]
                await self._outbox.publish([event for update in new for event in update.events])
        rest = {
            ticket_id: group for ticket_id, group in groups.items() if ticket_id not in opened or ticket_id in known
        }
        if missing := await self._changes.change(rest):
            raise Poison("unknown_ticket", f"{len(missing)} without a complaint")

    def _opened(self, group: Sequence[Arrival]) -> Update | None:
        first = group[0]
        if not isinstance(first, Submitted):
            return None
        event, terms = self._open(first)
        following = fold(event.ticket, group[1:])
        return Update(0, (event, *(following.events if following else ())), terms)

    def _open(self, submitted: Submitted) -> tuple[Event, tuple[str, ...]]:
        complaint = submitted.complaint
        policies = self._policies.of(complaint.brand)
        if policies is None:
            raise Poison("unknown_brand", complaint.brand[:50])
        personal = self._vault.open(complaint.ticket_id, complaint.personal)
        facts = ComplaintFacts(
            declared=complaint.declared,
            text=personal.text,
            brand=complaint.brand,
            channel=complaint.channel,
            order_late=known_lateness(complaint.channel_facts),
        )
        event = open_ticket(complaint, decide(policies, facts), policies, self._clock.now(), submitted.trace)
        return event, self._index.terms(personal.contact, personal.text)


class HistoryHandler:
    """escalations.v1, sla-events.v1, vouchers.v1: what others did for a ticket becomes part of its history."""

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
