"""Compensation in steps, and the loyalty system behind it: the one file here that knows compensation's functions."""

from dataclasses import replace
from datetime import datetime

from chaos.observation import Budget, LedgerRow
from chaos.simulation.consuming import consumer
from chaos.simulation.world import IDLE, STEP, Steps, World, publish
from common.events import Decoder, Incoming, Outgoing
from gen.pingxi.v1.compensation_pb2 import CompensationRequested, CompensationWithdrawn
from gen.pingxi.v1.voucher_pb2 import VoucherIssued
from services.sla import compensation
from services.sla.ledger import request_of, voucher_of

_REQUESTS = Decoder([CompensationRequested, CompensationWithdrawn])
_VOUCHERS = Decoder([VoucherIssued])
Row = compensation.LedgerRow


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
                rows[row.id] = _changed(row, "skipped", world.now)
        yield STEP
        return
    assert isinstance(message.body, CompensationRequested)
    proposed = compensation.propose(world.policies, request_of(message.body))
    if proposed is not None:
        if "ledger rows have random ids" in world.bugs:
            proposed = replace(proposed, id=world.chance.randbytes(8).hex())
        yield STEP
        rows.setdefault(proposed.id, proposed)
        world.wake_at(proposed.settle_at)
    yield STEP


def _changed(row: Row, state: compensation.State, now: datetime) -> Row:
    return replace(row, state=state, updated_at=now, version=row.version + 1)


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
            # One transaction.
            budget, limit = compensation.budget_of(world.policies, row)
            if world.store.budgets.get(budget, 0) + row.amount_minor <= limit:
                world.store.budgets[budget] = world.store.budgets.get(budget, 0) + row.amount_minor
                if "the budget is taken apart from the row" in world.bugs:
                    yield STEP
                rows[row.id] = _changed(row, "reserved", world.now)
            else:
                rows[row.id] = _changed(row, "held", world.now)
            yield STEP
        elif row.state == "reserved":
            if "a voucher counts as published before it is" in world.bugs:
                rows[row.id] = _changed(row, "published", world.now)
                yield STEP
            yield from publish(world, _voucher(row))
            while "store" in world.away:
                yield IDLE
            rows[row.id] = _changed(rows[row.id], "published", world.now)
            yield STEP


def _voucher(row: Row) -> Outgoing:
    return voucher_of(row)


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
        LedgerRow(row.id, row.ticket_id, row.state, row.amount_minor, (compensation.budget_of(world.policies, row)[0],))
        for row in rows.values()
    )


def budgets(world: World) -> tuple[Budget, ...]:
    """As the checker knows them."""
    limit = world.policies.compensation.limits.brand_per_day
    return tuple(Budget(name, spent, limit) for name, spent in world.store.budgets.items())
