"""The process table and the decisions of the supervisor."""

from pathlib import Path

import pytest

from deploy.local.processes import Process, choose, missing_programs, next_delay, table, taken_ports
from deploy.local.settings import DEFAULT_ADDRESSES, ROOT, from_environ

SETTINGS = from_environ({}, Path("/"))
ROWS = table(SETTINGS)


def test_every_process_named_by_the_interface_is_in_the_table() -> None:
    assert [row.name for row in ROWS] == [
        *("kafka", "mongo", "topics", "outbox", "intake", "router", "sla", "notifier"),
    ]


def test_whatever_a_process_waits_for_is_in_the_table_before_it() -> None:
    for place, row in enumerate(ROWS):
        assert set(row.after) <= {earlier.name for earlier in ROWS[:place]}


def test_intake_starts_without_the_database() -> None:
    intake = next(row for row in ROWS if row.name == "intake")
    assert intake.after == ("topics",)


def test_every_address_belongs_to_one_process() -> None:
    listens = [variable for row in ROWS for variable in row.listens]
    desk = {"PINGXI_DESK_HTTP", "PINGXI_DESK_METRICS"}
    assert sorted(listens) == sorted({*DEFAULT_ADDRESSES, "PINGXI_MONGO"} - desk)


def test_a_backend_of_ones_own_is_not_started() -> None:
    rows = table(from_environ({"PINGXI_EMBEDDED": "mongo", "PINGXI_KAFKA": "kafka.example:9092"}, Path("/")))
    assert [row.name for row in rows][:2] == ["mongo", "topics"]


def test_only_keeps_the_order_of_the_table_and_brings_topics_for_services() -> None:
    assert [row.name for row in choose(ROWS, ["mongo", "kafka"])] == ["kafka", "mongo"]
    assert [row.name for row in choose(ROWS, ["intake", "kafka"])] == ["kafka", "topics", "intake"]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'kafak'.*kafka, mongo"):
        choose(ROWS, ["kafak"])


def test_a_taken_port_is_named_with_its_variable() -> None:
    sentences = taken_ports(ROWS, SETTINGS, lambda address: address != "127.0.0.1:8082")
    assert len(sentences) == 1
    assert "127.0.0.1:8082" in sentences[0]
    assert "PINGXI_ROUTER_GRPC" in sentences[0]


def test_a_process_whose_program_is_missing_is_named_with_the_way_around_it() -> None:
    rows = [Process("here", (), needs=ROOT / "Makefile"), Process("desk", (), needs=ROOT / "services/none.py")]
    assert missing_programs(rows) == [
        "desk has no program (services/none.py is missing); --only names what to start without it."
    ]


def test_a_dying_process_is_started_again_ever_more_slowly_until_it_was_stable() -> None:
    delays = [0.0]
    for uptime in (0.1, 0.1, 0.1, 9.9, 0.1, 0.1, 0.1):
        delays.append(next_delay(delays[-1], uptime))
    assert delays[1:] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert next_delay(5.0, uptime=10.0) == 0.2
