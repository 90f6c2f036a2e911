"""The watchdog in steps: an agent and a timer for each partition, as services/sla/stream.py and due.py have them."""

from dataclasses import replace
from datetime import timedelta
from heapq import heappop, heappush

from chaos.rebuilding import Calendars
from chaos.simulation.consuming import bury
from chaos.simulation.world import IDLE, STEP, Memory, Stamped, Steps, World, publish
from common.errors import Poison
from common.events import Outgoing
from common.ids import deterministic_id
from common.words import to_timestamp, to_us
from gen.pingxi.v1.internal_pb2 import DueCame, EndOffset
from services.sla import model as m
from services.sla.judge import due_of, judge, read
from services.sla.outgoing import outgoing
from services.sla.rows import row_from_bytes, row_to_bytes
from services.sla.unpublished import unpublished_of, with_unpublished
from services.sla.watchdog import next_due, tick

INPUTS = ("complaints.v1", "tickets.v1", "sla-commands")
DUE = "sla-due"
GROUP = "pingxi-sla"
_LOOK_AGAIN = timedelta(milliseconds=50)


def watchdog(world: World, partition: int) -> list[Steps]:
    """A worker as far as one partition sees it: it dies with the process, or when the partition moves."""
    memory = world.memories[partition] = Memory()
    return [_agent(world, partition, memory), _timer(world, partition, memory)]


class _Chunk:
    def __init__(self) -> None:
        self.rows: dict[bytes, m.Row] = {}
        self.effects: list[m.Effect] = []
        self.left: dict[bytes, list[Outgoing]] = {}
        # On record before anything is published.
        self.first: dict[bytes, bytes] = {}
        self.look_again: list[tuple[int, bytes]] = []


def _agent(world: World, partition: int, memory: Memory) -> Steps:
    calendars = Calendars({"demo": world.policies})
    table = world.tables[partition]
    topics = (*INPUTS, DUE)
    memory.positions |= {(t, partition): world.log.committed.get((GROUP, t, partition), 0) for t in topics}
    # Nothing fires before what was sent until now is processed.
    memory.guard = {(t, partition): world.log.end(t, partition) for t in INPUTS}
    for key, value in table.items():
        if (due := next_due(row_from_bytes(key.decode(), value, calendars))) is not None:
            _arm(world, memory, to_us(due), key)
    yield STEP
    while True:
        waiting = [t for t in topics if memory.positions[t, partition] < world.log.end(t, partition)]
        if not waiting or "log" in world.away:
            yield IDLE
            continue
        topic = world.chance.choice(waiting)
        start = memory.positions[topic, partition]
        records = world.log.read(topic, partition, start, world.chance.randint(1, 5))
        yield STEP
        chunk = _Chunk()
        for record in records:
            yield from _decide(world, record, memory, chunk, calendars)
        commit = {(GROUP, topic, partition): records[-1].offset + 1}
        if "watchdog acknowledges before it publishes" in world.bugs:
            table |= {key: row_to_bytes(row) for key, row in chunk.rows.items()}
            world.log.committed |= commit
            yield STEP
        for key, value in chunk.first.items():
            if "breaches are published before they are on record" not in world.bugs:
                table[key] = value
            yield STEP
        for left in chunk.left.values():
            for message in left:
                yield from publish(world, message)
        for effect in chunk.effects:
            for message in _messages(world, effect):
                yield from publish(world, message)
        for key, row in chunk.rows.items():
            if "rows are kept in memory only" not in world.bugs or world.chance.random() < 0.5:
                table[key] = row_to_bytes(row)
            yield STEP
        for key, row in chunk.rows.items():
            if (due := next_due(row)) is not None:
                _arm(world, memory, to_us(due), key)
        for due_us, key in chunk.look_again:
            _arm(world, memory, due_us, key)
        world.log.committed |= commit
        yield STEP


def _arm(world: World, memory: Memory, due_us: int, key: bytes) -> None:
    heappush(memory.timers, (due_us, key))


def _decide(world: World, record: Stamped, memory: Memory, chunk: _Chunk, calendars: Calendars) -> Steps:
    table = world.tables[record.partition]

    def row_of(key: bytes) -> m.Row | None:
        if key in chunk.rows:
            return chunk.rows[key]
        if key not in table:
            return None
        row = row_from_bytes(key.decode(), table[key], calendars)
        if left := unpublished_of(table[key]):
            chunk.left[key], chunk.rows[key] = left, row
        return row

    try:
        body = read(record.topic, record.partition, record.offset, record.key, record.value, record.headers)
        if isinstance(body, DueCame):
            tickets, as_of, passed = due_of(body, memory.positions)
            for key in (ticket.encode() for ticket in tickets):
                row = row_of(key)
                if not passed and "due overtakes replies for good" not in world.bugs:
                    chunk.look_again.append((to_us(world.now + _LOOK_AGAIN), key))
                elif row is not None:
                    if "timers fire early" in world.bugs:
                        as_of += timedelta(seconds=1)
                    outcome = tick(row, as_of, world.now)
                    if outcome.row == row and (due := next_due(row)) is not None:
                        chunk.look_again.append((to_us(due), key))
                    _take(chunk, key, row, outcome.row, outcome.effects)
                    if outcome.row is not None and any(isinstance(effect, m.Breached) for effect in outcome.effects):
                        mine = [effect for effect in chunk.effects if effect.row.ticket_id == key.decode()]
                        out = [*chunk.left.get(key, ()), *(each for e in mine for each in _messages(world, e))]
                        chunk.first[key] = with_unpublished(row_to_bytes(outcome.row), out)
        elif body is not None:
            key = record.key or b""
            row = row_of(key)
            outcome = judge(row, body, calendars, world.now)
            _take(chunk, key, row, outcome.row, outcome.effects)
    except Poison as poison:
        yield from bury(world, "sla", record, poison)
    memory.positions[record.topic, record.partition] = record.offset + 1


def _take(
    chunk: _Chunk, key: bytes, before: m.Row | None, after: m.Row | None, effects: "tuple[m.Effect, ...]"
) -> None:
    if after is not None and after != before:
        chunk.rows[key] = after
    chunk.effects += effects


def _messages(world: World, effect: m.Effect) -> list[Outgoing]:
    """What goes out for an effect; the planted bugs spoil it here."""
    message = outgoing(effect)
    if isinstance(effect, m.Breached):
        if "breaches are stamped when found" in world.bugs:
            message.body.breached_at.CopyFrom(message.body.detected_at)  # type: ignore[attr-defined]
        if "breaches have random ids" in world.bugs:
            message.body.breach_id = world.chance.randbytes(8).hex()  # type: ignore[attr-defined]
    if isinstance(effect, m.Escalated) and "escalations have random ids" in world.bugs:
        message = replace(message, id=world.chance.randbytes(8).hex())
    if isinstance(effect, m.Escalated) and "first levels are forgotten" in world.bugs and effect.breach.level == 1:
        return []
    if "due overtakes replies for good" in world.bugs:
        if isinstance(effect, m.EscalationClosed) and effect.why == "retracted":
            return []
        if isinstance(effect, m.Met):
            message.body.retracts = ""  # type: ignore[attr-defined]
    return [message]


def _timer(world: World, partition: int, memory: Memory) -> Steps:
    calendars = Calendars({"demo": world.policies})
    table = world.tables[partition]
    while True:
        now_us = to_us(world.now)
        guarded = any(memory.positions.get(place, 0) < end for place, end in memory.guard.items())
        early = 1_000_000 if "timers fire early" in world.bugs else 0
        if "timers are forgotten" in world.bugs:
            memory.timers.clear()
        if "log" in world.away or guarded or not memory.timers or memory.timers[0][0] > now_us + early:
            yield IDLE
            continue
        _, key = heappop(memory.timers)
        yield STEP
        if key not in table:
            continue
        due = next_due(row_from_bytes(key.decode(), table[key], calendars))
        if due is None:
            continue
        if to_us(due) > to_us(world.now) + early:
            _arm(world, memory, to_us(due), key)
            continue
        as_of = world.now
        ends = [EndOffset(topic=t, partition=partition, offset=world.log.end(t, partition)) for t in INPUTS]
        ticket = key.decode()
        body = DueCame(as_of=to_timestamp(as_of), ticket_ids=[ticket], end_offsets=ends)
        id_ = deterministic_id("due", to_us(as_of), ticket)
        yield from publish(world, Outgoing(DUE, "", id_, ticket, as_of, body, partition=partition))
