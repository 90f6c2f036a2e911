"""The sample consumer's books: each promise once, whatever comes twice, in another order, or after a crash."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from examples.loyalty_consumer.consumer import Loyalty, headers_of
from examples.loyalty_consumer.settings import Settings, load
from examples.loyalty_consumer.store import Promise, Receipt, Store
from gen.pingxi.v1 import voucher_pb2 as pb
from gen.pingxi.v1.common_pb2 import Money

FIVE = Money(currency="CNY", amount_minor=500)


def issued(voucher_id: str = "v1", customer: str = "c1") -> pb.VoucherIssued:
    return pb.VoucherIssued(voucher_id=voucher_id, brand="default", customer_id=customer, amount=FIVE, reason="late")


def taken_back(voucher_id: str = "v1", second: int = 1) -> pb.VoucherReversed:
    return pb.VoucherReversed(
        voucher_id=voucher_id, brand="default", customer_id="c1", amount=FIVE, reversed_at=Timestamp(seconds=second)
    )


POINTS = pb.PointsGranted(grant_id="g1", brand="default", customer_id="c1", points=50, reason="satisfied")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "loyalty.sqlite3", frozenset({"closed"}))
    yield made
    made.close()


def answers(store: Store) -> list[str]:
    """What waits to be sent, which is then sent."""
    waiting = store.unsent()
    store.sent(waiting)
    return [receipt.kind for receipt in waiting]


def test_a_voucher_is_issued_once_and_answered_each_time_in_the_same_words(store: Store) -> None:
    store.apply(issued())
    [first] = store.unsent()
    store.sent([first])
    store.apply(issued())
    [again] = store.unsent()
    assert again == first
    assert store.balance("c1") == (500, 0)


def test_points_are_granted_once(store: Store) -> None:
    store.apply(POINTS)
    store.apply(POINTS)
    assert store.balance("c1") == (0, 50)
    assert answers(store) == []


def test_a_voucher_is_taken_back_before_it_is_redeemed(store: Store) -> None:
    for promise in (issued(), taken_back(), taken_back()):
        store.apply(promise)
    assert (store.state("v1"), store.balance("c1")) == ("reversed", (0, 0))
    assert answers(store) == ["VoucherRedeemable", "ReversalDone"]
    assert not store.redeem("v1", "o1")


def test_a_redeemed_voucher_is_not_taken_back_however_often_it_is_asked(store: Store) -> None:
    store.apply(issued())
    assert store.redeem("v1", "o1")
    assert not store.redeem("v1", "o2")
    store.apply(taken_back(second=1))
    store.apply(taken_back(second=2))
    assert store.state("v1") == "redeemed"
    assert answers(store) == ["VoucherRedeemable", "VoucherRedeemed", "ReversalRefused", "ReversalRefused"]


def test_a_reversal_that_comes_first_keeps_the_voucher_from_being_issued(store: Store) -> None:
    store.apply(taken_back())
    store.apply(issued())
    assert store.balance("c1") == (0, 0)
    assert answers(store) == ["ReversalDone"]


def test_a_closed_account_gets_no_voucher(store: Store) -> None:
    store.apply(issued(customer="closed"))
    store.apply(issued(customer="closed"))
    assert answers(store) == ["VoucherRejected"]
    assert store.balance("closed") == (0, 0)


def test_what_was_not_sent_before_a_crash_is_sent_after_it(tmp_path: Path) -> None:
    first = Store(tmp_path / "l.sqlite3")
    first.apply(issued())
    [waiting] = first.unsent()
    first.close()
    second = Store(tmp_path / "l.sqlite3")
    assert second.unsent() == [waiting]
    assert second.balance("c1") == (500, 0)
    second.close()


def record(body: Promise | bytes, kind: str | None = None, offset: int = 0) -> Any:
    value = body if isinstance(body, bytes) else body.SerializeToString()
    name = kind if kind is not None else f"pingxi.v1.{body.DESCRIPTOR.name}"  # type: ignore[union-attr]
    headers = [("ce_type", name.encode())] if name else []
    return ConsumerRecord("vouchers.v1", 0, offset, 0, 0, b"c1", value, 0, 1, 1, headers)


def test_messages_that_cannot_be_read_are_noted_and_the_others_go_on(store: Store) -> None:
    loyalty = Loyalty(Settings("", Path(), "", "", frozenset()), store)
    loyalty.apply(
        [
            record(b"\xff\xff\xff", "pingxi.v1.VoucherIssued", 1),
            record(b"", "", 2),
            record(b"", "elsewhere.Thing", 3),
            record(pb.VoucherIssued(brand="default"), offset=4),
            record(b"", "pingxi.v1.AddedLater", 5),
            record(issued(), offset=6),
        ]
    )
    noted = store._db.execute("select offset from unreadable order by offset").fetchall()
    assert [offset for (offset,) in noted] == [1, 2, 3, 4]
    assert store.balance("c1") == (500, 0)


def test_a_receipt_has_the_headers_of_the_contract() -> None:
    found = dict(headers_of(Receipt(1, "r1", "c1", "VoucherRedeemable", b"")))
    assert found["ce_type"] == b"pingxi.v1.VoucherRedeemable"
    assert (found["ce_id"], found["content-type"]) == (b"r1", b"application/protobuf")


def test_a_bad_address_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOYALTY_KAFKA", "nowhere")
    with pytest.raises(SystemExit, match="LOYALTY_KAFKA"):
        load()
    monkeypatch.setenv("LOYALTY_KAFKA", "broker:9092")
    monkeypatch.setenv("LOYALTY_CLOSED_ACCOUNTS", "c1,c2")
    assert load().closed_accounts == {"c1", "c2"}


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("issue"), st.sampled_from(["v1", "v2"])),
        st.tuples(st.just("reverse"), st.sampled_from(["v1", "v2"])),
        st.tuples(st.just("redeem"), st.sampled_from(["v1", "v2"])),
        st.tuples(st.just("points"), st.just("g1")),
    ),
    max_size=14,
)


@given(MOVES)
def test_whatever_comes_a_voucher_is_used_or_taken_back_but_never_both(moves: Sequence[tuple[str, str]]) -> None:
    store = Store(Path(":memory:"))
    used: set[str] = set()
    for move, which in moves:
        match move:
            case "issue":
                store.apply(issued(which))
            case "reverse":
                store.apply(taken_back(which))
            case "redeem":
                if store.redeem(which, "o1"):
                    assert which not in used
                    used.add(which)
            case _:
                store.apply(POINTS)
    kinds = {(getattr(pb, r.kind).FromString(r.body).voucher_id, r.kind) for r in store.unsent()}
    for voucher in ("v1", "v2"):
        assert not {(voucher, "VoucherRedeemed"), (voucher, "ReversalDone")} <= kinds
        assert (voucher in used) == (store.state(voucher) == "redeemed")
    assert store.balance("c1")[0] <= 1000
    store.close()
