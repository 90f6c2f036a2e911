"""Which series is the cause: of many that rise together, the one that explains them best. Pure.

The most likely cluster (Kulldorff 1997) is the candidate; then the wider group around it is asked whether its *rest* is
raised as well. If so, and the candidate is no worse off than that rest, the wider group is the cause. What an incident
explains is taken out before anything else is called a surge (sequential clusters: Zhang, Assunção & Kulldorff 2010), so
that twenty merchants of a city-wide failure stay one incident, while a second cause beside it is found.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import log

from services.sla.surge.control import Finding, log_chance_per_week
from services.sla.surge.counting import Counted
from services.sla.surge.model import DIMENSIONS, Complaint, Dimension, Key
from services.sla.surge.rules import Rules
from services.sla.surge.tails import log_likelihood_ratio, log_tail

# Which groups may contain which, nearest first.
WIDER = {
    Dimension.PRODUCT: (Dimension.MERCHANT, Dimension.REGION, Dimension.ALL),
    Dimension.MERCHANT: (Dimension.REGION, Dimension.ALL),
    Dimension.STATION: (Dimension.REGION, Dimension.ALL),
    Dimension.REGION: (Dimension.ALL,),
    Dimension.ALL: (),
}
# So much of a series has to lie in one wider value to call that its group.
WITHIN = 0.9
# A rest this improbable is raised; a member this improbable is worse off than its group.
RAISED = log(0.01)
WORSE = log(0.001)


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
        usual = counted.expected(key, rules)[0][place]
        if count <= usual:
            continue
        shared = overlap(finding, key, count, counted, rules)
        common = min(finding.expected, usual) * min(1.0, shared / max(1, min(count, finding.count)))
        more += common * (count / usual - 1.0)
    if not more:
        return finding
    expected = finding.expected + more
    chance = log_chance_per_week(finding.count, expected, finding.shape, rules.windows_a_week(finding.window))
    return finding._replace(expected=expected, log_chance=chance)


def overlap(finding: Finding, other: Key, count: int, counted: Counted, rules: Rules) -> float:
    """Complaints of the window that belong to both series, from those that are kept."""
    if other.dimension is Dimension.ALL:
        return finding.count
    if finding.key.dimension is Dimension.ALL:
        return count
    if finding.key.dimension is other.dimension:
        return 0.0
    mine = [row for row in counted.rows(finding.key.category, finding.window, rules) if belongs(row, finding.key)]
    both = sum(belongs(row, other) for row in mine)
    return finding.count * both / len(mine) if mine else 0.0


def likeliest(findings: Iterable[Finding]) -> Finding:
    """The finding that is explained best by a raised rate; of equal ones the most specific."""
    return max(
        findings,
        key=lambda each: (
            round(log_likelihood_ratio(each.count, each.expected), 6),
            DIMENSIONS.index(each.key.dimension),
            each.key.value,
        ),
    )


def cause(finding: Finding, counted: Counted, rules: Rules) -> Finding:
    """The finding itself, or the nearest wider group whose rest is raised as much as the finding is."""
    found = finding
    for group in groups(found, counted, rules):
        if raised_like(found, group):
            found = group
    return found


def groups(finding: Finding, counted: Counted, rules: Rules) -> list[Finding]:
    """The wider groups that hold nearly all of a series, nearest first, in the same window."""
    dimensions = WIDER[finding.key.dimension]
    if not dimensions:
        return []
    place = rules.windows.index(finding.window)
    mine = [row for row in counted.rows(finding.key.category, finding.window, rules) if belongs(row, finding.key)]
    found = []
    for dimension in dimensions:
        values = Counter(row.value(dimension) for row in mine)
        value, most = values.most_common(1)[0] if values else ("", 0)
        if dimension is not Dimension.ALL and (not value or most < WITHIN * len(mine)):
            continue
        key = Key(finding.key.category, dimension, value)
        if key not in counted.series:
            continue
        means, shape = counted.expected(key, rules)
        found.append(Finding(key, finding.window, counted.counts(key, rules)[place], means[place], shape, 0.0))
    return found


def raised_like(member: Finding, group: Finding) -> bool:
    """Whether the rest of the group is raised, and the member is no worse off than that rest."""
    rest, usual = group.count - member.count, max(group.expected - member.expected, group.expected * 0.05)
    if rest <= usual or log_tail(rest, usual, group.shape) > RAISED:
        return False
    return log_tail(member.count, member.expected * rest / usual, member.shape) > WORSE
