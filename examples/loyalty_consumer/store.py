"""The loyalty system's own books, in SQLite: what an event does and what is answered are one transaction.

Whatever is applied twice changes nothing the second time, and is answered again in the same words. Receipts wait in an
outbox until the broker has them, so that a crash between the two loses none.
"""

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from gen.pingxi.v1 import voucher_pb2 as pb

State = Literal["issued", "redeemed", "rejected", "reversed"]
Promise = pb.VoucherIssued | pb.VoucherReversed | pb.PointsGranted

_SCHEMA = """
create table if not exists vouchers (
    id text primary key, brand text not null, customer text not null, currency text not null,
    amount_minor integer not null, reason text not null, state text not null,
    check (state in ('issued', 'redeemed', 'rejected', 'reversed'))
);
create table if not exists points (
    id text primary key, brand text not null, customer text not null, points integer not null, reason text not null
);
create table if not exists outbox (
    number integer primary key autoincrement, id text unique not null, key text not null, kind text not null,
    body blob not null, sent integer not null default 0
);
create table if not exists unreadable (
    topic text, partition integer, offset integer, reason text, primary key (topic, partition, offset)
);
"""


@dataclass(frozen=True)
class Receipt:
    """To be published on voucher-receipts.v1. `id` is the same for the same answer to the same question."""

    number: int
    id: str
    key: str
    kind: str
    body: bytes


class Store:
    """One connection; use it from one thread. `closed_accounts` get no vouchers."""

    def __init__(self, path: Path, closed_accounts: frozenset[str] = frozenset()) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._closed = closed_accounts
        self._db = sqlite3.connect(path, timeout=10.0)
        # Durable at commit: the offset is committed only after this.
        self._db.executescript("pragma journal_mode=wal; pragma synchronous=full;" + _SCHEMA)

    def close(self) -> None:
        """Releases the file."""
        self._db.close()

    def apply(self, promise: Promise) -> None:
        """Takes one message of vouchers.v1."""
        with self._db:
            match promise:
                case pb.VoucherIssued():
                    self._issue(promise)
                case pb.VoucherReversed():
                    self._reverse(promise)
                case pb.PointsGranted():
                    self._db.execute(
                        "insert or ignore into points values (?, ?, ?, ?, ?)",
                        (promise.grant_id, promise.brand, _customer(promise), promise.points, promise.reason),
                    )

    def redeem(self, voucher_id: str, order_id: str) -> bool:
        """The customer pays with it; False where it isn't there to be used."""
        with self._db:
            done = self._db.execute(
                "update vouchers set state = 'redeemed' where id = ? and state = 'issued'", (voucher_id,)
            )
            if done.rowcount == 0:
                return False
            brand, customer = self._db.execute(
                "select brand, customer from vouchers where id = ?", (voucher_id,)
            ).fetchone()
            receipt = pb.VoucherRedeemed(voucher_id=voucher_id, brand=brand, customer_id=customer, order_id=order_id)
            self._answer(receipt, customer)
            return True

    def state(self, voucher_id: str) -> State | None:
        """None for a voucher never heard of."""
        found = self._db.execute("select state from vouchers where id = ?", (voucher_id,)).fetchone()
        return found[0] if found else None

    def balance(self, customer: str) -> tuple[int, int]:
        """(minor units of vouchers that can be used, points) of a customer."""
        amount = self._db.execute(
            "select coalesce(sum(amount_minor), 0) from vouchers where customer = ? and state = 'issued'", (customer,)
        ).fetchone()[0]
        points = self._db.execute(
            "select coalesce(sum(points), 0) from points where customer = ?", (customer,)
        ).fetchone()[0]
        return int(amount), int(points)

    def unsent(self, most: int = 500) -> list[Receipt]:
        """Receipts the broker hasn't acknowledged, in the order they were given."""
        rows = self._db.execute(
            "select number, id, key, kind, body from outbox where sent = 0 order by number limit ?", (most,)
        )
        return [Receipt(*row) for row in rows.fetchall()]

    def sent(self, receipts: Sequence[Receipt]) -> None:
        """The broker has them."""
        with self._db:
            self._db.executemany("update outbox set sent = 1 where number = ?", [(r.number,) for r in receipts])

    def unreadable(self, topic: str, partition: int, offset: int, reason: str) -> None:
        """Notes a message that can't be used, for a person to look at; the partition goes on."""
        with self._db:
            self._db.execute("insert or ignore into unreadable values (?, ?, ?, ?)", (topic, partition, offset, reason))

    def _issue(self, voucher: pb.VoucherIssued) -> None:
        customer = _customer(voucher)
        state: State = "rejected" if customer in self._closed or not customer else "issued"
        # A reversal that came first has left its mark: then there is nothing to issue any more.
        self._insert(voucher, state)
        if self.state(voucher.voucher_id) == "rejected":
            why = "the account is closed" if customer else "no customer is named"
            self._answer(
                pb.VoucherRejected(
                    voucher_id=voucher.voucher_id, brand=voucher.brand, customer_id=voucher.customer_id, why=why
                ),
                customer,
            )
        elif self.state(voucher.voucher_id) in ("issued", "redeemed"):
            self._answer(
                pb.VoucherRedeemable(
                    voucher_id=voucher.voucher_id, brand=voucher.brand, customer_id=voucher.customer_id
                ),
                customer,
            )

    def _reverse(self, asked: pb.VoucherReversed) -> None:
        customer = _customer(asked)
        self._insert(asked, "reversed")
        self._db.execute(
            "update vouchers set state = 'reversed' where id = ? and state = 'issued'", (asked.voucher_id,)
        )
        if self.state(asked.voucher_id) == "redeemed":
            self._answer(
                pb.ReversalRefused(
                    voucher_id=asked.voucher_id, brand=asked.brand, customer_id=asked.customer_id, why="redeemed"
                ),
                customer,
                str(asked.reversed_at.ToMicroseconds()),
            )
        else:
            self._answer(
                pb.ReversalDone(voucher_id=asked.voucher_id, brand=asked.brand, customer_id=asked.customer_id),
                customer,
            )

    def _insert(self, voucher: pb.VoucherIssued | pb.VoucherReversed, state: State) -> None:
        self._db.execute(
            "insert or ignore into vouchers values (?, ?, ?, ?, ?, ?, ?)",
            (
                voucher.voucher_id,
                voucher.brand,
                _customer(voucher),
                voucher.amount.currency,
                voucher.amount.amount_minor,
                voucher.reason,
                state,
            ),
        )

    def _answer(self, body: Message, key: str, question: str = "") -> None:
        """Puts a receipt into the outbox; one that was given before is sent again as it was."""
        kind, voucher_id = body.DESCRIPTOR.name, body.voucher_id  # type: ignore[attr-defined]  # all receipts have it
        receipt_id = hashlib.sha256(f"{kind} {voucher_id} {question}".encode()).hexdigest()[:32]
        now = Timestamp()
        now.FromDatetime(datetime.now(UTC))
        body.at.CopyFrom(now)  # type: ignore[attr-defined]
        self._db.execute(
            "insert into outbox (id, key, kind, body) values (?, ?, ?, ?) on conflict (id) do update set sent = 0",
            (receipt_id, key, kind, body.SerializeToString()),
        )


def _customer(promise: Promise) -> str:
    return promise.customer_id or promise.customer_ref
