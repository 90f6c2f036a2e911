"""Which series is the cause: of many that rise together, the one that explains them best. Pure.

The cause is the most likely cluster (Kulldorff 1997, "A spatial scan statistic") where each dimension is as probable
beforehand as any other (as in Neill, Moore & Cooper 2005, "A Bayesian spatial scan statistic"). What an incident
explains is taken out before anything else is called a surge (sequential clusters: Zhang, Assunção & Kulldorff 2010), so
that twenty merchants of a city-wide failure stay one incident, while a second cause beside it is found.
"""

from collections.abc import Sequence
from math import log

from services.sla.surge.control import Finding, log_chance_per_week
from services.sla.surge.counting import Counted
from services.sla.surge.model import DIMENSIONS, Complaint, Dimension, Key
from services.sla.surge.rules import Rules
from services.sla.surge.tails import log_likelihood_ratio

# So much of a series has to lie in a wider one to call it a part of that.
WITHIN = 0.8
# A cause is put right only for one that is so much likelier (as a logarithm): no flapping between two words.
SURELY = 2.0


def belongs(complaint: Complaint, key: Key) -> bool:
    """Whether a complaint (of the category) counts in a series."""
    return key.dimension is Dimension.ALL or complaint.value(key.dimension) == key.value


def adjusted(finding: Finding, explained: Sequence[Key], counted: Counted, rules: Rules) -> Finding:
    """The finding with what open incidents explain added to what is expected.

    Inside an incident everything is raised as the incident is: the expectation of the common part is multiplied so.
    """
    more = 0.0
    place = rules.windows.index(finding.window)
    for key in explained:
        if key not in counted.series:
            continue
        count = counted.counts(key, rules)[place]
        usual = counted.expected(key, rules).means[place]
        if count <= usual:
            continue
        shared = overlap(finding, key, count, counted, rules)
        common = min(finding.expected, usual) * min(1.0, shared / max(1, min(count, finding.complaints)))
        more += common * (count / usual - 1.0)
    if not more:
        return finding
    expected = finding.expected + more
    chance = log_chance_per_week(finding.complaints, expected, finding.shape, rules.windows_a_week(finding.window))
    return finding._replace(expected=expected, log_chance=chance)


def overlap(finding: Finding, other: Key, count: int, counted: Counted, rules: Rules) -> float:
    """Complaints of the window that belong to both series, from those that are kept."""
    if other.dimension is Dimension.ALL:
        return finding.complaints
    if finding.key.dimension is Dimension.ALL:
        return count
    if finding.key.dimension is other.dimension:
        return 0.0
    mine = [row for row in counted.rows(finding.key.category, finding.window, rules) if belongs(row, finding.key)]
    both = sum(belongs(row, other) for row in mine)
    return finding.complaints * both / len(mine) if mine else 0.0


def score(key: Key, window: int, explained: Sequence[Key], counted: Counted, rules: Rules) -> float:
    """ln of how likely it is that just this series is raised beyond what is explained, against that nothing is, up to a
    constant.

    Each dimension is as probable beforehand as any other, so each of its values is the less the more there are.
    """
    found = _beyond(key, window, explained, counted, rules)
    return log_likelihood_ratio(found.complaints, found.expected) - log(counted.values(key))


def _beyond(key: Key, window: int, explained: Sequence[Key], counted: Counted, rules: Rules) -> Finding:
    """A series as it compares with others: without the floor, with what other incidents explain."""
    place = rules.windows.index(window)
    expected = counted.expected(key, rules)
    bare = Finding(key, window, counted.counts(key, rules)[place], expected.bare[place], expected.shape, 0.0)
    others = [each for each in explained if each != key]
    return adjusted(bare, others, counted, rules) if others else bare


def likeliest(key: Key, window: int, explained: Sequence[Key], counted: Counted, rules: Rules) -> Key:
    """The series that explains best what is seen in `key`: of its complaints' products, shops, regions and so on."""
    found: dict[Key, None] = {key: None}
    for row in counted.rows(key.category, window, rules):
        if belongs(row, key):
            for dimension in DIMENSIONS:
                value = row.value(dimension)
                if value or dimension is Dimension.ALL:
                    found[Key(key.category, dimension, value)] = None
    known = [each for each in found if each in counted.series]
    return max(
        known,
        key=lambda each: (
            round(score(each, window, explained, counted, rules), 6),
            DIMENSIONS.index(each.dimension),
            each.value,
        ),
        default=key,
    )


def one_cause(part: Key, whole: Key, window: int, explained: Sequence[Key], counted: Counted, rules: Rules) -> bool:
    """Whether `whole` alone explains what is seen as well as `part` beside the rest of `whole` would."""
    others = [each for each in explained if each != part]
    finding = _beyond(whole, window, others, counted, rules)
    count, mean = finding.complaints, finding.expected
    own = _beyond(part, window, others, counted, rules)
    inner, usual = own.complaints, own.expected
    if overlap(finding, part, inner, counted, rules) < WITHIN * inner:
        return False
    apart = log_likelihood_ratio(inner, usual) - log(counted.values(part))
    apart += log_likelihood_ratio(max(0, count - inner), max(mean - usual, mean * 0.05))
    return log_likelihood_ratio(count, mean) >= apart


def covering(window: int, since_us: int, counted: Counted, rules: Rules) -> int | None:
    """The shortest window that covers what happened since `window` before an instant; None if that is too long ago."""
    needed = counted.head(rules) - since_us // rules.bucket_us + window
    return min((each for each in rules.windows if each >= needed), default=None)
