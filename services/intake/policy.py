"""What intake decides: data in, data out; no await, no clock, no log."""

import hashlib
import hmac
import json
from dataclasses import fields
from datetime import datetime, timedelta

from rules.lateness import known_lateness
from rules.model import Category, ComplaintFacts, PolicySet, Promise
from rules.promise import promise
from rules.routing import category_of, decide
from services.intake.model import Channel, Complaint, Progress, Receipt, Submission, TimelineEntry, TokenFacts

SYSTEM: Channel = "system"
# Who passes on what others took in, so names the channel it came by.
_ON_BEHALF = ("hotline", SYSTEM)
_CLIENT_TIME_BOUND = timedelta(minutes=5)
_SENT = tuple(sorted(field.name for field in fields(Submission)))


def may_name(caller: str, channel: str) -> bool:
    """A credential speaks for its own channel; the hotline's and a service's may name another."""
    return caller == channel or caller in _ON_BEHALF


def bounded(occurred_at: datetime | None, acknowledged_at: datetime) -> datetime:
    """A client's time is believed within 5 minutes of ours (sla.md, "Clock"); none given is now."""
    if occurred_at is None:
        return acknowledged_at
    return min(max(occurred_at, acknowledged_at - _CLIENT_TIME_BOUND), acknowledged_at + _CLIENT_TIME_BOUND)


def customer_ref(secret: bytes, submission: Submission) -> str:
    """Who complains, without saying who: the brand's own customer id, else a keyed hash of brand and contact."""
    if submission.customer_id:
        return submission.customer_id
    # Mailboxes differ in case on paper only.
    identity = f"{submission.brand}\x00{submission.contact.casefold()}".encode()
    return "anon-" + hmac.digest(secret, identity, hashlib.sha256).hex()[:32]


def fingerprint(secret: bytes, submission: Submission) -> str:
    """Equal for equal complaints, keyed because it covers contact and text; 32 hex characters."""
    sent = json.dumps([(name, getattr(submission, name)) for name in _SENT], default=str)
    return hmac.digest(secret, b"fingerprint\x00" + sent.encode(), hashlib.sha256).hex()[:32]


def judge(
    policies: PolicySet, submission: Submission, ticket_id: str, ref: str, sent_print: str, acknowledged_at: datetime
) -> Complaint:
    """The complaint with its promise, from declared type and keywords; the router decides for good (mechanisms.md)."""
    facts = ComplaintFacts(
        declared=submission.declared,
        text=submission.description,
        brand=submission.brand,
        channel=submission.channel,
        order_late=known_lateness(dict(submission.channel_facts)),
    )
    decision = decide(policies, facts)
    return Complaint(
        ticket_id=ticket_id,
        submission=submission,
        declared_category=category_of(policies.routing, submission.declared) or Category.OTHER,
        customer_ref=ref,
        fingerprint=sent_print,
        acknowledged_at=acknowledged_at,
        occurred_at=bounded(submission.occurred_at, acknowledged_at),
        decision=decision,
        promise=promise(policies, decision, acknowledged_at),
    )


def received(ticket_id: str, token: TokenFacts | None, receipt: Receipt | None) -> Progress:
    """Progress before the router knows the ticket, from what this instance remembers, else from the token.

    An acknowledged complaint is never "not found": without either it is still received (interfaces.md).
    """
    category, at, promised = None, None, Promise(None, None)
    if token is not None:
        category, at, promised = token.declared_category, token.acknowledged_at, token.promise
    if receipt is not None:
        category, at, promised = receipt.declared_category, receipt.acknowledged_at, receipt.promise
    timeline = (TimelineEntry(at, "received"),) if at else ()
    return Progress(ticket_id, "received", category, promised, timeline)
