"""One brand's detector: counts in, incidents out. The same messages give the same effects and ids. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import log

from services.sla.surge.causes import SURELY, adjusted, belongs, covering, likeliest, one_cause, score
from services.sla.surge.control import Finding, alarms
from services.sla.surge.counting import Counted
from services.sla.surge.incidents import attach, back_to_usual, incident_id, tell
from services.sla.surge.model import Change, Complaint, Counts, Effect, Incident, Key
from services.sla.surge.quality import Quality
from services.sla.surge.regions import Regions
from services.sla.surge.rules import Rules

# Beyond so many complaints a series is judged again only when it has grown by a tenth.
EVERY_ONE_UP_TO = 30
GROWTH = log(1.1)
# Causes found in one message; more are found with the next.
AT_ONCE = 5
# Early on, each doubling, an incident's cause is looked at again: at opening there was little to go by.
REFIT_AT = frozenset((8, 12, 16, 24, 32, 48, 64, 96, 128))


@dataclass
class Brand:
    """What the detector keeps of a brand. `sources`: the last offset of each source."""

    name: str
    sources: dict[str, int] = field(default_factory=dict)
    counted: Counted = field(default_factory=Counted)
    incidents: dict[str, Incident] = field(default_factory=dict)
    regions: Regions = field(default_factory=Regions)
    quality: Quality = field(default_factory=Quality)
    # Incidents changed or gone since they were last stored.
    changed: set[str] = field(default_factory=set)


def take(brand: Brand, counts: Counts, rules: Rules) -> list[Effect]:
    """Judges one message of a source. A complaint whose offset its source has passed does nothing."""
    effects: list[Effect] = []
    counted, last = brand.counted, brand.sources.get(counts.source, -1)
    touched: dict[Key, None] = {}
    for offset, complaint in counts.complaints:
        if offset <= last:
            continue
        last = max(last, offset)
        keys = counted.count(complaint, rules)
        if keys is None:
            continue
        touched.update(dict.fromkeys(keys))
        effects += _belonging(brand, complaint, rules)
        effects += brand.regions.judge(brand.name, complaint, counted, rules)
        effects += brand.quality.judge(brand.name, complaint, counted.now_us, rules)
    for offset, order in counts.orders:
        if offset <= last:
            continue
        last = max(last, offset)
        if order.delivered:
            brand.quality.delivered(order, rules)
        else:
            counted.move(order.at_us, rules)
            brand.regions.placed(order.region, order.at_us, counted, rules)
    if last >= 0:
        brand.sources[counts.source] = last
    if counts.as_of_us:
        counted.move(counts.as_of_us, rules)
    if touched and not counted.learning(rules):
        effects += _judge(brand, touched, rules)
    effects += _tend(brand, rules)
    return effects


def close(brand: Brand, incident: str, why: str, at_us: int, rules: Rules) -> list[Effect]:
    """A person closes an incident; an unknown or closed one stays as it is."""
    found = brand.incidents.get(incident)
    if found is None or found.closed_us:
        return []
    found.closed_us = at_us
    found.muted_us = at_us + rules.mute_us
    brand.changed.add(incident)
    return [tell(found, Change.CLOSED, brand.name, at_us, why)]


def _belonging(brand: Brand, complaint: Complaint, rules: Rules) -> list[Effect]:
    effects: list[Effect] = []
    for incident in brand.incidents.values():
        if not incident.closed_us and incident.key.category == complaint.category and belongs(complaint, incident.key):
            effects += attach(incident, complaint, brand.name, rules)
            brand.changed.add(incident.id)
            if incident.complaints in REFIT_AT:
                _refit(brand, incident, rules)
    return effects


def _worth_judging(count: int) -> bool:
    return count <= EVERY_ONE_UP_TO or int(log(count) / GROWTH) != int(log(count - 1) / GROWTH)


def _judge(brand: Brand, touched: Iterable[Key], rules: Rules) -> list[Effect]:
    counted = brand.counted
    own = {i.key: i for i in brand.incidents.values()}
    findings = []
    for key in touched:
        longest = rules.reach
        if key in own:
            if not own[key].over:
                continue
            # Only what came after its end counts for another one.
            longest = counted.head(rules) - own[key].closed_us // rules.bucket_us
        finding = counted.finding(key, rules, longest)
        if finding is not None and _worth_judging(finding.complaints):
            findings.append(finding)
    effects: list[Effect] = []
    for _ in range(AT_ONCE):
        found = _alarms(brand, findings, rules)
        if not found:
            break
        worst = found[0]
        key = likeliest(worst.key, worst.window, _explained(brand, worst.key), counted, rules)
        effects += _open(brand, worst if _taken(brand, key) else _as_finding(key, worst.window, counted, rules), rules)
        findings = [finding for finding in findings if finding.key not in (worst.key, key)]
    return effects


def _alarms(brand: Brand, findings: list[Finding], rules: Rules) -> list[Finding]:
    """Alarms beyond what the open incidents explain."""
    series, windows = len(brand.counted.series), len(rules.windows)
    raw = alarms(findings, series, windows, rules.false_per_week)
    if not raw:
        return []
    rest = []
    for finding in raw:
        # One that has ended goes on explaining while its complaints are in the windows.
        explained = _explained(brand, finding.key)
        rest.append(adjusted(finding, explained, brand.counted, rules) if explained else finding)
    return alarms(rest, series, windows, rules.false_per_week)


def _explained(brand: Brand, key: Key) -> list[Key]:
    """What other incidents of the category are about."""
    return [i.key for i in brand.incidents.values() if i.key.category == key.category and i.key != key]


def _open(brand: Brand, finding: Finding, rules: Rules) -> list[Effect]:
    counted = brand.counted
    if _taken(brand, finding.key):
        return []
    if widened := _widen(brand, finding, rules):
        return widened
    at_us = counted.now_us
    incident = Incident(
        id=incident_id(brand.name, finding.key, at_us),
        key=finding.key,
        opened_us=at_us,
        window=finding.window,
        expected=finding.expected,
    )
    effects: list[Effect] = []
    for row in counted.rows(finding.key.category, rules.reach, rules):
        if belongs(row, finding.key) and row.at_us // rules.bucket_us > counted.head(rules) - finding.window:
            effects += attach(incident, row, brand.name, rules)
    brand.incidents[incident.id] = incident
    brand.changed.add(incident.id)
    return [tell(incident, Change.OPENED, brand.name, at_us), *effects]


def _widen(brand: Brand, finding: Finding, rules: Rules) -> list[Effect]:
    """What was opened for a part turns out to be the whole: that incident goes on under the wider name."""
    explained = _explained(brand, finding.key)
    for incident in brand.incidents.values():
        if incident.closed_us or incident.key.category != finding.key.category:
            continue
        if one_cause(incident.key, finding.key, finding.window, explained, brand.counted, rules):
            incident.key = finding.key
            brand.changed.add(incident.id)
            return [tell(incident, Change.UPDATED, brand.name, brand.counted.now_us)]
    return []


def _as_finding(key: Key, window: int, counted: Counted, rules: Rules) -> Finding:
    place = rules.windows.index(window)
    means, _, shape = counted.expected(key, rules)
    return Finding(key, window, counted.counts(key, rules)[place], means[place], shape, 0.0)


def _refit(brand: Brand, incident: Incident, rules: Rules) -> None:
    """Looks again at what the cause is, over all that belongs to the incident."""
    counted = brand.counted
    window = covering(incident.window, incident.opened_us, counted, rules)
    if window is None or incident.key not in counted.series:
        return
    others = _explained(brand, incident.key)
    better = likeliest(incident.key, window, others, counted, rules)
    gain = score(better, window, others, counted, rules) - score(incident.key, window, others, counted, rules)
    if gain > SURELY and not _taken(brand, better):
        incident.key = better


def _taken(brand: Brand, key: Key) -> bool:
    return any(incident.key == key and not incident.over for incident in brand.incidents.values())


def _tend(brand: Brand, rules: Rules) -> list[Effect]:
    """Updates what has changed for long enough, closes what is over, forgets what was closed and is over."""
    effects: list[Effect] = []
    now_us = brand.counted.now_us
    for incident in list(brand.incidents.values()):
        if incident.closed_us:
            if not incident.over and (now_us >= incident.muted_us or back_to_usual(incident, brand.counted, rules)):
                incident.over = True
                brand.changed.add(incident.id)
            if incident.over and now_us - incident.closed_us >= rules.reach * rules.bucket_us:
                del brand.incidents[incident.id]
                brand.changed.add(incident.id)
            continue
        if now_us - incident.updated_us < rules.update_us:
            continue
        if back_to_usual(incident, brand.counted, rules):
            incident.closed_us = now_us
            incident.over = True
            effects.append(tell(incident, Change.CLOSED, brand.name, now_us, "the rate is back"))
            brand.changed.add(incident.id)
        elif incident.fresh:
            effects.append(tell(incident, Change.UPDATED, brand.name, now_us))
            brand.changed.add(incident.id)
    return effects
