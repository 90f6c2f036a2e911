"""The loop of a consumer group: at least once, commits after the work, dead letters for what can't be processed."""

from collections.abc import Callable, Sequence

from chaos.simulation.world import IDLE, PARTITIONS, STEP, Stamped, Steps, World
from common.errors import Poison
from common.events import Decoder, Incoming

Handle = Callable[[World, Incoming], Steps]


def consumer(world: World, service: str, group: str, topics: Sequence[str], decoder: Decoder, handle: Handle) -> Steps:
    """One member, which has all partitions. Topics and partitions are read in any order among each other."""
    places = [(topic, number) for topic in topics for number in range(PARTITIONS)]
    at = {place: world.log.committed.get((group, *place), 0) for place in places}
    while True:
        waiting = [place for place in places if at[place] < world.log.end(*place)]
        if not waiting or "log" in world.away:
            yield IDLE
            continue
        topic, number = place = world.chance.choice(waiting)
        records = world.log.read(topic, number, at[place], world.chance.randint(1, 4))
        yield STEP
        end = records[-1].offset + 1
        if f"{service} commits before its work" in world.bugs:
            world.log.committed[group, topic, number] = end
            yield STEP
        for record in records:
            yield from one(world, service, record, decoder, handle)
        at[place] = end
        world.log.committed[group, topic, number] = end
        yield STEP


def one(world: World, service: str, record: Stamped, decoder: Decoder, handle: Handle) -> Steps:
    """One record, handled or buried."""
    try:
        found = decoder.decode(record.topic, record.partition, record.offset, record.key, record.value, record.headers)
        if found is not None:
            yield from handle(world, found)
    except Poison as poison:
        yield from bury(world, service, record, poison)


def bury(world: World, service: str, record: Stamped, poison: Poison) -> Steps:
    """Returns when the dead letter is in the log."""
    if "poison is dropped" in world.bugs:
        return
    while "poison stops the partition" in world.bugs:
        yield IDLE
    while "log" in world.away:
        yield IDLE
    headers = [
        *record.headers,
        ("topic", record.topic.encode()),
        ("partition", str(record.partition).encode()),
        ("offset", str(record.offset).encode()),
        ("service", service.encode()),
        ("reason", poison.reason.encode()),
    ]
    world.log.put("dead-letters.v1", record.key or b"", record.value, headers, world.now, 0)
    yield STEP
