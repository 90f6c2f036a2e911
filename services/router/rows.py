"""Tickets, their events and filters as the database's documents. Pure: the calls are in `store.py`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from common.words import from_us, to_us
from services.router.documents import from_document
from services.router.model import Event, Ticket
from services.router.ports import Filter
from services.router.wire import Also, StoredEvent, stored_event

ACKNOWLEDGED = "facts.acknowledged_at"


def ticket_of(document: dict[str, Any]) -> Ticket:
    """The ticket of a document."""
    ticket: Ticket = from_document(Ticket, {**document, "id": document["_id"]})
    return ticket


def value_of(document: Mapping[str, Any], key: str) -> int:
    """The number at a dotted path."""
    value: Any = document
    for part in key.split("."):
        value = value[part]
    return int(value)


def rows_of(events: Sequence[Event]) -> list[dict[str, Any]]:
    """The outbox rows of events."""
    stored = map(stored_event, events)
    return [
        {
            "version": e.version,
            "id": e.id,
            "at": to_us(e.at),
            "trace": e.trace,
            "body": e.body,
            "also": [{"kind": a.kind, "key": a.key, "id": a.id, "body": a.body} for a in e.also],
        }
        for e in stored
    ]


def stored_of(ticket_id: str, row: Mapping[str, Any]) -> StoredEvent:
    """Reverse of `rows_of`, for one row."""
    at: datetime | None = from_us(row["at"])
    assert at is not None
    also = tuple(Also(a["kind"], a["key"], a["id"], bytes(a["body"])) for a in row.get("also", ()))
    return StoredEvent(ticket_id, row["version"], row["id"], at, row["trace"], bytes(row["body"]), also)


def query_of(which: Filter) -> dict[str, Any]:
    """A filter as the database understands it."""
    lists: Mapping[str, Sequence[str]] = {
        "brand": which.brands,
        "status": which.statuses,
        "queue": which.queues,
        "priority": which.priorities,
        "category": which.categories,
        "assignee": which.assignees,
    }
    words = {
        "customer_id": which.customer_id,
        "customer_ref": which.customer_ref,
        "order_id": which.order_id,
        "merchant_id": which.merchant_id,
        "region": which.region,
    }
    query: dict[str, Any] = {name: {"$in": [str(each) for each in values]} for name, values in lists.items() if values}
    query |= {name: value for name, value in words.items() if value}
    times = {"$gte": which.acknowledged_from, "$lt": which.acknowledged_to}
    bounds = {operator: to_us(instant) for operator, instant in times.items() if instant}
    if which.terms:
        # The embedded database uses its index for one term only where that is said plainly.
        query["terms"] = which.terms[0] if len(which.terms) == 1 else {"$all": list(which.terms)}
    return query | ({ACKNOWLEDGED: bounds} if bounds else {})
