"""Which benchmarks there are, and which of them are run."""

import pytest

from bench.growth import copy_of
from bench.suite import chosen

STAY = {
    *("intake_http", "intake_grpc", "router", "watchdog", "watchdog_lateness_p99_1m"),
    *("surge", "compensation", "classifier", "path_p99_seconds"),
}


def test_every_name_that_stays_is_measured_unasked_and_growth_is_not() -> None:
    names = {each.name for each in chosen([])}
    assert names >= STAY
    assert "growth" not in names
    assert [each.name for each in chosen(["growth"])] == ["growth"]


def test_the_path_goes_by_its_short_name_too() -> None:
    assert chosen(["path"]) == chosen(["path_p99_seconds"])


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no benchmark 'fast'; there are intake_http, "):
        chosen(["fast"])


def test_a_stored_ticket_is_copied_for_somebody_else_with_nothing_left_to_do() -> None:
    model = {
        "_id": "7K3M-9QXZ-4TPC-5",
        "customer_ref": "c",
        "customer_id": "",
        "order_id": "o",
        "claims": ["x"],
        "terms": ["t"],
        "outbox": [{"version": 1}],
        "waiting": 5,
        "next_action_at": 6,
        "status": "received",
    }
    one, other = copy_of(model), copy_of(model)
    assert set(one) == set(model) - {"waiting", "next_action_at"}
    assert (one["status"], one["customer_id"], one["outbox"]) == ("received", "", [])
    for unique in ("_id", "customer_ref", "order_id", "claims", "terms"):
        assert model[unique] != one[unique] != other[unique]
