"""Escalation chains: levels after delays until acknowledged or met (sla.md, "Warning, breach, escalation").

The chain is frozen at the breach. Level n+1 is due its delay after level n was *published*, so that after an outage
the levels don't fire all at once. An acknowledged but unresolved escalation comes back after `return_after`.
"""

from dataclasses import replace
from datetime import datetime

from services.sla import effects as make
from services.sla.model import Breach, Clock, Effect, Row


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
