"""Messages of every kind, made by the same rules as real ones: every template has to be able to print them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from services.notifier.model import (
    Amount,
    Answered,
    Compensated,
    Delayed,
    Escalated,
    Event,
    Expected,
    Granted,
    Happening,
    Notification,
    Opened,
    Resolved,
    Surged,
    TicketFacts,
)
from services.notifier.policy import plan

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
TEXT = "您好，退款已原路退回。"
_NUMBER = "7K3M-9QXZ-4TPC-5"


def _ticket(*, category: str, red: bool, promised: timedelta | None) -> TicketFacts:
    by = None if promised is None else NOW + promised
    return TicketFacts(
        id=_NUMBER,
        brand="default",
        locale="zh-CN",
        category=category,
        priority="urgent" if red else "normal",
        queue="quality_control" if red else "customer_service",
        joint_queues=("legal",) if category == "food_safety" else (),
        assignee="",
        red=red,
        first_response_by=by,
        resolve_by=None if by is None else by + timedelta(hours=24),
        notices=("role:supervisor", "oncall:emergency") if red else (),
    )


def _escalated(metric: str, level: int, red: bool, returned: int) -> Escalated:
    return Escalated(
        cause="sample",
        at=NOW,
        ticket_id=_NUMBER,
        brand="default",
        metric=metric,
        level=level,
        notify=("role:supervisor",),
        ways=("robot",),
        breached_at=NOW - timedelta(seconds=30),
        priority="urgent" if red else "normal",
        queue="quality_control" if red else "",
        assignee="",
        red=red,
        returned=returned,
    )


_FOOD = _ticket(category="food_safety", red=True, promised=timedelta(minutes=10))
_LATE = _ticket(category="delivery", red=True, promised=timedelta(minutes=10))
_PRICE = _ticket(category="price", red=False, promised=timedelta(minutes=30))
_OVERDUE = _ticket(category="food_safety", red=True, promised=-timedelta(minutes=1))
_UNPROMISED = _ticket(category="other", red=False, promised=None)

_HAPPENINGS: tuple[Happening, ...] = (
    *(Opened("sample", NOW, ticket) for ticket in (_FOOD, _LATE, _PRICE, _OVERDUE, _UNPROMISED)),
    *(Answered("sample", NOW, ticket, "m1") for ticket in (_FOOD, _PRICE)),
    *(
        Resolved("sample", NOW, ticket, message, resolution)
        for ticket in (_FOOD, _PRICE)
        for message in ("m1", "")
        for resolution in ("refund", "reship", "price_difference", "coupon", "apology", "other", "")
    ),
    *(
        _escalated(metric, level, red, returned)
        for metric in ("first_response", "resolution")
        for level, red, returned in ((1, True, 0), (2, False, 0), (2, True, 1))
    ),
    *(
        Delayed("sample", NOW, "o-20261123-81", "default", "c-1", why, reason, NOW + timedelta(minutes=20), eta)
        for why, reason, eta in (
            ("eta", "traffic", NOW + timedelta(minutes=45)),
            ("eta", "", NOW + timedelta(minutes=45)),
            ("eta", "something_new", NOW + timedelta(minutes=45)),
            ("risk", "weather", None),
            ("risk", "", None),
            ("overdue", "", None),
        )
    ),
    Expected("sample", NOW, "o-20261123-81", "default", "c-1", NOW + timedelta(minutes=10)),
    Compensated("sample", NOW, "", "default", Amount("CNY", 500), "order_late", "c-1"),
    *(
        Granted("sample", NOW, number, "default", points, reason, "c-1")
        for number in (_NUMBER, "")
        for points in (50, 1)
        for reason in ("satisfied", "suggestion", "something_new")
    ),
    *(
        Surged("sample", NOW, "i1", "default", category, dimension, value, 12, orders)
        for category, dimension, value, orders in (
            ("product_quality", "merchant", "m-orchard-12", 9),
            ("delivery", "region", "sh-minhang", 0),
            ("system", "all", "", 0),
        )
    ),
    *(
        Compensated("sample", NOW, _NUMBER, "default", Amount("CNY", minor), reason)
        for minor, reason in (
            *((1000, "red_first_response"), (500, "order_late"), (550, "incident")),
            *((2000, "resolution"), (1, "something_new")),
        )
    ),
)


def samples() -> Mapping[Event, list[tuple[Notification, str]]]:
    """For each event messages in all its shapes, with the desk's text where there is one."""
    found: dict[Event, list[tuple[Notification, str]]] = {event: [] for event in Event}
    for happening in _HAPPENINGS:
        for notification in plan(happening):
            found[notification.event].append((notification, TEXT if notification.message_id else ""))
    return found
