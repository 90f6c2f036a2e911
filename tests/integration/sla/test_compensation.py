"""Compensation as it runs: real topics, a real database, a loyalty system of its own, and processes that die."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import grpc
import httpx
import pytest
from google.protobuf.message import Message as Proto
from prometheus_client import REGISTRY

from common.events import Outgoing
from common.ids import deterministic_id
from common.keys import load_keys
from common.words import to_timestamp
from deploy.local.settings import ROOT
from gen.pingxi.v1 import common_pb2, order_pb2, ticket_pb2, voucher_pb2
from gen.pingxi.v1 import compensation_pb2 as pb
from gen.pingxi.v1.compensation_pb2_grpc import CompensationServiceStub
from gen.pingxi.v1.complaint_pb2 import ComplaintSubmitted
from rules import courses
from services.sla.compensation.audit import Audit
from services.sla.compensation.store import LedgerStore
from services.sla.store import Database
from tests.integration.sla.world import POLICIES, Worker, World, world
from tests.waiting import CLOCK, eventually
from wire.courses import courses_to_proto

BRAND = "demo"
WANG = common_pb2.Actor(kind=common_pb2.Actor.KIND_SUPERVISOR, id="wang")
ZHAO = common_pb2.Actor(kind=common_pb2.Actor.KIND_SUPERVISOR, id="zhao")
LI = common_pb2.Actor(kind=common_pb2.Actor.KIND_AGENT, id="li")


def money(minor: int) -> common_pb2.Money:
    return common_pb2.Money(currency="CNY", amount_minor=minor)


@dataclass
class Market:
    """The world with orders, claims, and the calls of CompensationService."""

    world: World
    worker: Worker
    token: str

    async def put(self, topic: str, key: str, message_id: str, body: Proto) -> None:
        await self.world.publisher.publish(Outgoing(topic, key, message_id, key, CLOCK.now(), body), 20.0)

    async def order(
        self, order: str, customer: str = "c1", value: int = 90_000, merchant: str = "m1", *, late: bool = False
    ) -> None:
        """An order that is still on its way; `late`: ten seconds past its promised time."""
        now = CLOCK.now()
        promised_at = now + timedelta(seconds=-10 if late else 600)
        facts = order_pb2.OrderFacts(
            order_id=order,
            brand=BRAND,
            customer_id=customer,
            seq=1,
            merchant_id=merchant,
            value=money(value),
            promised_at=to_timestamp(promised_at),
            occurred_at=to_timestamp(now - timedelta(seconds=40)),
            identity_hashes=[f"phone-of-{customer}"],
        )
        await self.put("orders.v1", order, f"placed/{order}", order_pb2.OrderPlaced(order=facts))

    async def late(self, order: str) -> None:
        """As the watch over orders asks for it: where it does so too, this is a repeat."""
        bound = POLICIES[BRAND].compensation.rules[1].trigger.late_over
        assert bound is not None
        request_id = deterministic_id("order-late", BRAND, order, bound // timedelta(milliseconds=1))
        body = pb.CompensationRequested(
            request_id=request_id,
            brand=BRAND,
            trigger="order_late",
            order_id=order,
            cause_id=order,
            at=to_timestamp(CLOCK.now()),
        )
        await self.put("compensation-requests", order, request_id, body)

    async def resolved(self, complaint: ComplaintSubmitted, version: int, order: str, **change: Any) -> None:
        """A change of the ticket by an agent, as the router tells it."""
        now = CLOCK.now()
        facts = ticket_pb2.ClockFacts(
            acknowledged_at=complaint.acknowledged_at,
            courses=courses_to_proto(courses.answered(courses.routed(courses.opened(now), now), now)),
        )
        snapshot = ticket_pb2.TicketSnapshot(
            brand=BRAND,
            customer_id="c1",
            customer_ref="c1",
            order_id=order,
            priority=common_pb2.PRIORITY_NORMAL,
            policy_hash=complaint.policy_hash,
            promise=complaint.promise,
            targets=complaint.targets,
            clock_facts=facts,
        )
        ticket = complaint.ticket_id
        body = ticket_pb2.TicketEvent(
            event_id=f"{ticket}/{version}",
            ticket_id=ticket,
            version=version,
            occurred_at=to_timestamp(now),
            actor=LI,
            snapshot=snapshot,
            **change,
        )
        await self.put("tickets.v1", ticket, body.event_id, body)

    async def call(self, name: str, request: Any) -> Any:
        async with grpc.aio.insecure_channel(self.worker.grpc) as channel:
            method = getattr(CompensationServiceStub(channel), name)
            return await method(request, metadata=(("authorization", f"Bearer {self.token}"),), timeout=20)

    async def refused(self, name: str, request: Any) -> grpc.StatusCode:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await self.call(name, request)
        return error.value.code()

    async def rows(self, **asked: Any) -> list[pb.LedgerRow]:
        return list((await self.call("GetLedger", pb.GetLedgerRequest(brand=BRAND, page_size=500, **asked))).rows)

    async def until(self, order: str, state: str, outcome: str = "") -> pb.LedgerRow:
        """Waits until the order has a row in that state, and returns it."""
        found: list[pb.LedgerRow] = []
        wanted = pb.LedgerState.Value(f"LEDGER_STATE_{state.upper()}")

        async def there() -> bool:
            found[:] = [
                r for r in await self.rows(order_id=order) if r.state == wanted and r.outcome.startswith(outcome)
            ]
            return bool(found)

        await eventually(there, 40.0)
        return found[0]

    def vouchers(self) -> list[str]:
        """Distinct ids of vouchers."""
        return sorted({m.id for m, _ in self.world.seen if m.type == "VoucherIssued"})


@asynccontextmanager
async def market(kafka: str, mongo: str, unique: str, folder: Path) -> AsyncIterator[Market]:
    async with world(kafka, mongo, unique, folder) as w:
        yield Market(w, await w.start_worker(), load_keys(folder / "keys.json").service)


@asynccontextmanager
async def loyalty(w: World) -> AsyncIterator[asyncio.subprocess.Process]:
    """The sample consumer as a process; kill -9 at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "examples.loyalty_consumer", cwd=ROOT, env=loyalty_environment(w)
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()


def loyalty_environment(w: World) -> dict[str, str]:
    return {
        **os.environ,
        "LOYALTY_KAFKA": w.kafka,
        "LOYALTY_DATABASE": str(w.folder / "loyalty.sqlite3"),
        "LOYALTY_TOPIC_PREFIX": w.prefix,
    }


async def till(w: World, voucher: str) -> int:
    """A customer pays with a voucher."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "examples.loyalty_consumer",
        "redeem",
        voucher,
        "o-next",
        cwd=ROOT,
        env=loyalty_environment(w),
    )
    return await process.wait()


async def test_from_a_late_order_to_the_account_of_the_day(kafka: str, mongo: str, unique: str, tmp_path: Path) -> None:
    """A late order, an unknown one, a coupon, points, approvals, a reversal, and a loyalty system killed in between."""
    async with market(kafka, mongo, unique, tmp_path) as m:
        async with loyalty(m.world):
            await m.order("o1", late=True)
            await m.late("o1")
            first = await m.until("o1", "redeemable")
            assert first.fault_party == voucher_pb2.FAULT_PARTY_MERCHANT
            assert [change.state for change in first.history] == [1, 2, 3, 4]
        assert await till(m.world, first.ledger_id) == 0

        # Held until its order is known.
        await m.late("o2")
        assert (await m.until("o2", "held")).outcome == "order_unknown"
        await m.order("o2", "c2", late=True)
        second = await m.until("o2", "published")

        # An agent's coupon and a satisfied customer, from the ticket.
        await m.order("o3", "c1")
        complaint = m.world.complaint(text="送错了")
        ticket = complaint.ticket_id
        coupon = ticket_pb2.TicketResolved(resolution="coupon", currency="CNY", amount_minor=1500)
        await m.resolved(complaint, 1, "o3", resolved=coupon)
        await m.resolved(complaint, 1, "o3", resolved=coupon)
        third = await m.until("o3", "published")
        assert (third.amount.amount_minor, third.requested_by.id, third.ticket_id) == (1500, "li", ticket)
        await m.resolved(complaint, 2, "o3", rated=ticket_pb2.TicketRated(score=5, resolved=True))
        await m.world.until(ticket, "PointsGranted")

        # Above the tiers: one person, then two.
        await m.order("o4", "c4")
        held = (await m.call("Propose", proposal("o4", "c4", 3000))).row
        assert (held.state, held.outcome) == (pb.LEDGER_STATE_HELD, "needs_approval")
        approval = pb.ApproveRequest(
            ledger_id=held.ledger_id, expected_version=held.version, actor=WANG, idempotency_key="k1", comment="seen"
        )
        paid = (await m.call("Approve", approval)).row
        assert paid.state == pb.LEDGER_STATE_PUBLISHED
        assert (await m.call("Approve", approval)).row == paid, "a repeat answers the same"
        assert [actor.id for actor in paid.approvals] == ["wang"]

        async with loyalty(m.world):
            await m.until("o4", "redeemable")
            reversal = pb.ReverseRequest(
                ledger_id=held.ledger_id, actor=WANG, idempotency_key="k2", comment="by mistake"
            )
            assert (await m.call("Reverse", reversal)).row.state == pb.LEDGER_STATE_REVERSING
            await m.until("o4", "reversed")
            await m.until("o1", "redeemed")
            for order in ("o2", "o3"):
                await m.until(order, "redeemable")
            assert await m.refused("Reverse", pb.ReverseRequest(ledger_id=first.ledger_id, actor=WANG)) is (
                grpc.StatusCode.FAILED_PRECONDITION
            )

        day = CLOCK.now().astimezone(ZoneInfo("Asia/Shanghai")).date().isoformat()
        account = await m.call("Reconcile", pb.ReconcileRequest(brand=BRAND, day=day))
        amounts = {name: getattr(account, name).amount_minor for name in ("published", "redeemed", "reversed")}
        assert amounts == {"published": 500 + 500 + 1500 + 3000, "redeemed": 500, "reversed": 3000}
        assert account.redeemable.amount_minor == second.amount.amount_minor + 1500
        assert (account.pending.amount_minor, account.difference.amount_minor, account.vouchers) == (0, 0, 4)
        assert list(account.unmatched) == []
        faults = {share.fault_party: share.amount.amount_minor for share in account.by_fault}
        assert faults == {voucher_pb2.FAULT_PARTY_MERCHANT: 1000, voucher_pb2.FAULT_PARTY_NONE: 1500}
        assert len(m.vouchers()) == 4
        assert m.world.dead == []
        balance = sqlite3.connect(tmp_path / "loyalty.sqlite3")
        counted = balance.execute("select state, count(*) from vouchers group by state order by state").fetchall()
        balance.close()
        assert counted == [("issued", 2), ("redeemed", 1), ("reversed", 1)]


def proposal(order: str, customer: str, amount: int, key: str = "", actor: common_pb2.Actor = LI) -> pb.ProposeRequest:
    return pb.ProposeRequest(
        brand=BRAND,
        order_id=order,
        customer_id=customer,
        amount=money(amount),
        reason="cold_food",
        idempotency_key=key or f"p-{order}",
        actor=actor,
    )


async def test_what_people_ask_and_decide_is_checked(kafka: str, mongo: str, unique: str, tmp_path: Path) -> None:
    codes = grpc.StatusCode
    async with market(kafka, mongo, unique, tmp_path) as m:
        await m.order("o1", "c1")
        ask = proposal("o1", "c1", 25_000)

        async def placed() -> bool:
            return bool((await m.call("Propose", ask)).row.outcome != "order_unknown")

        # The order's facts come by their own topic; until then the proposal is held, and then released.
        await eventually(placed)
        row = (await m.call("Propose", ask)).row
        assert (row.outcome, row.reason) == ("cap_amount", "cold_food")
        assert await m.refused("Propose", proposal("o1", "c1", 1, key="p-o1")) is codes.ALREADY_EXISTS
        for wrong in (
            proposal("o1", "c1", 0, "k"),
            proposal("o1", "c1", 60_000, "k"),
            proposal("o1", "", 100, "k"),
            proposal("", "c1", 100, "k"),
            proposal("o1", "c1", 100, "k", common_pb2.Actor(kind=common_pb2.Actor.KIND_CUSTOMER, id="c1")),
            pb.ProposeRequest(brand="nobody"),
        ):
            assert await m.refused("Propose", wrong) is codes.INVALID_ARGUMENT

        decide = pb.ApproveRequest(ledger_id=row.ledger_id, actor=WANG, idempotency_key="a1")
        assert await m.refused("Approve", pb.ApproveRequest(ledger_id="nobody", actor=WANG)) is codes.NOT_FOUND
        assert await m.refused("Approve", pb.ApproveRequest(ledger_id=row.ledger_id)) is codes.INVALID_ARGUMENT
        by_agent = pb.ApproveRequest(ledger_id=row.ledger_id, actor=LI)
        assert await m.refused("Approve", by_agent) is codes.PERMISSION_DENIED
        stale = pb.ApproveRequest(ledger_id=row.ledger_id, actor=WANG, expected_version=99)
        assert await m.refused("Approve", stale) is codes.ABORTED
        once = (await m.call("Approve", decide)).row
        assert (once.state, once.outcome) == (pb.LEDGER_STATE_HELD, "needs_second_approval")
        again = pb.ApproveRequest(ledger_id=row.ledger_id, actor=WANG, idempotency_key="a2")
        assert await m.refused("Approve", again) is codes.FAILED_PRECONDITION
        twice = (await m.call("Approve", pb.ApproveRequest(ledger_id=row.ledger_id, actor=ZHAO))).row
        assert (twice.state, [a.id for a in twice.approvals]) == (pb.LEDGER_STATE_PUBLISHED, ["wang", "zhao"])

        other = (await m.call("Propose", proposal("o-unknown", "c9", 700))).row
        assert other.outcome == "order_unknown"
        denied = (
            await m.call("Reject", pb.RejectRequest(ledger_id=other.ledger_id, actor=WANG, comment="no order"))
        ).row
        assert (denied.state, denied.history[-1].why) == (pb.LEDGER_STATE_DENIED, "no order")

        for n in range(5):
            await m.call("Propose", proposal(f"x{n}", "c9", 100))
        token, seen = "", []
        while True:
            page = await m.call("GetLedger", pb.GetLedgerRequest(brand=BRAND, page_size=3, page_token=token))
            seen += [r.ledger_id for r in page.rows]
            token = page.next_page_token
            if not token:
                break
        assert len(seen) == len(set(seen)) == 7
        assert [r.ledger_id for r in await m.rows(states=[pb.LEDGER_STATE_DENIED])] == [denied.ledger_id]
        assert await m.refused("GetLedger", pb.GetLedgerRequest(page_token="?")) is codes.INVALID_ARGUMENT
        assert await m.refused("GetLedger", pb.GetLedgerRequest(page_size=9999)) is codes.INVALID_ARGUMENT
        assert await m.refused("GetLedger", pb.GetLedgerRequest(ledger_id="nobody")) is codes.NOT_FOUND
        assert await m.refused("Reconcile", pb.ReconcileRequest(brand=BRAND, day="today")) is codes.INVALID_ARGUMENT


async def test_killed_in_the_middle_and_replayed_everything_is_paid_once(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    count = 25
    async with market(kafka, mongo, unique, tmp_path) as m:
        for n in range(count):
            await m.order(f"o{n}", f"c{n}", merchant=f"m{n}", late=True)
            await m.late(f"o{n}")

        async def some() -> bool:
            return len(m.vouchers()) >= 3

        await eventually(some)
        await m.worker.kill()
        m.worker = await m.world.start_worker()

        async def all_of_them() -> bool:
            return len(m.vouchers()) == count and len(await m.rows(states=[pb.LEDGER_STATE_PUBLISHED])) == count

        await eventually(all_of_them, 60.0)
        ids = m.vouchers()
        # Another group begins at the beginning of every topic.
        m.worker = await m.world.start_worker("2", group="again")
        await m.order("last", "c-last", merchant="m-last", late=True)
        for order in [f"o{n}" for n in range(count)] + ["last"]:
            await m.late(order)
        await m.until("last", "published")
        assert set(ids) < set(m.vouchers())
        assert len(m.vouchers()) == count + 1
        database = Database(mongo)
        [row] = await m.rows(order_id="last")
        assert await LedgerStore(database).spent(row.charges.budgets[0]) == 500 * (count + 1)
        await database.close()


async def test_a_lost_database_pays_nothing_until_the_ledger_is_rebuilt_and_nothing_twice_after(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    async with market(kafka, mongo, unique, tmp_path) as m:
        async with loyalty(m.world):
            for n in range(4):
                await m.order(f"o{n}", f"c{n}", late=True)
                await m.late(f"o{n}")
                await m.until(f"o{n}", "redeemable")
        await m.late("unknown")
        await m.until("unknown", "held")
        before = {row.ledger_id: row for row in await m.rows()}
        ids = m.vouchers()
        await m.worker.stop()

        lost = Database(mongo)
        spent = await LedgerStore(lost).spent(before[ids[0]].charges.budgets[0])
        await lost.close()
        m.world.mongo = f"{mongo}new"
        m.worker = await m.world.start_worker("2", group="after", wait=False)

        async def waits() -> bool:
            async with httpx.AsyncClient() as http:
                try:
                    return "rebuild-ledger" in (await http.get(f"http://{m.worker.metrics}/readyz")).text
                except httpx.TransportError:
                    return False

        await eventually(waits, 60.0)
        # All requests wait for it from the beginning of the topic; a new one, too.
        await m.order("new", "c-new", late=True)
        await m.late("new")
        assert await m.rows() == []

        environment = {
            **os.environ,
            "PINGXI_KAFKA": kafka,
            "PINGXI_MONGO": m.world.mongo,
            "PINGXI_TOPIC_PREFIX": m.world.prefix,
        }
        for code in (0, 1):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.sla", "rebuild-ledger", cwd=ROOT, env=environment
            )
            assert await process.wait() == code, "a ledger that is there is never overwritten"
        await m.worker.ready()
        assert {row.ledger_id: row for row in await m.rows() if row.order_id != "new"} == before
        await m.until("new", "published")
        assert set(m.vouchers()) - set(ids) == {(await m.until("new", "published")).ledger_id}
        found = Database(m.world.mongo)
        store = LedgerStore(found)
        assert await store.spent(before[ids[0]].charges.budgets[0]) == spent + 500
        await found.close()


async def test_a_voucher_the_ledger_does_not_know_is_a_difference_that_calls_for_somebody(
    kafka: str, mongo: str, unique: str, tmp_path: Path
) -> None:
    policies = POLICIES[BRAND]
    async with world(kafka, mongo, unique, tmp_path) as w:
        database = Database(mongo)
        await database.prepare()
        audit = Audit(kafka, w.prefix, LedgerStore(database), CLOCK, POLICIES)
        now = CLOCK.now()
        foreign = voucher_pb2.VoucherIssued(
            voucher_id="foreign", brand=BRAND, customer_id="c1", amount=money(700), issued_at=to_timestamp(now)
        )
        for _ in range(2):
            await w.publisher.publish(Outgoing("vouchers.v1", "c1", "foreign", "t", now, foreign), 20.0)
        day = now.astimezone(ZoneInfo(policies.brand.time_zone)).date()
        totals = await audit.day(policies, day)
        assert (totals.published, totals.difference, totals.unmatched) == (700, 700, ("foreign",))
        assert (await audit.day(policies, day - timedelta(days=1))).vouchers == 0
        await audit.check(policies)
        told = {
            name: REGISTRY.get_sample_value(f"pingxi_reconciliation_{name}", {"brand": BRAND, "day": "today"})
            for name in ("difference_minor", "unmatched")
        }
        assert told == {"difference_minor": 700, "unmatched": 1}
        await database.close()


async def test_no_wrong_message_stops_compensation(kafka: str, mongo: str, unique: str, tmp_path: Path) -> None:
    async with market(kafka, mongo, unique, tmp_path) as m:
        await m.put("compensation-requests", "o1", "wrong-1", pb.CompensationRequested(request_id="r", brand=BRAND))
        await m.put("voucher-receipts.v1", "c1", "wrong-2", voucher_pb2.VoucherRedeemable(voucher_id="v", brand=BRAND))
        await m.put("orders.v1", "o1", "wrong-3", order_pb2.OrderPlaced())
        await m.order("o1", late=True)
        await m.late("o1")
        await m.until("o1", "published")

        async def buried() -> bool:
            # A wrong order is buried by each of its readers.
            return len({headers["topic"] for headers in m.world.dead}) == 3

        await eventually(buried)
        reasons = {headers["error"] for headers in m.world.dead}
        assert {reason.partition(":")[0] for reason in reasons} == {"missing_field", "unknown_voucher"}
