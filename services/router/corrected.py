"""`python -m services.router corrections`: what people corrected, as training texts (JSON lines, training/README.md).

A correction is kept where it was made: the ticket has the sealed text, what the machine had understood, and in its
history who changed the category. So there is no second copy of anybody's words, and erasing a customer erases it too.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any, TextIO

from common.clock import SystemClock
from common.errors import Unavailable
from common.keys import load_keys
from common.settings import load_settings
from services.router.database import connect, disconnect
from services.router.model import ActorKind, Ticket
from services.router.ports import Vault
from services.router.settings import RouterSettings
from services.router.store import MongoTickets
from services.router.wire import SealedVault

_PEOPLE = (ActorKind.AGENT, ActorKind.SUPERVISOR)


def correction_of(ticket: Ticket, text: str) -> dict[str, Any] | None:
    """The row of a ticket whose category a person has changed, labelled as the ticket is now; None for others."""
    by_people = any(entry.kind == "category_changed" and entry.actor.kind in _PEOPLE for entry in ticket.history)
    if not by_people or not text.strip():
        return None
    found = ticket.understanding
    return {
        "text": text,
        "category": ticket.category.value,
        "secondary": [each.value for each in ticket.secondary],
        "urgent": ticket.red,
        "angry": found is not None and found.angry,
        "sentiment": found.sentiment if found else "negative",
        "intent": found.intent if found else "complaint",
        "understood": found.category.value if found else "",
        "model": found.model if found else "",
    }


async def write_corrections(tickets: AsyncIterator[Ticket], vault: Vault, out: TextIO) -> int:
    """How many rows were written. Whoever was erased isn't among them: there is no text."""
    written = 0
    async for ticket in tickets:
        if ticket.personal is None:
            continue
        row = correction_of(ticket, vault.open(ticket.id, ticket.personal).text)
        if row is not None:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            written += 1
    return written


async def _export(settings: RouterSettings) -> int:
    client = connect(settings.mongo)
    try:
        tickets = MongoTickets(client, SystemClock()).corrected()
        return await write_corrections(tickets, SealedVault(load_keys(settings.keys).sealer()), sys.stdout)
    finally:
        await disconnect(client)


def main() -> int:
    """The command; 1 where the database doesn't answer."""
    try:
        written = asyncio.run(_export(load_settings(RouterSettings)))
    except Unavailable as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stderr.write(f"{written} corrections; the texts are customers' own words: keep them as you keep tickets\n")
    return 0
