"""Who is told what, and when it isn't sent any more. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from common.ids import deterministic_id
from rules.model import Calendar
from rules.staff import Calendars, Staff
from services.notifier.model import (
    CUSTOMER,
    Answered,
    Compensated,
    Delayed,
    Escalated,
    Event,
    Expected,
    Fact,
    Granted,
    Happening,
    Notification,
    Opened,
    Resolved,
    Surged,
    TicketFacts,
    Way,
)
from services.notifier.people import NOBODY, Place, leads, resolve

# mechanisms.md: "Nothing is sent for events older than 24 h", so that a replay never floods anybody.
EXPIRES_AFTER = timedelta(hours=24)

# The console shows escalations by itself; it is no message.
_WAYS = {"robot": Way.ROBOT, "sms": Way.SMS, "voice": Way.VOICE, "mail": Way.MAIL}
_NOTICE_WAYS = (Way.ROBOT, Way.SMS)
# Reasons a platform gives for a delay that a message can say; any other is left out.
DELAY_REASONS = frozenset({"traffic", "weather", "busy", "merchant", "courier", "address", "system"})
_LAST_RESORT = "role:supervisor"
_OPENID = "wx:"
_FIRST_DELAY = 0.25
_LONGEST_DELAY = 15.0


def _no_calendar(brand: str, name: str) -> Calendar | None:
    """Nobody's hours are known."""
    return None


def plan(happening: Happening, staff: Staff = NOBODY, calendars: Calendars = _no_calendar) -> tuple[Notification, ...]:
    """Every message an event owes; the same event and staff give the same ids. Staff first: theirs need nobody's data.

    People are found as of the event's own time, not of the moment it is handled: a repeat tells the same ones.
    """
    match happening:
        case Opened():
            return (*_notices(happening, staff, calendars), _confirmation(happening))
        case Answered(cause, at, ticket, message_id):
            return (_to_customer(Event.REPLY, cause, at, ticket, message_id),)
        case Resolved(cause, at, ticket, message_id, resolution):
            facts: dict[str, Fact] = {"resolution": resolution}
            return (_to_customer(Event.RESOLUTION, cause, at, ticket, message_id, facts),)
        case Escalated():
            return _escalation(happening, staff, calendars)
        case Delayed() | Expected():
            return _of_order(happening)
        case Surged():
            return _surge(happening, staff, calendars)
        case Compensated():
            return (_given(Event.VOUCHER, happening, {"amount": happening.amount, "reason": happening.reason}),)
        case Granted():
            return (_given(Event.POINTS, happening, {"points": happening.points, "reason": happening.reason}),)


def _id(cause: str, recipient: str) -> str:
    return deterministic_id("notification", cause, recipient)


def _to_customer(
    event: Event,
    cause: str,
    at: datetime,
    ticket: TicketFacts,
    message_id: str = "",
    facts: dict[str, Fact] | None = None,
) -> Notification:
    return Notification(
        id=_id(cause, CUSTOMER),
        event=event,
        ticket_id=ticket.id,
        brand=ticket.brand,
        recipient=CUSTOMER,
        at=at,
        locale=ticket.locale,
        message_id=message_id,
        facts={"red": ticket.red, "category": ticket.category, **(facts or {})},
    )


def _confirmation(opened: Opened) -> Notification:
    ticket = opened.ticket
    promise: dict[str, Fact] = {"first_response_by": ticket.first_response_by, "resolve_by": ticket.resolve_by}
    return _to_customer(Event.CONFIRMATION, opened.cause, opened.at, ticket, facts=promise)


def _notices(opened: Opened, staff: Staff, calendars: Calendars) -> Iterable[Notification]:
    """sla.md: "The red channel tells the supervisor and the emergency rota at routing, as a notice", and food safety is
    for "quality control with legal jointly": the leads of joint queues learn of it then, too."""
    ticket = opened.ticket
    if not ticket.red:
        return
    place = Place(ticket.brand, ticket.queue, ticket.assignee, ticket.joint_queues)
    told = resolve(ticket.notices, place, staff, calendars, opened.at)
    joint = [who for queue in ticket.joint_queues for who in leads(queue, ticket.brand, staff, calendars, opened.at)]
    for recipient in dict.fromkeys((*told, *joint)):
        yield Notification(
            id=_id(opened.cause, recipient),
            event=Event.NOTICE,
            ticket_id=ticket.id,
            brand=ticket.brand,
            recipient=recipient,
            at=opened.at,
            ways=_NOTICE_WAYS,
            facts={
                "category": ticket.category,
                "priority": ticket.priority,
                "queue": ticket.queue,
                "joint_queues": ticket.joint_queues,
                "first_response_by": ticket.first_response_by,
            },
        )


def _escalation(escalated: Escalated, staff: Staff, calendars: Calendars) -> tuple[Notification, ...]:
    """sla.md: "One message per person and level", and "the people of a level are found when it fires".

    A level that names nobody there is (no assignee, no queue yet, because the router is behind) tells the supervisor:
    an escalation that nobody hears is none.
    """
    place = Place(escalated.brand, escalated.queue, escalated.assignee)
    told = resolve(escalated.notify, place, staff, calendars, escalated.at)
    ways = tuple(dict.fromkeys(_WAYS[way] for way in escalated.ways if way in _WAYS))
    if not ways:
        return ()
    return tuple(
        Notification(
            id=_id(escalated.cause, recipient),
            event=Event.ESCALATION,
            ticket_id=escalated.ticket_id,
            brand=escalated.brand,
            recipient=recipient,
            at=escalated.at,
            ways=ways,
            facts={
                "metric": escalated.metric,
                "level": escalated.level,
                "breached_at": escalated.breached_at,
                "priority": escalated.priority,
                "queue": escalated.queue,
                "red": escalated.red,
                "returned": escalated.returned,
            },
        )
        for recipient in told or resolve([_LAST_RESORT], place, staff, calendars, escalated.at)
    )


def _pushed(
    event: Event, cause: str, at: datetime, brand: str, customer_id: str, facts: dict[str, Fact]
) -> Notification:
    """To a customer whose contact we don't have: by push, through the brand's own app, under his id there."""
    recipient = f"{CUSTOMER}:{customer_id}"
    return Notification(
        id=_id(cause, recipient),
        event=event,
        ticket_id="",
        brand=brand,
        recipient=recipient,
        at=at,
        ways=(Way.PUSH,),
        facts=facts,
    )


def _given(event: Event, given: Compensated | Granted, facts: dict[str, Fact]) -> Notification:
    if not given.ticket_id and given.customer_id:
        # For an order nobody complained about: there is no ticket that tells a contact.
        return _pushed(event, given.cause, given.at, given.brand, given.customer_id, facts)
    return Notification(
        id=_id(given.cause, CUSTOMER),
        event=event,
        ticket_id=given.ticket_id,
        brand=given.brand,
        recipient=CUSTOMER,
        at=given.at,
        facts=facts,
    )


def _of_order(told: Delayed | Expected) -> tuple[Notification, ...]:
    """compensation.md: "a message to the customer up to 1 h ahead with the reason"."""
    if not told.customer_id:
        return ()
    if isinstance(told, Expected):
        facts: dict[str, Fact] = {"order": told.order_id, "eta": told.eta}
        return (_pushed(Event.ETA, told.cause, told.at, told.brand, told.customer_id, facts),)
    facts = {
        "order": told.order_id,
        "why": told.why,
        "delay_reason": told.reason if told.reason in DELAY_REASONS else "",
        "promised_at": told.promised_at,
        "eta": told.eta,
    }
    return (_pushed(Event.DELAY, told.cause, told.at, told.brand, told.customer_id, facts),)


def _surge(surged: Surged, staff: Staff, calendars: Calendars) -> tuple[Notification, ...]:
    """compensation.md: "An incident … has one escalation": the supervisors, once, when it opens."""
    place = Place(surged.brand, "", "")
    facts: dict[str, Fact] = {
        "category": surged.category,
        "dimension": surged.dimension,
        "value": surged.value,
        "complaints": surged.complaints,
        "orders": surged.orders,
    }
    return tuple(
        Notification(
            id=_id(surged.cause, recipient),
            event=Event.SURGE,
            ticket_id="",
            brand=surged.brand,
            recipient=recipient,
            at=surged.at,
            ways=_NOTICE_WAYS,
            facts=facts,
        )
        for recipient in resolve([_LAST_RESORT], place, staff, calendars, surged.at)
    )


def expired(notification: Notification, now: datetime) -> bool:
    """Whether the event is too old to tell anybody."""
    return now - notification.at > EXPIRES_AFTER


def way_to(contact: str) -> Way:
    """A customer is reached where the complaint said: a mail address by mail, a phone by SMS, a follower by WeChat."""
    if contact.startswith(_OPENID):
        return Way.WECHAT
    return Way.MAIL if "@" in contact else Way.SMS


def key_for(notification: Notification, way: Way) -> str:
    """The provider's idempotency key: the notification's id on its first way, another on each way after that."""
    if notification.personal or way == notification.ways[0]:
        return notification.id
    return deterministic_id("notification-way", notification.id, way)


def masked(recipient: str) -> str:
    """A contact as it may be kept and published: `+86138****1111`, `a***@example.com`, `wx:****`. Words stay."""
    if recipient.startswith(_OPENID):
        return f"{_OPENID}****"
    name, at, domain = recipient.partition("@")
    if at:
        return f"{name[:1]}***@{domain}"
    if ":" in recipient or recipient == CUSTOMER:
        return recipient
    return f"{recipient[:-8]}****{recipient[-4:]}" if len(recipient) > 10 else f"****{recipient[-2:]}"


def retry_delay(attempt: int, chance: float) -> float:
    """Seconds after failed try `attempt` (from 0): doubles from 0.25 s to 15 s; `chance` (0–1) spreads half of it."""
    whole = min(_FIRST_DELAY * float(2 ** min(attempt, 10)), _LONGEST_DELAY)
    return whole * (0.5 + chance / 2)


def sms_segments(text: str) -> int:
    """How many SMS a text is billed as: 70 UTF-16 units, 67 each when joined; plain ASCII 160 and 153 (3GPP 23.038)."""
    units = len(text.encode("utf-16-le")) // 2
    alone, joined = (160, 153) if text.isascii() else (70, 67)
    return 1 if units <= alone else -(-units // joined)
