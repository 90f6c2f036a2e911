"""Compensation in steps, and the loyalty system behind it: the one file here that knows compensation's functions."""

from dataclasses import replace
from itertools import takewhile

from chaos.observation import Budget, LedgerRow
from chaos.simulation.consuming import consumer
from chaos.simulation.world import IDLE, STEP, Steps, World, publish
from common.events import Decoder, Incoming
from gen.pingxi.v1.compensation_pb2 import CompensationRequested, CompensationWithdrawn
from gen.pingxi.v1.voucher_pb2 import VoucherIssued
from services.sla.compensation import checks, rules
from services.sla.compensation.accounts import Books
from services.sla.compensation.model import LedgerRow as Row
from services.sla.compensation.states import CHARGED, moved
from services.sla.compensation.wire import promise_of, request_of

_REQUESTS = Decoder([CompensationRequested, CompensationWithdrawn])
_VOUCHERS = Decoder([VoucherIssued])


def payer(world: World) -> list[Steps]:
    """The part of an sla worker that decides about money."""
    topics = ["compensation-requests"]
    return [consumer(world, "compensation", "sla-compensation", topics, _REQUESTS, _request), _settling(world)]


def loyalty(world: World) -> list[Steps]:
    """Pays each voucher once."""
    return [consumer(world, "loyalty", "loyalty", ["vouchers.v1"], _VOUCHERS, _credit)]


def _request(world: World, message: Incoming) -> Steps:
    while "store" in world.away:
        yield IDLE
    rows: dict[str, Row] = world.store.ledger  # type: ignore[assignment]
    if isinstance(message.body, CompensationWithdrawn):
        for row in [*rows.values()]:
            if row.request_id == message.body.request_id and row.state in ("proposed", "held"):
                rows[row.id] = moved(row, "skipped", world.now, outcome="withdrawn")
        yield STEP
        return
    assert isinstance(message.body, CompensationRequested)
    request = request_of(message.body)
    rule = rules.matching_rule(world.policies, request)
    instances = (rules.ledger_id(request, rule, number) for number in range(1, len(rows) + 2)) if rule else ()
    taken = [rows[each] for each in takewhile(rows.__contains__, instances)]
    proposed = rules.propose(world.policies, request, taken)
    if proposed is not None:
        if "ledger rows have random ids" in world.bugs:
            proposed = replace(proposed, id=world.chance.randbytes(8).hex())
        yield STEP
        rows.setdefault(proposed.id, proposed)
        world.wake_at(proposed.settle_at)
    yield STEP


def _settling(world: World) -> Steps:
    rows: dict[str, Row] = world.store.ledger  # type: ignore[assignment]
    while True:
        due = [row for row in rows.values() if row.state == "proposed" and row.settle_at <= world.now]
        due += [row for row in rows.values() if row.state == "reserved"]
        if not due or "store" in world.away:
            yield IDLE
            continue
        row = world.chance.choice(due)
        yield STEP
        row = rows[row.id]
        if row.state == "proposed":
            yield from _reserve(world, rows, row)
        elif row.state == "reserved":
            if "a voucher counts as published before it is" in world.bugs:
                rows[row.id] = moved(row, "published", world.now)
                yield STEP
            yield from publish(world, promise_of(row))
            while "store" in world.away:
                yield IDLE
            if rows[row.id].state == "reserved":
                rows[row.id] = moved(row, "published", world.now)
            yield STEP


def _reserve(world: World, rows: dict[str, Row], row: Row) -> Steps:
    """The verdict, and what it takes from the budgets: one transaction."""
    paid = sum(r.amount_minor for r in rows.values() if r.order_id == row.order_id and r.state in CHARGED)
    if "ledger rows have random ids" in world.bugs:
        # That an order is paid once would catch it.
        paid = 0
    books = Books(spent=dict(world.store.budgets), paid_for_order=paid)
    match checks.judge(world.policies, row, None, books, world.now):
        case checks.Reserve(amount, accounts):
            for budget in accounts.budgets:
                world.store.budgets[budget.id] = world.store.budgets.get(budget.id, 0) + amount
            if "the budget is taken apart from the row" in world.bugs:
                yield STEP
            rows[row.id] = moved(
                row, "reserved", world.now, amount_minor=amount, charges=accounts.charges, issued_at=world.now
            )
        case checks.Hold(reason):
            rows[row.id] = moved(row, "held", world.now, outcome=reason)
        case checks.Skip(reason):
            rows[row.id] = moved(row, "skipped", world.now, outcome=reason)
    yield STEP


def _credit(world: World, message: Incoming) -> Steps:
    assert isinstance(message.body, VoucherIssued)
    yield STEP
    known = any(voucher == message.body.voucher_id for voucher, _ in world.credits)
    if not known or "loyalty doesn't look at the key" in world.bugs:
        world.credits.append((message.body.voucher_id, message.body.amount.amount_minor))
    yield STEP


def ledger_rows(world: World) -> tuple[LedgerRow, ...]:
    """As the checker knows them."""
    rows: dict[str, Row] = world.store.ledger  # type: ignore[assignment]
    return tuple(
        LedgerRow(row.id, row.ticket_id, row.state, row.amount_minor, row.charges.budgets) for row in rows.values()
    )


def budgets(world: World) -> tuple[Budget, ...]:
    """As the checker knows them."""
    limit = world.policies.compensation.limits.brand_per_day
    return tuple(Budget(name, spent, limit) for name, spent in world.store.budgets.items())
