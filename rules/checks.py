"""What a schema can't say about policies: references, order, reachability."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from rules.answers import VARIABLES, AnswerTopic, variables
from rules.model import Calendar, Instrument, PolicySet, Priority, TimeRange, Trigger, TriggerKind
from rules.text import normalise
from rules.words import Metric

ROLES = ("agent", "supervisor", "admin")


@dataclass(frozen=True)
class Finding:
    """A problem at `path` of the document `document` (sla, routing …); `expected` and `found` are texts for people."""

    document: str
    path: tuple[str | int, ...]
    expected: str
    found: str


def check(policies: PolicySet) -> list[Finding]:
    """Every finding, none if the policies are sound."""
    parts: tuple[Callable[[PolicySet], Iterator[Finding]], ...] = (
        *(_brand, _calendars, _sla, _routing, _compensation),
        _surge,
        _orders,
        _answers,
    )
    return [finding for part in parts for finding in part(policies)]


def _brand(policies: PolicySet) -> Iterator[Finding]:
    if not _zone_exists(policies.brand.time_zone):
        yield Finding("brand", ("timeZone",), "an IANA time zone such as Asia/Shanghai", policies.brand.time_zone)


def _calendars(policies: PolicySet) -> Iterator[Finding]:
    for index, calendar in enumerate(policies.calendars.values()):
        at = ("calendars", index)
        if not _zone_exists(calendar.time_zone):
            yield Finding("calendars", (*at, "timeZone"), "an IANA time zone such as Asia/Shanghai", calendar.time_zone)
        if not calendar.always and not any(calendar.weekly):
            yield Finding("calendars", at, "hours on at least one weekday, or always: true", "no working time")
        if calendar.china_holidays and not calendar.always and not calendar.weekly[calendar.made_up_as]:
            yield Finding("calendars", (*at, "madeUpAs"), "a weekday with hours", "a day that is closed")
        yield from _hours(calendar, at)
        for before, after in pairwise(each.date for each in calendar.dates):
            if before == after:
                yield Finding("calendars", at, "each date once in closed and open", f"{after} twice")


def _hours(calendar: Calendar, at: tuple[str, int]) -> Iterator[Finding]:
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    places: list[tuple[tuple[str | int, ...], tuple[TimeRange, ...]]] = [
        ((*at, "weekly", day), ranges) for day, ranges in zip(days, calendar.weekly, strict=True)
    ]
    places += [((*at, "open"), each.ranges) for each in calendar.dates]
    for path, ranges in places:
        if any(each.start >= each.end for each in ranges):
            yield Finding("calendars", path, "a range that ends after it starts", "one that doesn't (split at 24:00)")
        if any(first.end > second.start for first, second in pairwise(ranges)):
            yield Finding("calendars", path, "ranges in ascending order that don't overlap", "some that do")


def _sla(policies: PolicySet) -> Iterator[Finding]:
    yield from _reachable("sla", "policies", [policy.condition for policy in policies.sla])
    for index, policy in enumerate(policies.sla):
        at = ("policies", index)
        targets = policy.targets[Priority.NORMAL]
        if targets[0].calendar not in policies.calendars:
            known = ", ".join(policies.calendars)
            yield Finding("sla", (*at, "calendar"), f"a calendar of calendars.yaml ({known})", targets[0].calendar)
        warn = targets[0].warn_percent
        if any(first >= second for first, second in pairwise(warn)):
            yield Finding("sla", (*at, "warnAt"), "ascending percents", ", ".join(map(str, warn)))
        for key, wait in (("pauseMax", policy.pause_max), ("noAnswerAfter", policy.no_answer_after)):
            if wait == timedelta():
                yield Finding("sla", (*at, key), "a duration above zero", "none")
        for priority, each in policy.targets.items():
            yield from _durations(at, priority, {t.metric: t.duration for t in each})
        for place, level in enumerate(targets[0].chain):
            spot: tuple[str | int, ...] = (*at, "escalation", "levels", place)
            if level.level != place + 1:
                yield Finding("sla", (*spot, "level"), f"level {place + 1} (levels count up from 1)", str(level.level))
            if place == 0 and level.after:
                yield Finding("sla", (*spot, "after"), "0s: level 1 is due at the breach", f"{level.after}")
            yield from _people("sla", (*spot, "notify"), level.notify, policies)


def _durations(at: tuple[str, int], priority: Priority, durations: Mapping[Metric, timedelta]) -> Iterator[Finding]:
    for metric, length in durations.items():
        if not length:
            yield Finding("sla", (*at, "targets", metric), "a duration above zero", f"none for priority {priority}")
    if durations[Metric.FIRST_RESPONSE] > durations[Metric.RESOLUTION]:
        found = f"a later one for priority {priority}"
        yield Finding("sla", (*at, "targets", "first_response"), "a first response no later than the resolution", found)


def _routing(policies: PolicySet) -> Iterator[Finding]:
    routing = policies.routing
    queues = [queue.name for queue in routing.queues]
    groups = [group.name for group in policies.keywords.groups]
    yield from _reachable("routing", "rules", [rule.condition for rule in routing.rules])
    for index, rule in enumerate(routing.rules):
        at = ("rules", index)
        yield from _known("routing", (*at, "queue"), [rule.queue], queues, "a queue of this file")
        yield from _known("routing", (*at, "jointQueues"), rule.joint_queues, queues, "a queue of this file")
        keywords = rule.condition.keywords
        yield from _known("routing", (*at, "when", "keywords"), keywords, groups, "a group of keywords.yaml")
        for place, notice in enumerate(rule.notices):
            yield from _people("routing", (*at, "notices", place, "notify"), notice.notify, policies)
    yield from _known("routing", ("angerKeywords",), routing.anger_keywords, groups, "a group of keywords.yaml")


def _compensation(policies: PolicySet) -> Iterator[Finding]:
    rules, limits = policies.compensation.rules, policies.compensation.limits
    names = [policy.name for policy in policies.sla]
    for index, rule in enumerate(rules):
        at = ("rules", index)
        trigger = rule.trigger
        yield from _known("compensation", (*at, "trigger", "policies"), trigger.policies, names, "a policy of sla.yaml")
        yield from _parts(at, trigger)
        if rule.instrument is Instrument.VOUCHER and rule.amount > limits.brand_per_day:
            found = f"{rule.amount} above {limits.brand_per_day}"
            yield Finding("compensation", (*at, "pay"), "an amount within brandPerDay", found)
        earlier = next((r for r in rules[:index] if _covers(r.trigger, trigger)), None)
        if earlier:
            yield Finding("compensation", at, "a rule that can be reached", f"{earlier.name} always matches first")
    if limits.automatic_up_to > limits.two_people_above:
        found = f"{limits.automatic_up_to} above {limits.two_people_above}"
        yield Finding("compensation", ("limits", "automaticUpTo"), "an amount up to twoPeopleAbove", found)


def _surge(policies: PolicySet) -> Iterator[Finding]:
    surge = policies.surge
    if not surge.bucket:
        yield Finding("surge", ("bucket",), "a duration above zero", "none")
        return
    if any(first >= second for first, second in pairwise(surge.windows)):
        yield Finding("surge", ("windows",), "ascending durations", ", ".join(map(str, surge.windows)))
    lengths = {"windows": surge.windows, "late": (surge.late,), "closeAfter": (surge.close_after,)}
    for key, each in lengths.items():
        odd = next((length for length in each if length % surge.bucket), None)
        if odd is not None:
            yield Finding("surge", (key,), f"a multiple of bucket ({surge.bucket})", str(odd))
    if max(surge.windows) // surge.bucket + surge.late // surge.bucket > 2000:
        yield Finding("surge", ("bucket",), "at most 2000 buckets in the longest window and late", str(surge.bucket))


def _orders(policies: PolicySet) -> Iterator[Finding]:
    orders = policies.orders
    for key, length in (("minimumDeviation", orders.minimum_deviation), ("etaStep", orders.eta_step)):
        if not length:
            yield Finding("orders", (key,), "a duration above zero", "none")
    bounds = [rule.trigger.late_over for rule in policies.compensation.rules if rule.trigger.late_over is not None]
    longest = max([orders.ticket_over, *bounds])
    if orders.forget_after <= longest:
        yield Finding("orders", ("forgetAfter",), f"more than {longest}", str(orders.forget_after))
    limits = policies.compensation.limits
    needed = max(limits.claim_window, timedelta(days=limits.cap_days))
    if orders.keep_facts < needed:
        # A claim inside its window needs its order, and the caps count a customer's orders over their days.
        yield Finding("orders", ("keepFacts",), f"at least {needed} (claimWindow, capDays)", str(orders.keep_facts))


def _answers(policies: PolicySet) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    for index, topic in enumerate(policies.answers.topics):
        at = ("topics", index)
        for place, example in enumerate(topic.examples):
            owner = owners.setdefault(normalise(example), topic.name)
            if owner != topic.name:
                yield Finding(
                    "answers", (*at, "examples", place), "an example of one topic only", f"one of {owner} too"
                )
        yield from _forms(topic, at)


def _forms(topic: AnswerTopic, at: tuple[str, int]) -> Iterator[Finding]:
    known = ", ".join(f"{{{name}}}" for name in VARIABLES)
    for place, form in enumerate(topic.answers):
        for locale, text in form.items():
            path = (*at, "answers", place, locale)
            try:
                named = variables(text)
            except ValueError as error:
                yield Finding("answers", path, f"a text with no braces but those of {known}", str(error))
                continue
            for name in named:
                if name not in VARIABLES:
                    yield Finding("answers", path, f"one of {known}", f"{{{name}}}")
            if named and form is topic.answers[-1]:
                yield Finding(
                    "answers", path, "a last form without variables: what is said where nothing is known", text
                )


_PARTS = {
    "metrics": ("metrics", TriggerKind.SLA_BREACH),
    "priorities": ("priorities", TriggerKind.SLA_BREACH),
    "policies": ("policies", TriggerKind.SLA_BREACH),
    "red": ("red", TriggerKind.SLA_BREACH),
    "late_over": ("lateOver", TriggerKind.ORDER_LATE),
    "score_at_least": ("scoreAtLeast", TriggerKind.RATING),
}


def _parts(at: tuple[str, int], trigger: Trigger) -> Iterator[Finding]:
    for name, (key, kind) in _PARTS.items():
        if getattr(trigger, name) not in (None, ()) and trigger.kind is not kind:
            path = (*at, "trigger", key)
            yield Finding("compensation", path, f"{key} only with kind: {kind}", f"kind: {trigger.kind}")


def _people(
    document: str, path: tuple[str | int, ...], notify: Sequence[str], policies: PolicySet
) -> Iterator[Finding]:
    known = ["assignee", "queue_lead", *(f"role:{role}" for role in ROLES)]
    known += [f"oncall:{schedule}" for schedule in policies.routing.oncall]
    yield from _known(document, path, notify, known, "somebody who can be told")


def _known(
    document: str, path: tuple[str | int, ...], names: Sequence[str], known: Sequence[str], what: str
) -> Iterator[Finding]:
    for name in names:
        if name not in known:
            yield Finding(document, path, f"{what} ({', '.join(known)})", name)


def _reachable(document: str, key: str, conditions: Sequence[Any]) -> Iterator[Finding]:
    """The last row has no condition, and no row is behind one that matches whenever it does."""
    if not conditions[-1].empty:
        yield Finding(document, (key, len(conditions) - 1), "a last row without conditions (when)", "one with some")
    for index, condition in enumerate(conditions):
        earlier = next((place for place in range(index) if _covers(conditions[place], condition)), None)
        if earlier is not None:
            found = f"row {earlier + 1} always matches first"
            yield Finding(document, (key, index), "a row that can be reached", found)


def _covers(wide: object, narrow: object) -> bool:
    """Whether the condition `wide` holds whenever `narrow` does (both of the same dataclass)."""
    return all(_part_covers(getattr(wide, f.name), getattr(narrow, f.name)) for f in fields(wide))  # type: ignore[arg-type]


def _part_covers(wide: object, narrow: object) -> bool:
    if wide in (None, ()):
        return True
    if isinstance(wide, tuple) and isinstance(narrow, tuple):
        return bool(narrow) and set(narrow) <= set(wide)
    if isinstance(wide, timedelta) and isinstance(narrow, timedelta):
        return narrow >= wide
    return wide == narrow


def _zone_exists(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
