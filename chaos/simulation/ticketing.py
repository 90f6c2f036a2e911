"""The router in steps: complaints become tickets, what others did becomes history, the outbox goes to tickets.v1."""

from collections.abc import Generator

from chaos.simulation.consuming import consumer
from chaos.simulation.people import text_of
from chaos.simulation.world import IDLE, STEP, Steps, World, publish
from common.errors import Unavailable
from common.events import Decoder, Incoming
from rules.model import ComplaintFacts
from rules.routing import decide
from services.router.arrivals import COMPLAINT_KINDS, HISTORY_KINDS, arrival
from services.router.commands import Arrival, Submitted
from services.router.model import Update
from services.router.policy import fold, open_ticket
from services.router.wire import stored_event

_COMPLAINTS, _HISTORY = Decoder(COMPLAINT_KINDS), Decoder(HISTORY_KINDS)
# So many looks at a ticket that isn't there yet, before its note is given up.
_PATIENCE = 10_000


def router(world: World) -> list[Steps]:
    """Everything that dies with the router's process."""
    return [
        consumer(world, "router", "router", ["complaints.v1"], _COMPLAINTS, _complaint),
        consumer(world, "router", "router-history", ["escalations.v1", "vouchers.v1"], _HISTORY, _note),
        _relay(world),
    ]


def _complaint(world: World, message: Incoming) -> Steps:
    found = arrival(message)
    if found is None:
        return
    while True:
        while "store" in world.away:
            if "good messages are buried" in world.bugs:
                raise_poison()
            yield IDLE
        if found.ticket_id in world.store.tickets:
            if (yield from _fold(world, found)):
                return
            continue
        assert isinstance(found, Submitted)
        complaint = found.complaint
        facts = ComplaintFacts(complaint.declared, text_of(message.body), "demo", complaint.channel)  # type: ignore[arg-type]
        event = open_ticket(complaint, decide(world.policies, facts), world.policies, world.now)
        yield STEP
        if world.store.add(Update(0, (event,))):
            yield STEP
            return


def raise_poison() -> None:
    """A planted bug: what isn't there at the moment is taken for what never will be."""
    from common.errors import Poison

    raise Poison("gave_up")


def _note(world: World, message: Incoming) -> Steps:
    found = arrival(message)
    if found is None:
        return
    while True:
        while "store" in world.away or found.ticket_id not in world.store.tickets:
            yield IDLE
        if (yield from _fold(world, found)):
            return


def _fold(world: World, found: Arrival) -> Generator[str, None, bool]:
    """Whether it is done; False: somebody else was first, or it must be decided anew."""
    try:
        update = fold(world.store.tickets[found.ticket_id], [found])
    except Unavailable:
        return True
    if update is None:
        return True
    yield STEP
    done = world.store.save(update)
    yield STEP
    return done


def _relay(world: World) -> Steps:
    """Outbox → tickets.v1: in order, each acknowledged before the next, cleared after it was."""
    while True:
        waiting = [ticket_id for ticket_id, events in world.store.outbox.items() if events]
        if not waiting or "store" in world.away:
            yield IDLE
            continue
        ticket_id = world.chance.choice(waiting)
        events = list(world.store.outbox[ticket_id])
        yield STEP
        if "relay clears before it publishes" in world.bugs:
            world.store.clear(ticket_id, events[-1].ticket.version)
            yield STEP
        if "relay publishes the newest only" in world.bugs:
            events = events[-1:]
        for event in events:
            for message in stored_event(event).messages():
                yield from publish(world, message)
        while "store" in world.away:
            yield IDLE
        world.store.clear(ticket_id, events[-1].ticket.version)
        yield STEP
