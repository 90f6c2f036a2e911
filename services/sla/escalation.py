"""Escalation chains: levels after delays until acknowledged or met (sla.md, "Warning, breach, escalation").

The chain is frozen at the breach. Level n+1 is due its delay after level n was *published*, so that after an outage
the levels don't fire all at once. An acknowledged but unresolved escalation comes back after `return_after`.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from services.sla import effects as make
from services.sla.model import Acknowledgement, Breach, Clock, Effect, Row


def next_level_at(breach: Breach) -> datetime | None:
    """When the chain's next step is due; None where it has ended or waits for nothing."""
    if breach.closed or not breach.chain:
        return None
    if breach.acknowledged_at is not None:
        return breach.acknowledged_at + breach.return_after if breach.return_after else None
    if breach.level >= len(breach.chain):
        return None
    # Level 1 counts from the breach, but never fires before it was found.
    since = breach.level_at or breach.breached_at
    return since + breach.chain[breach.level].after


def after_level(row: Row, clock: Clock, breach: Breach, as_of: datetime, now: datetime) -> tuple[Breach, list[Effect]]:
    """Fires the level that is due, at most one: the next is due its delay after this one is published."""
    at = next_level_at(breach)
    if at is None or at > as_of:
        return breach, []
    if breach.acknowledged_at is not None:
        # It comes back to the level that had taken it on.
        breach = replace(breach, acknowledged_at=None, acknowledged_by="", returned=breach.returned + 1, level_at=now)
    else:
        breach = replace(breach, level=breach.level + 1, level_at=now)
    return breach, [make.escalated(row, clock, breach, now)]


def has_come(breach: Breach, asked: Acknowledgement) -> bool:
    """Whether the chain has got to where it was acknowledged."""
    return breach.level >= max(asked.level, 1) and breach.returned >= asked.returned


def take(row: Row, clock: Clock, breach: Breach, asked: Acknowledgement) -> tuple[Breach, tuple[Effect, ...]]:
    """The chain stops, and comes back after `return_after`."""
    taken = replace(breach, acknowledged_at=asked.at, acknowledged_by=asked.by)
    return taken, (make.escalation_acknowledged(row, clock, taken, asked.by, asked.at),)


def after_early(row: Row, clock: Clock, breach: Breach) -> tuple[Breach, Sequence[Acknowledgement], tuple[Effect, ...]]:
    """Applies an acknowledgement that came before its level: the breach, what isn't early any more, and the effects."""
    come = [asked for asked in row.early if asked.escalation_id == breach.id and has_come(breach, asked)]
    # Two of one level are one: the second isn't for the time the escalation comes back.
    mine = [a for a in come if a.returned == breach.returned and a.level in (0, breach.level)]
    if not mine or breach.closed or breach.acknowledged_at is not None:
        return breach, come, ()
    breach, effects = take(row, clock, breach, mine[0])
    return breach, come, effects


def close_chains(row: Row, clock: Clock, now: datetime, why: str) -> tuple[Clock, list[Effect]]:
    """Ends every open chain of a clock that was met or cancelled; a chain that told nobody yet ends silently."""
    effects: list[Effect] = []
    breaches: list[Breach] = []
    for breach in clock.breaches:
        if not breach.closed:
            breach = replace(breach, closed="met" if why == "met" else "cancelled")
            if breach.level:
                effects.append(make.escalation_closed(row, clock, breach, now, why))
        breaches.append(breach)
    return replace(clock, breaches=tuple(breaches)), effects
