"""`python -m services.router reseal`: seals what is stored with the current key, so that older keys can go.

May be stopped and said again, and runs beside the router: each ticket is written only if it is still the one that was
read. Says how many documents are left under which key; a key may go once that is none, and complaints.v1 holds no
older messages (14 days).
"""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from common.errors import Poison, Unavailable
from common.keys import load_keys
from common.sealing import Sealer
from common.settings import load_settings
from services.router.database import connect, disconnect
from services.router.settings import RouterSettings
from services.router.store_sealed import MongoSealed

_SHOWN_EVERY = 200

# (ticket id, version, sealed values by their path in the document)
SealedTicket = tuple[str, int, dict[str, dict[str, Any]]]


def resealed(sealer: Sealer, ticket_id: str, values: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Those under another key, sealed anew. Raises Poison where one can't be opened."""
    found = {}
    for path, sealed in values.items():
        if sealed["key_id"] != sealer.current:
            plain = sealer.open(sealed["key_id"], bytes(sealed["ciphertext"]), ticket_id)
            key_id, ciphertext = sealer.seal(plain, ticket_id)
            found[path] = {"key_id": key_id, "ciphertext": ciphertext}
    return found


async def reseal(store: Any, sealer: Sealer, say: Callable[[int, int], None]) -> tuple[int, Counter[str]]:
    """(documents written, what is left: values by key id). Raises Unavailable."""
    total, seen, written = await store.count(), 0, 0
    left: Counter[str] = Counter()
    tickets: AsyncIterator[SealedTicket] = store.all()
    async for ticket_id, version, values in tickets:
        seen += 1
        try:
            changes = resealed(sealer, ticket_id, values)
        except Poison:
            left.update(sealed["key_id"] for sealed in values.values() if sealed["key_id"] != sealer.current)
            changes = {}
        if changes and await store.replace(ticket_id, version, changes):
            written += 1
        elif changes:
            # It has changed meanwhile: the next time.
            left.update(values[path]["key_id"] for path in changes)
        if seen % _SHOWN_EVERY == 0 or seen == total:
            say(seen, total)
    return written, left


async def _run(settings: RouterSettings) -> int:
    sealer = load_keys(settings.keys).sealer()
    client = connect(settings.mongo)
    bar = sys.stderr.isatty()

    def say(seen: int, total: int) -> None:
        sys.stderr.write(f"{chr(13) if bar else ''}{seen}/{total} tickets looked at{'' if bar else chr(10)}")
        sys.stderr.flush()

    try:
        written, left = await reseal(MongoSealed(client), sealer, say)
    finally:
        await disconnect(client)
    rest = ", ".join(f"{count} under {key_id}" for key_id, count in sorted(left.items())) or "nothing"
    sys.stdout.write(f"{written} tickets sealed with {sealer.current}; left: {rest}\n")
    return 1 if left else 0


def main() -> int:
    """0: everything is under the current key; 1: not everything; 2: it can't be done."""
    settings = load_settings(RouterSettings)
    try:
        return asyncio.run(_run(settings))
    except (Unavailable, ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
