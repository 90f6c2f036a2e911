"""From raw facts to what a template prints: times on the customer's clock, money, words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rules.model import PolicySet
from services.notifier.labels import LABELS, LOCALES
from services.notifier.model import Amount, Event, Fact, Notification, Way

_WITHOUT_CENTS = frozenset({"JPY", "KRW", "VND"})
_SIGNS = {"CNY": "¥", "HKD": "HK$", "TWD": "NT$", "USD": "$", "EUR": "€"}
# A promise this near is told with its seconds: the minute it ends in would be no promise.
_NEAR = timedelta(minutes=2)

# What every template may print, and what else each event's may.
ALWAYS = ("signature", "brand", "support_phone", "support_mail", "number", "channel", "text")
ALLOWED: Mapping[Event, tuple[str, ...]] = {
    Event.CONFIRMATION: (*ALWAYS, "red", "category", "category_text", "first_response_by", "resolve_by"),
    Event.REPLY: (*ALWAYS, "red", "category", "category_text"),
    Event.RESOLUTION: (*ALWAYS, "red", "category", "category_text", "resolution"),
    Event.VOUCHER: (*ALWAYS, "amount", "reason"),
    Event.POINTS: (*ALWAYS, "points", "reason"),
    Event.ESCALATION: (
        *ALWAYS,
        *("metric", "metric_text", "level", "breached_at", "priority", "priority_text"),
        *("queue", "queue_text", "red", "returned"),
    ),
    Event.DELAY: (*ALWAYS, "order", "why", "delay_reason", "delay_reason_text", "promised_at", "eta"),
    Event.ETA: (*ALWAYS, "order", "eta"),
    Event.SURGE: (
        *ALWAYS,
        *("category", "category_text", "dimension", "dimension_text", "value", "complaints", "orders"),
    ),
    Event.NOTICE: (
        *ALWAYS,
        *("category", "category_text", "priority", "priority_text"),
        *("queue", "queue_text", "joint_queues", "joint_queues_text", "first_response_by"),
    ),
}


@dataclass(frozen=True)
class Speaker:
    """A brand as far as it speaks: names and signature by language, its clock, its departments' names."""

    names: Mapping[str, str]
    signatures: Mapping[str, str]
    time_zone: ZoneInfo
    locale: str
    phone: str
    mail: str
    queues: Mapping[str, Mapping[str, str]]


def speaker(policies: PolicySet) -> Speaker:
    """What a brand's policies say about its voice."""
    brand = policies.brand
    return Speaker(
        names=brand.name,
        signatures=brand.signature,
        time_zone=ZoneInfo(brand.time_zone),
        locale=brand.default_locale,
        phone=brand.support_phone,
        mail=brand.support_mail,
        queues={queue.name: queue.label for queue in policies.routing.queues},
    )


def best_locale(wanted: str, default: str) -> str:
    """The language we write in for a language tag (BCP 47) such as zh-Hant-HK or en-GB; else `default`."""
    tag = wanted.replace("_", "-").lower()
    if tag.startswith("en"):
        return "en"
    if tag.startswith("zh"):
        traditional = any(part in tag.split("-") for part in ("hant", "tw", "hk", "mo"))
        return "zh-TW" if traditional else "zh-CN"
    return default if default in LOCALES else "zh-CN"


def values(
    notification: Notification, speaker: Speaker, way: Way, locale: str, now: datetime, text: str
) -> dict[str, object]:
    """Everything a template of this event may print; codes under their name, their words as `<name>_text`."""
    found: dict[str, object] = {
        "signature": _said(speaker.signatures, locale),
        "brand": _said(speaker.names, locale),
        "support_phone": speaker.phone,
        "support_mail": speaker.mail,
        "number": notification.ticket_id,
        "channel": way.value,
        "text": text,
    }
    for name, fact in notification.facts.items():
        found[name] = _printable(fact, speaker, locale, now, promise=name.endswith("_by"))
        if isinstance(fact, str) and name in LABELS:
            found[f"{name}_text"] = LABELS[name][locale].get(fact, fact)
        elif isinstance(fact, str) and name == "queue":
            found["queue_text"] = _queue(fact, speaker, locale)
        elif isinstance(fact, tuple):
            joint = " and " if locale == "en" else "、"
            found[f"{name}_text"] = joint.join(_queue(queue, speaker, locale) for queue in fact)
    return found


def _said(by_locale: Mapping[str, str], locale: str) -> str:
    return by_locale.get(locale) or by_locale.get("zh-CN") or next(iter(by_locale.values()))


def _queue(queue: str, speaker: Speaker, locale: str) -> str:
    return _said(speaker.queues[queue], locale) if queue in speaker.queues else queue


def _printable(fact: Fact, speaker: Speaker, locale: str, now: datetime, promise: bool) -> object:
    if isinstance(fact, Amount):
        return money(fact)
    if isinstance(fact, datetime):
        # A promise that has passed is none: the template then says something else.
        if promise and fact <= now:
            return ""
        return clock(fact, speaker.time_zone, locale, now, promise)
    return "" if fact is None else fact


def clock(instant: datetime, zone: ZoneInfo, locale: str, now: datetime, promise: bool = True) -> str:
    """`12:10` today, else with the date (`11月24日 12:10`, `24 Nov 12:10`), on the brand's clock.

    A promise is rounded up to the minute, so that what is said is never earlier than what is kept; anything else down.
    Instants within two minutes are told with their seconds.
    """
    unit = timedelta(seconds=1) if abs(instant - now) < _NEAR else timedelta(minutes=1)
    whole = instant - timedelta(seconds=instant.second % unit.total_seconds(), microseconds=instant.microsecond)
    if promise and whole < instant:
        whole += unit
    local, today = whole.astimezone(zone), now.astimezone(zone)
    said = f"{local:%H:%M:%S}" if unit < timedelta(minutes=1) else f"{local:%H:%M}"
    if local.date() == today.date():
        return said
    year = local.year != today.year
    if locale == "en":
        return f"{local.day} {local:%b}{f' {local.year}' if year else ''} {said}"
    return f"{f'{local.year}年' if year else ''}{local.month}月{local.day}日 {said}"


def money(amount: Amount) -> str:
    """`¥10`, `¥5.50`, `GBP 3.20`: cents only where there are any."""
    sign = _SIGNS.get(amount.currency, f"{amount.currency} ")
    if amount.currency in _WITHOUT_CENTS:
        return f"{sign}{amount.minor}"
    whole, cents = divmod(amount.minor, 100)
    return f"{sign}{whole}.{cents:02d}" if cents else f"{sign}{whole}"
