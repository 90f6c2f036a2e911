"""An observation → how it breaks the invariants of Pingxi (docs/architecture.md numbers them). Pure.

A check is a function and a line in `CHECKS`; a later part adds its own in the same way. Repeats with the same id are
no violation anywhere: consumers drop them.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from chaos import promises
from chaos.observation import (
    Changed,
    Complained,
    DeadLetter,
    Observation,
    Record,
    Voucher,
)

# Ledger states that have taken their amount out of the budgets.
SPENT = frozenset({"reserved", "published", "redeemable", "redeemed", "reversing"})
# Those for which a voucher is on its topic.
ISSUED = SPENT - {"reserved"} | {"rejected", "reversed"}
# Messages there is one of, for each ticket.
ONE_A_TICKET = frozenset({"confirmation", "voucher"})

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Violation:
    """`invariant` is its number, `name` the kind (one of `CHECKS`), `subject` what it is about."""

    invariant: int
    name: str
    subject: str
    detail: str = ""


Found = Iterator[tuple[str, str]]


def once(records: Iterable[Record], kind: type[R]) -> list[R]:
    """Records of a kind in the order of their partitions, repeats of an id left out."""
    found: dict[str, R] = {}
    for record in sorted(records, key=lambda r: (r.topic, r.partition, r.offset)):
        if isinstance(record, kind):
            found.setdefault(record.id, record)
    return list(found.values())


def acknowledged_lost(seen: Observation) -> Found:
    """1. What was acknowledged is in the log and in MongoDB; so is what nobody knows of, once it is in the log."""
    logged = {record.ticket for record in once(seen.records, Complained)}
    stored = {ticket.id for ticket in seen.tickets}
    for request in seen.requests:
        for ticket in request.tickets if request.outcome == "ok" else ():
            if ticket not in logged:
                yield ticket, "acknowledged, and not in complaints.v1"
            if ticket not in stored:
                yield ticket, "acknowledged, and not in MongoDB"
    for ticket in logged - stored:
        yield ticket, "in complaints.v1, and not in MongoDB"


def command_lost(seen: Observation) -> Found:
    """1. What the desk was told is done is an event of the ticket."""
    changes = {(record.ticket, record.change) for record in once(seen.records, Changed)}
    for command in seen.commands:
        if command.outcome == "ok" and (command.ticket, command.change) not in changes:
            yield command.ticket, f"{command.change} was acknowledged, and isn't in tickets.v1"


def event_lost(seen: Observation) -> Found:
    """1. The events of a ticket are on tickets.v1 up to the version that is stored, and none is left to publish."""
    published = _versions(seen)
    for ticket in seen.tickets:
        if ticket.uncleared:
            yield ticket.id, f"versions {list(ticket.uncleared)} are still in its outbox"
        if max(published.get(ticket.id, [0])) != ticket.version:
            yield ticket.id, f"stored at version {ticket.version}, published {published.get(ticket.id)}"


def two_tickets_for_one_key(seen: Observation) -> Found:
    """2. All answers to one idempotency key name one ticket, and its order has one."""
    by_order = defaultdict(set)
    for record in once(seen.records, Complained):
        by_order[record.order_id].add(record.ticket)
    for stored in seen.tickets:
        by_order[stored.order_id].add(stored.id)
    for request in seen.requests:
        found = by_order[request.order_id] | set(request.tickets)
        if len(found) > 1:
            yield request.key, f"tickets {sorted(found)}"


def versions_with_gaps(seen: Observation) -> Found:
    """6. Versions grow by one from 1, in the order of the topic; the same version is the same event."""
    for ticket, versions in _versions(seen).items():
        if versions != list(range(1, len(versions) + 1)):
            yield ticket, f"versions {versions}"


def _versions(seen: Observation) -> dict[str, list[int]]:
    versions = defaultdict(list)
    for record in once(seen.records, Changed):
        versions[record.ticket].append(record.version)
    return versions


def voucher_twice(seen: Observation) -> Found:
    """5. One voucher for one key, and one for a ticket; the loyalty system paid each once."""
    amounts = defaultdict(set)
    for record in seen.records:
        if isinstance(record, Voucher):
            amounts[record.id].add(record.amount)
    for key, different in amounts.items():
        if len(different) > 1:
            yield key, f"amounts {sorted(different)} under one key"
    for ticket, count in Counter(record.ticket for record in once(seen.records, Voucher)).items():
        if count > 1:
            yield ticket, f"{count} vouchers"
    for key, count in Counter(credit.voucher for credit in seen.credits or ()).items():
        if count > 1:
            yield key, f"paid {count} times"


def ledger_differs(seen: Observation) -> Found:
    """5. The ledger, the vouchers on the topic and what was paid are the same to the cent."""
    vouchers = {record.id: record for record in once(seen.records, Voucher)}
    rows = {row.id: row for row in seen.ledger}
    for key in vouchers.keys() - rows.keys():
        yield key, "a voucher without a row in the ledger"
    for row in seen.ledger:
        voucher = vouchers.get(row.id)
        if row.state in ISSUED and voucher is None:
            yield row.id, f"{row.state} in the ledger, and no voucher"
        if voucher is not None and (row.state not in ISSUED or voucher.amount != row.amount):
            yield row.id, f"{row.state} over {row.amount} in the ledger, a voucher over {voucher.amount}"
        if row.state in ("proposed", "reserved") or row.unpublished:
            yield row.id, f"still {row.state}"
    if seen.credits is not None:
        paid = {credit.voucher: credit.amount for credit in seen.credits}
        for key in paid.keys() ^ vouchers.keys():
            yield key, "paid and not promised" if key in paid else "promised and not paid"


def budget_differs(seen: Observation) -> Found:
    """5. A budget has given exactly what the ledger took from it, and never more than its limit."""
    taken: Counter[str] = Counter()
    for row in seen.ledger:
        if row.state in SPENT:
            taken.update(dict.fromkeys(row.budgets, row.amount))
    for budget in seen.budgets:
        if taken[budget.id] != budget.spent:
            yield budget.id, f"gave {budget.spent}, the ledger took {taken[budget.id]}"
        if budget.limit is not None and budget.spent > budget.limit:
            yield budget.id, f"gave {budget.spent} of {budget.limit}"


def voucher_missing(seen: Observation) -> Found:
    """5. A broken promise that is paid for is in the ledger, unless it was taken back."""
    red = {record.ticket: record.red for record in once(seen.records, Complained)}
    decided = {row.ticket for row in seen.ledger}
    wrong = promises.retracted(seen)
    for breach in promises.breaches(seen):
        paid = (red.get(breach.ticket, False), breach.metric) in seen.pays
        if paid and breach.cause == "deadline" and breach.id not in wrong and breach.ticket not in decided:
            yield breach.ticket, f"{breach.metric} was broken, and the ledger knows nothing of it"


def message_twice(seen: Observation) -> Found:
    """4. Nobody gets a message twice: one for each ticket or escalation and person, whatever is repeated."""
    escalations = Counter(record.ticket for record in promises.escalations(seen))
    for (ticket, event, recipient), count in Counter((s.ticket, s.event, s.recipient) for s in seen.sent).items():
        most = escalations[ticket] if event == "escalation" else 1
        if (event in ONE_A_TICKET or event == "escalation") and count > most:
            yield ticket, f"{event} {count} times to {recipient}"
    for key, count in Counter(s.key for s in seen.sent).items():
        if count > 1:
            yield key, f"taken {count} times under one key"


def message_missing(seen: Observation) -> Found:
    """1. Every stored ticket was confirmed, every voucher and every escalation told."""
    told = {(s.ticket, s.event) for s in seen.sent}
    owed = [(ticket.id, "confirmation") for ticket in seen.tickets]
    owed += [(record.ticket, "voucher") for record in once(seen.records, Voucher)]
    owed += [(record.ticket, "escalation") for record in promises.escalations(seen)]
    for ticket, event in dict.fromkeys(owed):
        if (ticket, event) not in told:
            yield ticket, f"no {event}"


def poison_not_buried(seen: Observation) -> Found:
    """7. What can't be processed is in the dead letters with its reason and origin, once for each reader."""
    buried = {(letter.origin, letter.service) for letter in once_buried(seen) if letter.reason}
    for wrong in seen.poisoned:
        origin = (wrong.topic, wrong.partition, wrong.offset)
        for service in wrong.services:
            if (origin, service) not in buried:
                yield f"{wrong.topic}/{wrong.partition}/{wrong.offset}", f"not buried by {service}"


def good_message_buried(seen: Observation) -> Found:
    """7. Nothing else is in the dead letters."""
    wrong = {(p.topic, p.partition, p.offset) for p in seen.poisoned}
    for letter in once_buried(seen):
        if letter.origin not in wrong:
            yield "/".join(map(str, letter.origin)), f"buried by {letter.service}: {letter.reason}"


def once_buried(seen: Observation) -> list[DeadLetter]:
    """Dead letters; the same message buried twice by one service counts once."""
    found = {(r.origin, r.service): r for r in seen.records if isinstance(r, DeadLetter)}
    return list(found.values())


def partition_stuck(seen: Observation) -> Found:
    """7. Every group has read every partition to its end."""
    for lag in seen.lags:
        if lag.committed < lag.end:
            yield f"{lag.topic}/{lag.partition}", f"{lag.group} is at {lag.committed} of {lag.end}"


def rebuilt_differs(seen: Observation) -> Found:
    """8. What is rebuilt from the topics equals what is live."""
    for copy in seen.copies:
        if copy.live != copy.rebuilt:
            yield copy.subject, f"{copy.what}: live {copy.live}, rebuilt {copy.rebuilt}"


def personal_data_leaked(seen: Observation) -> Found:
    """9. No phone number, address or text where it must not be."""
    for place in seen.leaks:
        yield place, "personal data"


Check = Callable[[Observation], Found]

CHECKS: Mapping[Check, int] = {
    acknowledged_lost: 1,
    command_lost: 1,
    event_lost: 1,
    message_missing: 1,
    two_tickets_for_one_key: 2,
    promises.breach_missing: 3,
    promises.breach_stamped_wrong: 3,
    promises.breach_early: 4,
    promises.breach_twice: 4,
    promises.met_left_breached: 4,
    promises.escalation_twice: 4,
    promises.escalation_missing: 4,
    message_twice: 4,
    voucher_twice: 5,
    voucher_missing: 5,
    ledger_differs: 5,
    budget_differs: 5,
    versions_with_gaps: 6,
    poison_not_buried: 7,
    good_message_buried: 7,
    partition_stuck: 7,
    rebuilt_differs: 8,
    personal_data_leaked: 9,
}


def check(seen: Observation) -> list[Violation]:
    """Every violation, those of the first invariants first. Empty: nothing is wrong with what was seen."""
    return [
        Violation(invariant, found.__name__, subject, detail)
        for found, invariant in CHECKS.items()
        for subject, detail in found(seen)
    ]


@dataclass(frozen=True)
class Summary:
    """The figures of a run's line in the table. `late` is the longest time from a deadline to its breach."""

    acknowledged: int
    unknown: int
    lost: int
    duplicated: int
    breaches: int
    late: timedelta


LOST = frozenset({"acknowledged_lost", "command_lost", "event_lost", "message_missing", "breach_missing"})
DUPLICATED = frozenset(
    {"two_tickets_for_one_key", "breach_twice", "escalation_twice", "message_twice", "voucher_twice"}
)


def summary(seen: Observation, violations: Iterable[Violation]) -> Summary:
    """Counted from the same observation the violations are from."""
    names = Counter(violation.name for violation in violations)
    found = promises.breaches(seen)
    return Summary(
        acknowledged=sum(r.outcome == "ok" for r in seen.requests) + sum(c.outcome == "ok" for c in seen.commands),
        unknown=sum(r.outcome == "unknown" for r in seen.requests) + sum(c.outcome == "unknown" for c in seen.commands),
        lost=sum(names[name] for name in LOST),
        duplicated=sum(names[name] for name in DUPLICATED),
        breaches=len(found),
        late=max((b.detected_at - b.breached_at for b in found), default=timedelta()),
    )
