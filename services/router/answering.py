"""When a machine answers a customer, and what it says: data in, data out.

Honest before helpful: what isn't clearly one simple question is left to people, what isn't known isn't said, and every
answer names the way to a person.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from rules.answers import Answers, AnswerTopic, Locales, variables
from rules.model import Brand, RoutingDecision
from rules.text import normalise
from rules.words import Priority, Status
from services.router.model import ActorKind, Ticket, Understanding

OrderState = Literal["placed", "picked_up", "delivered", "cancelled"]

# Who has waited longer is owed a person's word; and a replay of the topics answers nobody again.
FRESH = timedelta(minutes=10)
# Who calls a person says little else: characters of Chinese, letters of English.
_CALL_MAX, _CALL_MAX_LETTERS = 20, 40
_OPEN = (Status.RECEIVED, Status.IN_PROGRESS)
_COMPLAINT = "complaint"

_STATES: Mapping[OrderState, Locales] = {
    "placed": {"zh-CN": "已下单,还未取货", "zh-TW": "已下單,還未取貨", "en": "has been placed and isn't picked up yet"},
    "picked_up": {"zh-CN": "已取货,正在配送", "zh-TW": "已取貨,正在配送", "en": "is on its way"},
    "delivered": {"zh-CN": "已送达", "zh-TW": "已送達", "en": "has been delivered"},
    "cancelled": {"zh-CN": "已取消", "zh-TW": "已取消", "en": "has been cancelled"},
}


@dataclass(frozen=True)
class Nearness:
    """The topic a question is nearest to ("" for none: it is left to people), how near (0 to 1), and how near the next
    one is."""

    topic: str
    score: float
    next: float


@dataclass(frozen=True)
class OrderNews:
    """What is known of an order: how far it is, what was promised, what is expected now, and whose it is."""

    state: OrderState
    customer_id: str
    promised_at: datetime | None = None
    eta: datetime | None = None


def may_answer(ticket: Ticket) -> bool:
    """Whether a machine may speak at all, whatever was asked.

    Only on an open ticket that isn't urgent, and only as the first to answer: not once a person has, not twice, not
    after anything else of ours, and never again after the customer was handed over.
    """
    if ticket.status not in _OPEN or ticket.handed_over or ticket.answered_topic:
        return False
    if ticket.red or ticket.priority is Priority.URGENT:
        return False
    return not any(message.public and message.actor.kind is not ActorKind.CUSTOMER for message in ticket.messages)


def topic_of(
    answers: Answers, nearness: Nearness, found: Understanding, decision: RoutingDecision
) -> AnswerTopic | None:
    """What is asked, None where it isn't clear or isn't a machine's to answer.

    `found` and `decision` are of these very words: nobody angry and nothing urgent gets a machine's answer.
    """
    if not answers.enabled or decision.red or decision.angry or found.urgent or found.angry:
        return None
    if nearness.score < answers.threshold or nearness.score - nearness.next < answers.margin:
        return None
    topic = next((topic for topic in answers.topics if topic.name == nearness.topic), None)
    if topic is None or (topic.categories and decision.category not in topic.categories):
        return None
    if found.intent == _COMPLAINT:
        return topic if decision.category in topic.first_word_for else None
    return topic if found.intent in topic.intents else None


def calls_person(answers: Answers, text: str) -> bool:
    """Whether the customer asks for a person (the words of the policy, in a short text)."""
    plain = normalise(text)
    longest = _CALL_MAX_LETTERS if plain.isascii() else _CALL_MAX
    return len(plain) <= longest and any(normalise(word) in plain for word in answers.hand_over_words)


def needs_order(topic: AnswerTopic) -> bool:
    """Whether any form of its answer says something of the order."""
    return any(variables(text) for form in topic.answers for text in form.values())


def known(order: OrderNews | None, customer_id: str, locale: str, time_zone: str, now: datetime) -> dict[str, str]:
    """The variables that may be said. Of an order that isn't the customer's, nothing; of one that is over, no times; an
    expected time that has passed isn't expected any more."""
    if order is None or not customer_id or order.customer_id != customer_id:
        return {}
    said = {"status": in_locale(_STATES[order.state], locale)}
    if order.state in ("placed", "picked_up"):
        if order.promised_at is not None:
            said["promised"] = _local(order.promised_at, time_zone)
        if order.eta is not None and order.eta > now:
            said["eta"] = _local(order.eta, time_zone)
    return said


def answer_text(answers: Answers, topic: AnswerTopic, values: Mapping[str, str], locale: str) -> str:
    """The first form all of whose variables are known, and the way to a person."""
    forms = (in_locale(form, locale) for form in topic.answers)
    text = next(form for form in forms if all(name in values for name in variables(form)))
    spoken = text.format(**values)
    if answers.hand_over is None:
        return spoken
    gap = " " if spoken.isascii() else ""
    return f"{spoken}{gap}{in_locale(answers.hand_over, locale)}"


def locale_of(ticket: Ticket, brand: Brand, text: str) -> str:
    """The customer's own language; where he didn't say, that of his words."""
    if ticket.locale:
        return ticket.locale
    return brand.default_locale if any("\u4e00" <= letter <= "\u9fff" for letter in text) else "en"


def in_locale(texts: Locales, locale: str) -> str:
    """The text of the nearest language there is: Hong Kong reads Taiwan's, and who reads no Chinese English."""
    if not locale.startswith("zh"):
        return texts["en"]
    traditional = locale in ("zh-TW", "zh-HK", "zh-MO") or locale.startswith("zh-Hant")
    return texts.get("zh-TW", texts["zh-CN"]) if traditional else texts["zh-CN"]


def _local(instant: datetime, time_zone: str) -> str:
    return instant.astimezone(ZoneInfo(time_zone)).strftime("%m-%d %H:%M")
