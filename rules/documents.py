"""From the documents of a brand's folder (already checked against the schemas) to a `PolicySet`. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from rules.answers import NO_ANSWERS, Answers, AnswerTopic
from rules.model import (
    Brand,
    Calendar,
    Category,
    Compensation,
    CompensationLimits,
    CompensationRule,
    EscalationLevel,
    Fault,
    Instrument,
    KeywordGroup,
    Keywords,
    Metric,
    Notice,
    OpenDate,
    PolicySet,
    Priority,
    Queue,
    Routing,
    RoutingCondition,
    RoutingRule,
    SlaCondition,
    SlaPolicy,
    Target,
    TimeRange,
    Trigger,
    TriggerKind,
    Way,
)
from rules.orders import OrderPolicy
from rules.surges import QualityRule, RegionRule, SurgePolicy

Document = Mapping[str, Any]
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


def duration(text: str) -> timedelta:
    """`30s`, `10m`, `2h`, `3d` or `250ms`. Raises ValueError for anything else."""
    found = re.fullmatch(r"([0-9]+)(ms|s|m|h|d)", text)
    if not found:
        raise ValueError(f"not a duration: {text}")
    return int(found[1]) * _UNITS[found[2]]


def policy_set(documents: Mapping[str, Document]) -> PolicySet:
    """The policies of one brand; `documents` by name: brand, calendars, sla, routing, keywords, compensation, and where
    they differ from the defaults surge and orders, and answers where a machine may answer.

    References between the documents aren't checked here (an unknown calendar gets an empty hash): see `rules.checks`.
    """
    calendars = {each["name"]: _calendar(each) for each in documents["calendars"]["calendars"]}
    return PolicySet(
        brand=_brand(documents["brand"]),
        sla=tuple(_sla_policy(each, calendars) for each in documents["sla"]["policies"]),
        routing=_routing(documents["routing"]),
        calendars=calendars,
        keywords=_keywords(documents["keywords"]),
        compensation=_compensation(documents["compensation"]),
        surge=_surge(documents.get("surge", {})),
        orders=_orders(documents.get("orders", {})),
        answers=_answers(documents["answers"]) if "answers" in documents else NO_ANSWERS,
    )


def _brand(document: Document) -> Brand:
    return Brand(
        key=document["key"],
        name=dict(document["name"]),
        signature=dict(document["signature"]),
        time_zone=document["timeZone"],
        default_locale=document["defaultLocale"],
        currency=document["currency"],
        support_phone=document["supportPhone"],
        support_mail=document["supportMail"],
        extends=document.get("extends"),
        keep_personal=duration(document.get("keepPersonal", "180d")),
    )


def _calendar(document: Document) -> Calendar:
    weekly = document.get("weekly", {})
    closed = [OpenDate(date.fromisoformat(each), ()) for each in document.get("closed", ())]
    opened = [OpenDate(date.fromisoformat(e["date"]), _ranges(e["hours"])) for e in document.get("open", ())]
    return Calendar(
        name=document["name"],
        time_zone=document.get("timeZone", "Asia/Shanghai"),
        always=document.get("always", False),
        weekly=tuple(_ranges(weekly.get(day, ())) for day in DAYS),
        china_holidays=document.get("chinaHolidays", False),
        made_up_as=DAYS.index(document.get("madeUpAs", "mon")),
        dates=tuple(sorted(closed + opened, key=lambda each: each.date)),
    )


def _ranges(texts: Sequence[str]) -> tuple[TimeRange, ...]:
    def minutes(text: str) -> int:
        hour, minute = text.split(":")
        return int(hour) * 60 + int(minute)

    return tuple(TimeRange(*map(minutes, text.split("-"))) for text in texts)


def _sla_policy(document: Document, calendars: Mapping[str, Calendar]) -> SlaPolicy:
    when, escalation, calendar = document.get("when", {}), document["escalation"], document["calendar"]
    chain = tuple(
        EscalationLevel(e["level"], duration(e["after"]), tuple(e["notify"]), _ways(e)) for e in escalation["levels"]
    )

    def targets(priority: Priority) -> tuple[Target, ...]:
        durations = document["targets"] | document.get("priorities", {}).get(priority, {})
        return tuple(
            Target(
                metric=metric,
                duration=duration(durations[metric]),
                calendar=calendar,
                calendar_hash=calendars[calendar].hash if calendar in calendars else "",
                warn_percent=tuple(document["warnAt"]),
                chain=chain,
                return_after=_optional(escalation.get("returnAfter")),
            )
            for metric in Metric
            if metric in durations
        )

    unanswered = document.get("noAnswerAfter", "24h")
    return SlaPolicy(
        name=document["name"],
        condition=SlaCondition(
            red=when.get("red"),
            complex=when.get("complex"),
            categories=tuple(map(Category, when.get("categories", ()))),
            priorities=tuple(map(Priority, when.get("priorities", ()))),
            channels=tuple(when.get("channels", ())),
            tiers=tuple(when.get("tiers", ())),
        ),
        targets={priority: targets(priority) for priority in Priority},
        automatic_answer_counts=document.get("automaticAnswerCounts", False),
        pause_max=duration(document.get("pauseMax", "72h")),
        no_answer_after=None if unanswered == "never" else duration(unanswered),
        apply_to_running=document.get("apply") == "running",
    )


def _routing(document: Document) -> Routing:
    return Routing(
        rules=tuple(map(_routing_rule, document["rules"])),
        queues=tuple(Queue(each["name"], dict(each["label"])) for each in document["queues"]),
        oncall=tuple(document.get("oncall", ())),
        declared_types={word: Category(code) for word, code in document["declaredTypes"].items()},
        anger_keywords=tuple(document.get("angerKeywords", ())),
        close_after=duration(document.get("closeAfter", "7d")),
    )


def _routing_rule(document: Document) -> RoutingRule:
    when = document.get("when", {})
    return RoutingRule(
        name=document["name"],
        condition=RoutingCondition(
            keywords=tuple(when.get("keywords", ())),
            declared=tuple(map(Category, when.get("declared", ()))),
            channels=tuple(when.get("channels", ())),
            tiers=tuple(when.get("tiers", ())),
            order_late_over=_optional(when.get("orderLateOver")),
            text_late_over=_optional(when.get("textLateOver")),
            reads_urgent=bool(when.get("readsUrgent", False)),
        ),
        category=Category(document["category"]) if "category" in document else None,
        priority=Priority(document["priority"]),
        queue=document["queue"],
        joint_queues=tuple(document.get("jointQueues", ())),
        red=document.get("red", False),
        complex=document.get("complex", False),
        notices=tuple(Notice(tuple(each["notify"]), _ways(each)) for each in document.get("notices", ())),
    )


def _keywords(document: Document) -> Keywords:
    return Keywords(
        tuple(
            KeywordGroup(g["name"], tuple(g["terms"]), tuple(g.get("exceptions", ())), tuple(g.get("negations", ())))
            for g in document["groups"]
        )
    )


def _answers(document: Document) -> Answers:
    return Answers(
        enabled=document["enabled"],
        threshold=float(document["threshold"]),
        margin=float(document.get("margin", 0.0)),
        hand_over_words=tuple(document["handOver"]["words"]),
        hand_over=dict(document["handOver"]["text"]),
        topics=tuple(map(_answer_topic, document["topics"])),
        others=tuple(document.get("others", ())),
    )


def _answer_topic(document: Document) -> AnswerTopic:
    when = document.get("when", {})
    return AnswerTopic(
        name=document["name"],
        examples=tuple(document["examples"]),
        answers=tuple(dict(each) for each in document["answers"]),
        intents=tuple(when.get("intents", ("question", "follow_up"))),
        categories=tuple(map(Category, when.get("categories", ()))),
        first_word_for=tuple(map(Category, document.get("firstWordFor", ()))),
    )


def _compensation(document: Document) -> Compensation:
    limits = document["limits"]
    return Compensation(
        rules=tuple(_compensation_rule(each, limits["brandPerDay"]["currency"]) for each in document["rules"]),
        limits=CompensationLimits(
            currency=limits["brandPerDay"]["currency"],
            brand_per_day=limits["brandPerDay"]["amountMinor"],
            merchant_per_day=limits["merchantPerDay"]["amountMinor"],
            incident_total=limits["incidentTotal"]["amountMinor"],
            cap_days=limits["capDays"],
            cap_count=limits["capCount"],
            cap_amount=limits["capAmount"]["amountMinor"],
            claims_to_orders_percent=limits["claimsToOrdersPercent"],
            order_share_percent=limits["orderSharePercent"],
            claim_window=duration(limits["claimWindow"]),
            automatic_up_to=limits["automaticUpTo"]["amountMinor"],
            two_people_above=limits["twoPeopleAbove"]["amountMinor"],
            enabled=limits.get("enabled", True),
            shadow=limits.get("shadow", False),
            claims_from=limits.get("claimsFrom", 3),
        ),
    )


def _compensation_rule(document: Document, currency: str) -> CompensationRule:
    trigger = document["trigger"]
    voucher = "pay" in document
    return CompensationRule(
        name=document["name"],
        trigger=Trigger(
            kind=TriggerKind(trigger["kind"]),
            metrics=tuple(map(Metric, trigger.get("metrics", ()))),
            priorities=tuple(map(Priority, trigger.get("priorities", ()))),
            policies=tuple(trigger.get("policies", ())),
            red=trigger.get("red"),
            late_over=_optional(trigger.get("lateOver")),
            score_at_least=trigger.get("scoreAtLeast"),
        ),
        reason=document["reason"],
        instrument=Instrument.VOUCHER if voucher else Instrument.POINTS,
        amount=document["pay"]["amountMinor"] if voucher else document["points"],
        currency=document["pay"]["currency"] if voucher else currency,
        settle_after=duration(document.get("settleAfter", "10s")),
        unknown_order_max=document["unknownOrderMax"]["amountMinor"] if "unknownOrderMax" in document else 0,
        stack=document.get("stack", False),
        agent_chooses=document.get("agentChooses", False),
        fault=Fault(document["fault"]) if "fault" in document else None,
    )


def _surge(document: Document) -> SurgePolicy:
    """What the document doesn't say has its default."""
    lengths = ("bucket", "late", "learn", "mute")
    said: dict[str, Any] = {name: duration(document[name]) for name in lengths if name in document}
    renamed = {"halfLife": "half_life", "closeAfter": "close_after", "updateEvery": "update_every"}
    said |= {name: duration(document[key]) for key, name in renamed.items() if key in document}
    numbers = {"minimum": "minimum", "falsePerYear": "false_per_year", "variationPercent": "variation_percent"}
    said |= {name: document[key] for key, name in numbers.items() if key in document}
    if "windows" in document:
        said["windows"] = tuple(map(duration, document["windows"]))
    if "floors" in document:
        said["floors"] = dict(document["floors"])
    said |= {name: tuple(document[name]) for name in ("day", "compensate") if name in document}
    return SurgePolicy(region=_region_rule(document.get("region", {})), quality=_quality(document), **said)


def _region_rule(document: Document) -> RegionRule:
    numbers = {"minimumComplaints": "minimum_complaints", "minimumOrders": "minimum_orders", "percent": "percent"}
    said: dict[str, Any] = {name: document[key] for key, name in numbers.items() if key in document}
    if "categories" in document:
        said["categories"] = tuple(map(Category, document["categories"]))
    if "within" in document:
        said["within"] = duration(document["within"])
    return RegionRule(**said)


def _orders(document: Document) -> OrderPolicy:
    """What the document doesn't say has its default; `riskAbovePercent: 0` and a bound of 0 mean never."""
    names = {
        **{"warnAhead": "warn_ahead", "minimumDeviation": "minimum_deviation", "etaStep": "eta_step"},
        **{"etaLead": "eta_lead", "ticketOver": "ticket_over", "forgetAfter": "forget_after"},
        "keepFacts": "keep_facts",
    }
    said: dict[str, Any] = {name: duration(document[key]) for key, name in names.items() if key in document}
    if "riskAbovePercent" in document:
        said["risk_above_percent"] = document["riskAbovePercent"]
    return OrderPolicy(**said)


def _quality(document: Document) -> QualityRule:
    quality = document.get("quality", {})
    numbers = {"crediblePermille": "credible_permille", "timesPercent": "times_percent", "minimum": "minimum"}
    said: dict[str, Any] = {name: quality[key] for key, name in numbers.items() if key in quality}
    if "halfLife" in quality:
        said["half_life"] = duration(quality["halfLife"])
    return QualityRule(**said)


def _optional(text: str | None) -> timedelta | None:
    return None if text is None else duration(text)


def _ways(document: Document) -> tuple[Way, ...]:
    return tuple(map(Way, document["ways"]))
