"""The closed sets of words, one enum each."""

from enum import StrEnum


class Category(StrEnum):
    """What a complaint is about (requirements, "Understanding and routing")."""

    PRODUCT_QUALITY = "product_quality"
    DELIVERY = "delivery"
    PRICE = "price"
    PROMOTION = "promotion"
    SERVICE_ATTITUDE = "service_attitude"
    SYSTEM = "system"
    MISSING_OR_WRONG = "missing_or_wrong"
    FOOD_SAFETY = "food_safety"
    OTHER = "other"


class Priority(StrEnum):
    """How soon a ticket is handled, most pressing first."""

    URGENT = "urgent"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    def raised(self) -> "Priority":
        """One step more pressing; urgent stays urgent (sla.md: "Anger raises by one")."""
        steps = list(Priority)
        return steps[max(0, steps.index(self) - 1)]


class Metric(StrEnum):
    """What is promised, each with its own clock (sla.md, table of metrics)."""

    ROUTING = "routing"
    ASSIGNMENT = "assignment"
    FIRST_RESPONSE = "first_response"
    NEXT_RESPONSE = "next_response"
    UPDATE = "update"
    RESOLUTION = "resolution"
    CALLBACK = "callback"


class Status(StrEnum):
    """The state of a ticket."""

    RECEIVED = "received"
    IN_PROGRESS = "in_progress"
    PENDING = "pending"
    RESOLVED = "resolved"
    CLOSED = "closed"


class Way(StrEnum):
    """How a level of an escalation reaches people."""

    CONSOLE = "console"
    ROBOT = "robot"
    SMS = "sms"
    VOICE = "voice"


class TriggerKind(StrEnum):
    """What can lead to a compensation (compensation.md, "Triggers")."""

    SLA_BREACH = "sla_breach"
    ORDER_LATE = "order_late"
    INCIDENT = "incident"
    RESOLUTION = "resolution"
    RATING = "rating"
    SUGGESTION = "suggestion"


class Instrument(StrEnum):
    """What a compensation is paid in: a voucher (minor units of a currency) or loyalty points."""

    VOUCHER = "voucher"
    POINTS = "points"


class Fault(StrEnum):
    """Whose fault a compensated failure is, for settlement (compensation.md, "Fault party")."""

    NONE = "none"
    MERCHANT = "merchant"
    COURIER = "courier"
    PLATFORM = "platform"
