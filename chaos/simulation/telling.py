"""The notifier in steps, and the provider: claim, send under the claim's key, record."""

from chaos.simulation.consuming import consumer
from chaos.simulation.world import IDLE, STEP, Steps, World
from common.events import Decoder, Incoming
from gen.pingxi.v1.escalation_pb2 import TicketEscalated
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from gen.pingxi.v1.voucher_pb2 import VoucherIssued
from services.notifier.model import Notification, Way
from services.notifier.policy import key_for, plan
from services.notifier.wire import happening_of

_CUSTOMERS, _STAFF = Decoder([TicketEvent, VoucherIssued]), Decoder([TicketEscalated])


def notifier(world: World) -> list[Steps]:
    """Two groups, so that customers' messages hold up no escalation."""
    return [
        consumer(world, "notifier", "notifier", ["tickets.v1", "vouchers.v1"], _CUSTOMERS, _tell),
        consumer(world, "notifier", "notifier-escalations", ["escalations.v1"], _STAFF, _tell),
    ]


def _tell(world: World, message: Incoming) -> Steps:
    found = happening_of(message.body)
    for owed in plan(found) if found else ():
        yield from _deliver(world, owed)


def _deliver(world: World, owed: Notification) -> Steps:
    while "store" in world.away:
        yield IDLE
    state = world.store.deliveries.setdefault(owed.id, "claimed")
    yield STEP
    if state == "delivered":
        return
    if "notifier records before it sends" in world.bugs:
        world.store.deliveries[owed.id] = "delivered"
        yield STEP
    while "provider" in world.away:
        yield IDLE
    key = key_for(owed, owed.ways[0] if owed.ways else Way.SMS)
    if "every message has its own key" in world.bugs:
        key = world.chance.randbytes(8).hex()
    if key not in {taken for taken, *_ in world.taken}:
        world.taken.append((key, owed.ticket_id, owed.recipient, owed.event.value))
    yield STEP
    while "store" in world.away:
        yield IDLE
    world.store.deliveries[owed.id] = "delivered"
    yield STEP
