"""Words, times, ids, seals, settings, logs."""

import io
import json
import logging
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Poison
from common.gather import gather_bounded
from common.ids import deterministic_id
from common.logs import JsonFormatter
from common.sealing import Sealer
from common.settings import ServiceSettings, load_settings
from common.words import (
    from_duration,
    from_timestamp,
    from_us,
    number_of,
    rfc3339,
    to_duration,
    to_timestamp,
    to_us,
    word_of,
)
from gen.pingxi.v1 import common_pb2

INSTANTS = st.datetimes(datetime(1971, 1, 1), datetime(9000, 1, 1)).map(lambda d: d.replace(tzinfo=UTC))
KEYS = {"k1": b"1" * 32, "k2": b"2" * 32}


@given(INSTANTS)
def test_instants_survive_the_wire_to_the_microsecond(instant: datetime) -> None:
    stamp = to_timestamp(instant)
    assert stamp is not None
    assert from_timestamp(stamp) == instant
    assert from_us(to_us(instant)) == instant


@given(st.timedeltas(timedelta(days=-1000), timedelta(days=1000)))
def test_durations_survive_the_wire_to_the_microsecond(span: timedelta) -> None:
    message = to_duration(span)
    assert message is not None
    assert from_duration(message) == span


def test_no_instant_is_unset() -> None:
    assert to_timestamp(None) is None
    assert from_us(to_us(None)) is None


def test_an_instant_is_written_as_rfc_3339_in_utc() -> None:
    beijing = datetime.fromisoformat("2026-03-01T12:00:00+08:00")
    assert rfc3339(beijing) == "2026-03-01T04:00:00.000000Z"


@pytest.mark.parametrize("enum", [common_pb2.Category, common_pb2.Priority, common_pb2.Status, common_pb2.Metric])
def test_enum_words_go_both_ways(enum: object) -> None:
    descriptor = enum.DESCRIPTOR  # type: ignore[attr-defined]
    for value in descriptor.values:
        assert number_of(descriptor, word_of(descriptor, value.number)) == value.number
    assert word_of(descriptor, 999) == ""


def test_ids_depend_on_every_part_and_on_where_parts_end() -> None:
    assert deterministic_id("a", "b", 1) == deterministic_id("a", "b", 1)
    ids = {deterministic_id("a", "bc"), deterministic_id("a", "b", "c"), deterministic_id("ab", "c")}
    assert len(ids) == 3


def test_what_is_sealed_opens_with_its_key_also_after_a_rotation() -> None:
    key_id, sealed = Sealer("k1", KEYS).seal(b"+8613800001111", "ticket")
    assert b"138" not in sealed
    assert Sealer("k2", KEYS).open(key_id, sealed, "ticket") == b"+8613800001111"


@pytest.mark.parametrize(
    ("key_id", "bind", "flip", "reason"),
    [
        ("k1", "another", False, "seal_broken"),
        ("k1", "ticket", True, "seal_broken"),
        ("k9", "ticket", False, "unknown_seal_key"),
    ],
)
def test_a_seal_of_another_ticket_or_with_changed_bytes_does_not_open(
    key_id: str, bind: str, flip: bool, reason: str
) -> None:
    _, sealed = Sealer("k1", KEYS).seal(b"text", "ticket")
    if flip:
        sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    with pytest.raises(Poison) as poison:
        Sealer("k1", KEYS).open(key_id, sealed, bind)
    assert poison.value.reason == reason


def test_a_bad_setting_stops_the_start_with_the_variable_s_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PINGXI_LOG_LEVEL", "LOUD")
    with pytest.raises(SystemExit) as stopped:
        load_settings(ServiceSettings)
    assert stopped.value.code == 2
    assert "PINGXI_LOG_LEVEL" in capsys.readouterr().err


def test_logs_are_json_lines_with_listed_facts_only() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("test"))
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "said", None, None)
    record.ticket = "7K3M"
    record.contact = "+8613800001111"
    handler.emit(record)
    row = json.loads(stream.getvalue())
    assert (row["message"], row["ticket"], row["service"]) == ("said", "7K3M", "test")
    assert "138" not in stream.getvalue()


async def test_a_failure_among_many_is_raised_after_all_have_ended() -> None:
    ended = []

    async def work(number: int) -> int:
        ended.append(number)
        if number == 1:
            raise ValueError("second")
        return number

    assert await gather_bounded(2, [work(0), work(2)]) == [0, 2]
    with pytest.raises(ValueError, match="second"):
        await gather_bounded(1, [work(0), work(1), work(3)])
    assert ended[-1] == 3
    assert sys.version_info >= (3, 11)
