"""The steps of the stories of one complaint or order, each with the sentence that tells it from what was seen."""

from datetime import datetime
from typing import Any

from common.words import from_timestamp, rfc3339, word_of
from deploy.demo.sighting import HTTP, MONGODB, OUTBOX, TALLY, Sighting
from deploy.demo.story import Step, Story
from gen.pingxi.v1 import common_pb2

FIRST_RESPONSE = common_pb2.METRIC_FIRST_RESPONSE
RESOLUTION = common_pb2.METRIC_RESOLUTION
CALLBACK = common_pb2.METRIC_CALLBACK
CUSTOMER_EVENTS = ("confirmation", "reply", "resolution", "voucher")


def _clock(at: datetime | None) -> str:
    return rfc3339(at)[11:23] if at else "-"


def _short(text: str, length: int = 150) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def _accepted(story: Story, s: Sighting) -> str:
    return (
        f"201 after {s.body['milliseconds']:.0f} ms: number {story.ticket}, "
        f"an answer promised by {_clock(story.first_response_by)}"
    )


def _repeated(story: Story, s: Sighting) -> str | None:
    same = s.body["id"] == story.ticket and s.body["token"] == story.token
    return "tapped again with the same idempotency key: the same number and token" if same else None


def _logged(story: Story, s: Sighting) -> str | None:
    if not s.body.personal.ciphertext:
        return None
    return f"in the log; contact and text sealed with key {s.body.personal.key_id}"


def _routed(story: Story, s: Sighting) -> str | None:
    if s.body.WhichOneof("change") != "opened":
        return None
    snapshot = s.body.snapshot
    category = word_of(common_pb2.Category.DESCRIPTOR, snapshot.category)
    priority = word_of(common_pb2.Priority.DESCRIPTOR, snapshot.priority)
    joint = f" with {', '.join(snapshot.joint_queues)}" if snapshot.joint_queues else ""
    why = f" ({', '.join(s.body.opened.evidence)})" if s.body.opened.evidence else ""
    red = ", red channel" if snapshot.red else ""
    return f"routed as {category}, {priority}{red}{why}, to {snapshot.queue}{joint}"


def _stored(story: Story, s: Sighting) -> str | None:
    if s.body["documents"] != 1:
        return None
    return f"exactly one ticket of this order in the database, version {s.body['version']}"


def _armed(story: Story, s: Sighting) -> str | None:
    if s.body.clock.metric != FIRST_RESPONSE:
        return None
    return f"the watchdog watches the first answer, due {_clock(from_timestamp(s.body.due_at))}"


def _at_risk(story: Story, s: Sighting) -> str | None:
    if s.body.clock.metric != FIRST_RESPONSE:
        return None
    return f"at risk: {s.body.percent}% of the time is used"


def _breached(story: Story, s: Sighting) -> str | None:
    breached, detected = from_timestamp(s.body.breached_at), from_timestamp(s.body.detected_at)
    if s.body.clock.metric != FIRST_RESPONSE or breached is None or detected is None:
        return None
    # A breach is stamped with the promise that was broken, whenever it was found.
    if breached != story.first_response_by:
        return None
    late = (detected - breached).total_seconds() * 1000
    return f"promise missed at {_clock(breached)}, found {late:.0f} ms later: {s.body.reason}"


def _escalated(level: int) -> Any:
    def see(story: Story, s: Sighting) -> str | None:
        if s.body.metric != FIRST_RESPONSE or s.body.level != level or s.body.returned:
            return None
        story.facts["escalation"] = s.body.escalation_id
        return f"escalated to level {level}: {', '.join(s.body.notify)} by {', '.join(s.body.ways)}"

    return see


def told(prefix: str) -> Any:
    """Sees a message whose recipient begins with this."""

    def see(story: Story, s: Sighting) -> str | None:
        if not s.body["recipient"].startswith(prefix):
            return None
        return f"{s.body['channel']} to {s.body['recipient']}: {_short(s.body['text'])}"

    return see


def _level_told(level: int, prefix: str) -> Any:
    to_them = told(prefix)

    def see(story: Story, s: Sighting) -> str | None:
        # Nobody may have had the ticket yet at level 1: then it is the supervisors who are told there, too.
        return to_them(story, s) if f"第 {level} 级" in s.body["text"] else None

    return see


def _to_customer(story: Story, s: Sighting) -> str:
    return f"{s.body['channel']} to the customer: {_short(s.body['text'])}"


def _voucher(story: Story, s: Sighting) -> str:
    amount = s.body.amount
    return f"voucher over {amount.currency} {amount.amount_minor / 100:.2f} issued, reason {s.body.reason}"


def _acknowledged(story: Story, s: Sighting) -> str | None:
    return f"acknowledged by {s.body.actor.id}" if s.body.metric == FIRST_RESPONSE else None


def _change(kind: str, sentence: str) -> Any:
    def see(story: Story, s: Sighting) -> str | None:
        return sentence.format(ticket=s.body) if s.body.WhichOneof("change") == kind else None

    return see


def _replied(story: Story, s: Sighting) -> str | None:
    answered = from_timestamp(s.body.snapshot.clock_facts.first_answer_at)
    by = story.first_response_by
    if s.body.WhichOneof("change") != "replied" or answered is None or by is None or answered > by:
        return None
    return f"answered by {s.body.actor.id}, {(by - answered).total_seconds():.1f} s before the promise"


def _called_back(story: Story, s: Sighting) -> str | None:
    if s.body.WhichOneof("change") != "note_added" or not s.body.note_added.call_back:
        return None
    return f"called back by {s.body.actor.id}: is the matter settled?"


def _met(metric: int) -> Any:
    def see(story: Story, s: Sighting) -> str | None:
        if s.body.clock.metric != metric or not s.body.in_time:
            return None
        return f"promise kept: {word_of(common_pb2.Metric.DESCRIPTOR, metric)} in time"

    return see


def _closed(story: Story, s: Sighting) -> str | None:
    return f"the escalation is over: {s.body.why}" if s.body.metric == FIRST_RESPONSE else None


def _compensated_progress(story: Story, s: Sighting) -> str | None:
    if s.body["status"] != "resolved" or not s.body["compensation"]:
        return None
    money = s.body["compensation"][0]["amount"]
    return f"the customer reads {s.body['statusText']}, and a compensation of {money['amountMinor'] / 100:.2f}"


def _progress(story: Story, s: Sighting) -> str | None:
    return f"the customer reads {s.body['statusText']}" if s.body["status"] == "resolved" else None


def _once(story: Story, s: Sighting) -> str | None:
    """`s.body`: how many of each message the customer got, and vouchers."""
    wanted = {"confirmation": 1, "voucher": 1, "resolution": 1, "reply": 0, "vouchers": 1}
    return "one voucher, and each message to the customer once" if s.body == wanted else None


def _quiet(story: Story, s: Sighting) -> str | None:
    """`s.body`: everything that should not have happened to a complaint that was answered in time."""
    return "no breach, no escalation, no voucher, also after the promised time" if not any(s.body.values()) else None


UNANSWERED = (
    Step("received", HTTP, "accepted", _accepted),
    Step("received once", HTTP, "repeated", _repeated),
    Step("in the log", "complaints.v1", "ComplaintSubmitted", _logged),
    Step("routed", "tickets.v1", "TicketEvent", _routed),
    Step("stored", MONGODB, "document", _stored),
    Step("clock armed", "sla-events.v1", "SlaArmed", _armed),
    Step("customer told", OUTBOX, "confirmation", _to_customer),
    Step("supervisor told", OUTBOX, "notice", told("role:supervisor")),
    Step("at risk", "sla-events.v1", "SlaAtRisk", _at_risk),
    Step("promise missed", "sla-events.v1", "SlaBreached", _breached),
    Step("level 1", "escalations.v1", "TicketEscalated", _escalated(1)),
    Step("level 1 told", OUTBOX, "escalation", _level_told(1, "")),
    Step("voucher", "vouchers.v1", "VoucherIssued", _voucher),
    Step("voucher told", OUTBOX, "voucher", _to_customer),
    Step("level 2", "escalations.v1", "TicketEscalated", _escalated(2)),
    Step("level 2 told", OUTBOX, "escalation", _level_told(2, "role:supervisor")),
    Step("acknowledged", "escalations.v1", "EscalationAcknowledged", _acknowledged),
    Step("resolved", "tickets.v1", "TicketEvent", _change("resolved", "resolved by {ticket.actor.id}")),
    Step("resolution told", OUTBOX, "resolution", _to_customer),
    Step("escalation over", "escalations.v1", "EscalationClosed", _closed),
    Step("progress", HTTP, "progress", _compensated_progress),
    Step("each once", TALLY, "tally", _once),
)

ANSWERED = (
    Step("received", HTTP, "accepted", _accepted),
    Step("in the log", "complaints.v1", "ComplaintSubmitted", _logged),
    Step("routed", "tickets.v1", "TicketEvent", _routed),
    Step("stored", MONGODB, "document", _stored),
    Step("customer told", OUTBOX, "confirmation", _to_customer),
    Step("assigned", "tickets.v1", "TicketEvent", _change("assigned", "taken by {ticket.assigned.assignee}")),
    Step("answered in time", "tickets.v1", "TicketEvent", _replied),
    Step("answer told", OUTBOX, "reply", _to_customer),
    Step("answer promise kept", "sla-events.v1", "SlaMet", _met(FIRST_RESPONSE)),
    Step("resolved", "tickets.v1", "TicketEvent", _change("resolved", "resolved by {ticket.actor.id}")),
    Step("resolution told", OUTBOX, "resolution", _to_customer),
    Step("resolution promise kept", "sla-events.v1", "SlaMet", _met(RESOLUTION)),
    Step("progress", HTTP, "progress", _progress),
    Step("called back", "tickets.v1", "TicketEvent", _called_back),
    Step("call-back kept", "sla-events.v1", "SlaMet", _met(CALLBACK)),
    Step("nothing else", TALLY, "tally", _quiet),
)


def _placed(story: Story, s: Sighting) -> str:
    promised = from_timestamp(s.body.order.promised_at)
    return f"order {s.ticket} placed, promised by {_clock(promised)}; its customer says nothing all day"


def _delay(story: Story, s: Sighting) -> str:
    promised, eta = from_timestamp(s.body.promised_at), from_timestamp(s.body.eta)
    why = f" ({s.body.reason})" if s.body.reason else ""
    return f"it will be late: expected {_clock(eta)} instead of {_clock(promised)}{why}"


def _owed(story: Story, s: Sighting) -> str:
    return f"late by what counts as an hour, at {_clock(from_timestamp(s.body.at))}: compensation asked for"


def _far_too_late(story: Story, s: Sighting) -> str:
    return f"late by what counts as two hours, at {_clock(from_timestamp(s.body.at))}"


def _by_itself(story: Story, s: Sighting) -> str | None:
    if s.body.WhichOneof("change") != "opened" or not s.body.snapshot.red:
        return None
    return f"ticket {s.body.ticket_id} opened by itself, red channel, to {s.body.snapshot.queue}"


LATE_ORDER = (
    Step("order placed", "orders.v1", "OrderPlaced", _placed),
    Step("delay expected", "order-events.v1", "DelayExpected", _delay),
    Step("customer told ahead", OUTBOX, "delay", _to_customer),
    Step("owed", "compensation-requests", "CompensationRequested", _owed),
    Step("voucher", "vouchers.v1", "VoucherIssued", _voucher),
    Step("voucher told", OUTBOX, "voucher", _to_customer),
    Step("far too late", "order-events.v1", "OrderFarTooLate", _far_too_late),
    Step("ticket by itself", "tickets.v1", "TicketEvent", _by_itself),
)
