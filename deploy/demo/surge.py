"""The surge at one shop: one incident, its complaints attached, each of its orders compensated once."""

from common.words import word_of
from deploy.demo.sighting import OUTBOX, TALLY, Sighting
from deploy.demo.steps import told
from deploy.demo.story import Step, Story
from gen.pingxi.v1 import common_pb2

# So many of the shop's complaints at least: routing may read one or the other as something else.
SURGE_COMPLAINTS = 8
# The reason that policies/default/compensation.yaml gives for what an incident pays.
REASON = "incident"


def orders_of(story: Story) -> list[str]:
    """The orders that the story's incident says are affected, and those it asked compensation for."""
    return sorted({*story.affected, *story.asked.get(story.facts.get("incident", ""), ())})


def _surge_opened(story: Story, s: Sighting) -> str | None:
    incident = s.body.incident
    if incident.value not in ("m-orchard-12", "p-strawberry"):
        return None
    story.facts["incident"] = incident.incident_id
    category = word_of(common_pb2.Category.DESCRIPTOR, incident.category)
    return (
        f"a surge: {incident.complaints} complaints about {category} at {incident.dimension} {incident.value}, "
        f"where {incident.expected:.1f} are usual"
    )


def _attached(story: Story, s: Sighting) -> str | None:
    incident = s.body.incident
    if incident.incident_id != story.facts.get("incident") or incident.complaints < SURGE_COMPLAINTS:
        return None
    return f"{incident.complaints} complaints and {len(incident.affected_orders)} orders in one incident"


def _asked(story: Story, s: Sighting) -> str | None:
    # Topics are read side by side: what is asked for an incident may be seen before the incident is.
    story.asked.setdefault(s.body.cause_id, set()).add(s.body.order_id)
    mine = orders_of(story)
    return f"compensation asked for {len(mine)} orders, each once" if len(mine) >= SURGE_COMPLAINTS else None


def _paid(story: Story, s: Sighting) -> str | None:
    if s.body.reason != REASON:
        return None
    story.paid.setdefault(s.body.order_id, set()).add(s.body.voucher_id)
    mine = orders_of(story)
    if len(mine) < SURGE_COMPLAINTS or any(len(story.paid.get(order, ())) != 1 for order in mine):
        return None
    amount = s.body.amount
    return f"{len(mine)} orders, {len(mine)} vouchers over {amount.currency} {amount.amount_minor / 100:.2f}"


def _over(story: Story, s: Sighting) -> str | None:
    if s.body.incident.incident_id != story.facts.get("incident"):
        return None
    story.affected = tuple(s.body.incident.affected_orders)
    return f"the incident is over: {s.body.why}"


def _each_once(story: Story, s: Sighting) -> str | None:
    """`s.body`: how many vouchers each affected order got."""
    if len(s.body) < SURGE_COMPLAINTS or set(s.body.values()) != {1}:
        return None
    return f"all {len(s.body)} orders of the incident have one voucher each"


SURGE = (
    Step("surge found", "surges.v1", "SurgeOpened", _surge_opened),
    Step("supervisor told", OUTBOX, "surge", told("role:supervisor")),
    Step("orders affected", "compensation-requests", "CompensationRequested", _asked),
    Step("orders compensated", "vouchers.v1", "VoucherIssued", _paid),
    Step("attached", "surges.v1", "SurgeUpdated", _attached),
    Step("surge over", "surges.v1", "SurgeClosed", _over),
    Step("each order once", TALLY, "tally", _each_once),
)
