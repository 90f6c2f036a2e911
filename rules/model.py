"""The words and the data of the rules. Everything is frozen; durations are `timedelta`, instants aware UTC `datetime`.

A `PolicySet` is everything one brand has decided; `common.policyfiles` reads it from YAML and carries it as JSON.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

from rules.answers import NO_ANSWERS, Answers
from rules.codec import content_hash
from rules.keywords import KeywordGroup, Keywords
from rules.orders import USUAL_ORDERS, OrderPolicy
from rules.surges import SurgePolicy
from rules.words import Category, Fault, Instrument, Metric, Priority, Status, TriggerKind, Way

__all__ = [
    "Brand",
    "Calendar",
    "Category",
    "Compensation",
    "CompensationLimits",
    "CompensationRule",
    "ComplaintFacts",
    "EscalationLevel",
    "Fault",
    "Instrument",
    "KeywordGroup",
    "Keywords",
    "Metric",
    "Notice",
    "OpenDate",
    "PolicySet",
    "Priority",
    "Promise",
    "Queue",
    "Routing",
    "RoutingCondition",
    "RoutingDecision",
    "RoutingRule",
    "SlaCondition",
    "SlaPolicy",
    "Status",
    "Target",
    "TimeRange",
    "Trigger",
    "TriggerKind",
    "Way",
]


@dataclass(frozen=True)
class TimeRange:
    """A range of one local day in minutes after midnight, `start` included, `end` (up to 1440) not."""

    start: int
    end: int


@dataclass(frozen=True)
class OpenDate:
    """A brand's own hours on one date; no ranges means closed."""

    date: date
    ranges: tuple[TimeRange, ...]


@dataclass(frozen=True)
class Calendar:
    """Working hours. `weekly` has seven entries, Monday first; `always` ignores everything else.

    `china_holidays` applies China's published calendar: holidays are closed, made-up working days (调休) have the hours
    of the weekday `made_up_as` (0 = Monday). `dates` (closed or opened by the brand) win over everything.
    """

    name: str
    time_zone: str = "Asia/Shanghai"
    always: bool = False
    weekly: tuple[tuple[TimeRange, ...], ...] = ((),) * 7
    china_holidays: bool = False
    made_up_as: int = 0
    dates: tuple[OpenDate, ...] = ()

    @cached_property
    def hash(self) -> str:
        """Content hash, 32 hex characters: two calendars with one hash give the same deadlines."""
        return content_hash(self)

    def __hash__(self) -> int:
        return hash(self.hash)


@dataclass(frozen=True)
class EscalationLevel:
    """One step of a chain. Level 1 is due at the breach, level n+1 `after` level n was published (mechanisms.md).

    `notify` names people as `assignee`, `queue_lead`, `role:<role>` or `oncall:<schedule>`, found when the level fires.
    """

    level: int
    after: timedelta
    notify: tuple[str, ...]
    ways: tuple[Way, ...]


@dataclass(frozen=True)
class Target:
    """One promise of a policy: `metric` is due `duration` of `calendar` time after its start.

    `warn_percent` are the at-risk points, ascending. `return_after`: an acknowledged but unresolved escalation returns
    after this time (None: never).
    """

    metric: Metric
    duration: timedelta
    calendar: str
    calendar_hash: str
    warn_percent: tuple[int, ...] = (50, 80)
    chain: tuple[EscalationLevel, ...] = ()
    return_after: timedelta | None = None


@dataclass(frozen=True)
class SlaCondition:
    """When a policy matches: every given part has to hold; an empty tuple or None asks for nothing."""

    red: bool | None = None
    complex: bool | None = None
    categories: tuple[Category, ...] = ()
    priorities: tuple[Priority, ...] = ()
    channels: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """True if it matches every ticket."""
        return self == SlaCondition()


@dataclass(frozen=True)
class SlaPolicy:
    """A named set of targets per priority. The first policy whose condition matches wins (sla.md, "Policy").

    `pause_max` is how long the customer is waited for until he is reminded, `no_answer_after` how long after that the
    ticket closes as unanswered; None: it never does. `apply_to_running`: an edited policy changes running clocks too
    (`apply: running`).
    """

    name: str
    condition: SlaCondition
    targets: Mapping[Priority, tuple[Target, ...]]
    automatic_answer_counts: bool = False
    pause_max: timedelta = timedelta(hours=72)
    no_answer_after: timedelta | None = timedelta(hours=24)
    apply_to_running: bool = False


@dataclass(frozen=True)
class Notice:
    """Somebody who is told at routing, besides any chain (sla.md, "Priority")."""

    notify: tuple[str, ...]
    ways: tuple[Way, ...]


@dataclass(frozen=True)
class RoutingCondition:
    """When a routing rule matches: every given part has to hold; within a part, any of its values.

    `keywords` names groups of keywords.yaml. `order_late_over`: the order is known to be later than this past its
    promised time. `text_late_over`: the customer says so ("等了三个小时").
    `reads_urgent`: the text as a whole reads so, whatever its words (`ComplaintFacts.reads_urgent`).
    """

    keywords: tuple[str, ...] = ()
    declared: tuple[Category, ...] = ()
    channels: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    order_late_over: timedelta | None = None
    text_late_over: timedelta | None = None
    reads_urgent: bool = False

    @property
    def empty(self) -> bool:
        """True if it matches every complaint."""
        return self == RoutingCondition()


@dataclass(frozen=True)
class RoutingRule:
    """One row of the routing table. `category` None keeps the declared one; `red` means the red channel."""

    name: str
    condition: RoutingCondition
    category: Category | None
    priority: Priority
    queue: str
    joint_queues: tuple[str, ...] = ()
    red: bool = False
    complex: bool = False
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class Queue:
    """A department that owns tickets; `label` per locale."""

    name: str
    label: Mapping[str, str]


@dataclass(frozen=True)
class Routing:
    """The routing table: rows in order, the first that matches wins; the last has no condition.

    `declared_types` maps what a customer may choose to a category (the codes of the categories are always understood).
    `close_after`: how long a resolved ticket stays open to the customer's word.
    """

    rules: tuple[RoutingRule, ...]
    queues: tuple[Queue, ...]
    oncall: tuple[str, ...]
    declared_types: Mapping[str, Category]
    anger_keywords: tuple[str, ...] = ("anger",)
    close_after: timedelta = timedelta(days=7)


@dataclass(frozen=True)
class Trigger:
    """What a compensation rule reacts to; empty parts ask for nothing.

    `metrics`, `priorities`, `policies` and `red` apply to sla_breach; `late_over` to order_late,
    `score_at_least` to rating.
    """

    kind: TriggerKind
    metrics: tuple[Metric, ...] = ()
    priorities: tuple[Priority, ...] = ()
    policies: tuple[str, ...] = ()
    red: bool | None = None
    late_over: timedelta | None = None
    score_at_least: int | None = None


@dataclass(frozen=True)
class CompensationRule:
    """One row of the standard of compensation. The first row whose trigger matches wins.

    `amount` is minor units of the brand's currency for a voucher (1000 = ¥10), points otherwise; `agent_chooses`: the
    amount comes with the resolution and is bounded by `amount`. `settle_after`: how long a breach may be retracted
    before the voucher is published. `unknown_order_max`: the bound when no order is known. `fault`: who is settled
    with; None where the request or the order's course says.
    """

    name: str
    trigger: Trigger
    reason: str
    instrument: Instrument
    amount: int
    currency: str
    settle_after: timedelta = timedelta(seconds=10)
    unknown_order_max: int = 0
    stack: bool = False
    agent_chooses: bool = False
    fault: Fault | None = None


@dataclass(frozen=True)
class CompensationLimits:
    """Bounds over all rules, money in minor units of `currency`.

    Budgets are per brand and day (in the brand's time zone); caps per customer over `cap_days` days, over linked
    identities; `claims_to_orders_percent` counts from the `claims_from`-th claim on: one of one says nothing.
    Up to `automatic_up_to` pays by itself, above `two_people_above` two people approve, between one does.
    """

    currency: str
    brand_per_day: int
    merchant_per_day: int
    incident_total: int
    cap_days: int
    cap_count: int
    cap_amount: int
    claims_to_orders_percent: int
    order_share_percent: int
    claim_window: timedelta
    automatic_up_to: int
    two_people_above: int
    enabled: bool = True
    shadow: bool = False
    claims_from: int = 3


@dataclass(frozen=True)
class Compensation:
    """The brand's standard of compensation."""

    rules: tuple[CompensationRule, ...]
    limits: CompensationLimits


@dataclass(frozen=True)
class Brand:
    """Who speaks to the customer. `name` and `signature` per locale (zh-CN, zh-TW, en).

    `extends` names the brand whose files fill in what this one doesn't say. `keep_personal`: how long after its end a
    ticket keeps contact, texts and pictures.
    """

    key: str
    name: Mapping[str, str]
    signature: Mapping[str, str]
    time_zone: str
    default_locale: str
    currency: str
    support_phone: str
    support_mail: str
    extends: str | None = None
    keep_personal: timedelta = timedelta(days=180)


# Of a brand that says nothing of its own.
USUAL_SURGES = SurgePolicy()


@dataclass(frozen=True)
class PolicySet:
    """Everything one brand has decided, of one version. `hash` names the version (the key in `policies.v1`)."""

    brand: Brand
    sla: tuple[SlaPolicy, ...]
    routing: Routing
    calendars: Mapping[str, Calendar]
    keywords: Keywords
    compensation: Compensation
    surge: SurgePolicy = USUAL_SURGES
    orders: OrderPolicy = USUAL_ORDERS
    answers: Answers = NO_ANSWERS

    @cached_property
    def hash(self) -> str:
        """Content hash, 32 hex characters: equal for equal rules whatever the layout or comments of the files."""
        return content_hash(self)

    def calendar_by_hash(self, calendar_hash: str) -> Calendar | None:
        """The calendar a `Target` was made with, or None if this version doesn't hold it."""
        return next((c for c in self.calendars.values() if c.hash == calendar_hash), None)


@dataclass(frozen=True)
class ComplaintFacts:
    """What is known of a complaint when it is judged.

    `declared` is the type as sent (a word of `Routing.declared_types` or a code of `Category`; anything else, or None,
    is `other`). `order_late`: how far past its promised time the order is, if known.

    What the router has understood beyond words, if it has (intake hasn't): `suggested`, the category the text is
    about, with `also` the further ones; `reads_urgent` and `reads_angry`, though no word of the policy says so.
    """

    declared: str | None
    text: str
    brand: str
    channel: str
    tier: str | None = None
    order_late: timedelta | None = None
    suggested: Category | None = None
    also: tuple[Category, ...] = ()
    reads_urgent: bool = False
    reads_angry: bool = False


@dataclass(frozen=True)
class RoutingDecision:
    """The outcome of `rules.routing.decide`. `rule` and `evidence` (the words that matched) say why."""

    category: Category
    secondary: tuple[Category, ...]
    priority: Priority
    queue: str
    joint_queues: tuple[str, ...]
    red: bool
    angry: bool
    complex: bool
    sla_policy: str
    policy_hash: str
    targets: tuple[Target, ...]
    notices: tuple[Notice, ...]
    rule: str
    evidence: tuple[str, ...] = ()

    @property
    def urgent(self) -> bool:
        """Food safety, illness, or more than 2 h past the promise: the same as the red channel (requirements)."""
        return self.red

    def target(self, metric: Metric) -> Target | None:
        """The target of `metric`, or None if the policy doesn't promise it."""
        return next((t for t in self.targets if t.metric is metric), None)


@dataclass(frozen=True)
class Promise:
    """What the customer is told: both instants are UTC; None if the policy doesn't promise that metric."""

    first_response_by: datetime | None
    resolve_by: datetime | None
