"""Contacts don't get into logs and reasons, and keys can be changed without losing anything."""

import json
import logging
import sys
from pathlib import Path

import pytest

from common.keys import load_keys, main, rotate
from common.logs import JsonFormatter
from common.masking import without_contacts
from deploy.local.keys import ensure_keys


@pytest.mark.parametrize(
    "contact",
    [
        "13800138000", "138 0013 8000", "138-0013-8000", "+8613800138000", "+86 138 0013 8000", "8613800138000",
        "+852 2345 6789", "+1 415-555-0100", "021-12345678", "wang.li+shop@example.com", "a@b.co.uk",
    ],
)  # fmt: skip
def test_what_looks_like_a_contact_is_hidden_in_a_text(contact: str) -> None:
    assert without_contacts(f"已致电{contact}，无人接听") == "已致电***，无人接听"
    assert without_contacts(f"called {contact}.") == "called ***."


@pytest.mark.parametrize(
    "text",
    [
        "7K3M-9QXZ-4TPC-5", "2026-11-22T12:00:00.123456Z", "offset 1234567", "order A-1001", "partition 11",
        "¥12,000.00",        "0af7651916cd43dd8448eb211c80319c", "12 个月", "@everyone", "1700000000000",
    ],
)  # fmt: skip
def test_what_is_no_contact_stays(text: str) -> None:
    assert without_contacts(text) == text


def test_a_log_line_has_no_contact_wherever_it_was_put() -> None:
    try:
        raise ValueError("no such person: 13800138000")
    except ValueError:
        failure = sys.exc_info()
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "can't reach %s", ("a@example.com",), failure)
    record.reason = "says +86 138 0013 8000"
    record.count = 13800138000
    line = JsonFormatter("intake").format(record)
    row = json.loads(line)
    assert row["message"] == "can't reach ***"
    assert row["reason"] == "says ***"
    assert "13800138000" not in row["error"]
    assert "no such person: ***" in row["error"]


def test_a_rotated_key_is_in_use_and_the_old_one_still_opens(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ensure_keys(path)
    sealed = load_keys(path).sealer().seal(b"x", "ticket")
    before = json.loads(path.read_text())
    assert main(["add", str(path)]) == 0
    assert load_keys(path).sealer().seal(b"x", "ticket")[0] == "k1"
    assert main(["use", str(path), "k2"]) == 0
    assert load_keys(path).sealer().seal(b"x", "ticket")[0] == "k2"
    assert main(["use", str(path), "k9"]) == 1
    assert rotate(path) == "k3"
    after = json.loads(path.read_text())
    sealer = load_keys(path).sealer()
    assert sealer.seal(b"x", "ticket")[0] == "k3"
    assert sealer.open(*sealed, "ticket") == b"x"
    assert path.stat().st_mode & 0o777 == 0o600
    assert {name: after[name] for name in before if name != "seal"} == {
        name: before[name] for name in before if name != "seal"
    }


def test_a_key_file_that_can_t_be_used_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("{}")
    assert main(["rotate", str(path)]) == 1
    assert main(["turn", str(path)]) == 2
    assert path.read_text() == "{}"
