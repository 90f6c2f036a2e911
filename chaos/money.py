"""Where the harness touches compensation: one place to change when compensation does."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from chaos.observation import Budget, LedgerRow
from rules.model import PolicySet

# Broken promises that are paid for by `policies/default/compensation.yaml`, as (red, metric).
PAYS = frozenset({(True, "first_response")})


def ledger_row(document: Mapping[str, Any], policies: Mapping[str, PolicySet]) -> LedgerRow:
    """A document of the collection `ledger`."""
    charged = (document.get("charges") or {}).get("budgets")
    return LedgerRow(
        id=document["_id"],
        ticket=document["ticket_id"],
        state=document["state"],
        amount=document["amount_minor"],
        budgets=tuple(charged) if charged is not None else _of_the_day(document, policies),
        unpublished=bool(document.get("unpublished")),
    )


def _of_the_day(document: Mapping[str, Any], policies: Mapping[str, PolicySet]) -> tuple[str, ...]:
    settled: datetime = document["settle_at"].replace(tzinfo=UTC)
    day = settled.astimezone(ZoneInfo(policies[document["brand"]].brand.time_zone)).date()
    return (f"brand/{document['brand']}/{day.isoformat()}",)


def budgets(documents: Iterable[Mapping[str, Any]], policies: Mapping[str, PolicySet]) -> tuple[Budget, ...]:
    """The collection `budgets`."""
    return tuple(Budget(d["_id"], d["spent"], _limit(d["_id"], policies)) for d in documents)


def _limit(budget: str, policies: Mapping[str, PolicySet]) -> int | None:
    kind, _, rest = budget.partition("/")
    brand = rest.partition("/")[0]
    if kind != "brand" or brand not in policies:
        return None
    return policies[brand].compensation.limits.brand_per_day
