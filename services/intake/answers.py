"""The JSON of answers, as `schemas.py` describes it."""

from datetime import datetime

from common.words import rfc3339
from rules.model import Promise
from services.intake.model import CustomerPage, Listed, Locale, Progress, Receipt, TimelineEntry
from services.intake.texts import status_text, timeline_text


def receipt_body(receipt: Receipt) -> dict[str, object]:
    """The JSON of a 201."""
    return {
        "success": True,
        "id": receipt.ticket_id,
        "token": receipt.token,
        "acknowledgedAt": rfc3339(receipt.acknowledged_at),
        "promise": _promise(receipt.promise),
    }


def progress_body(progress: Progress, locale: Locale) -> dict[str, object]:
    """The JSON of a progress answer."""
    return {
        "id": progress.ticket_id,
        "status": progress.status,
        "statusText": status_text(progress.status, locale),
        "type": progress.category,
        "promise": _promise(progress.promise),
        "timeline": [entry_body(entry, locale) for entry in progress.timeline],
        "compensation": [
            {
                "id": entry.id,
                "amount": {"currency": entry.currency, "amountMinor": entry.amount_minor},
                "reason": entry.reason,
                "state": entry.state,
                "at": rfc3339(entry.at),
                **({"points": entry.points} if entry.points else {}),
            }
            for entry in progress.compensation
        ],
        "canRate": progress.can_rate,
    }


def entry_body(entry: TimelineEntry, locale: Locale) -> dict[str, object]:
    """The JSON of one thing that happened."""
    return {
        "at": rfc3339(entry.at),
        "kind": entry.kind,
        "text": entry.text or timeline_text(entry.kind, locale),
        "images": list(entry.images),
    }


def _promise(promise: Promise) -> dict[str, str | None]:
    return {"firstResponseBy": _instant(promise.first_response_by), "resolveBy": _instant(promise.resolve_by)}


def _instant(instant: datetime | None) -> str | None:
    return rfc3339(instant) if instant else None


def page_body(page: CustomerPage, locale: Locale) -> dict[str, object]:
    """The JSON of a customer's list."""
    return {
        "complaints": [_listed(each, locale) for each in page.complaints],
        "nextPageToken": page.next_page_token or None,
    }


def _listed(each: Listed, locale: Locale) -> dict[str, object]:
    return {
        "id": each.ticket_id,
        "status": each.status,
        "statusText": status_text(each.status, locale),
        "type": each.category,
        "orderId": each.order_id or None,
        "acknowledgedAt": _instant(each.acknowledged_at),
        "promise": _promise(each.promise),
        "continuedAs": each.merged_into or None,
        "canRate": each.status == "resolved",
    }
