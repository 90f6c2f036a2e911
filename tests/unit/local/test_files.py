"""Keys, pins, journal and the guard's bookkeeping, on files only."""

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from deploy.local.files import LOG_LIMIT_BYTES, AlreadyRunning, RunFiles
from deploy.local.guard import groups_left
from deploy.local.jars import kafka_jars
from deploy.local.journal import Journal, JournalError
from deploy.local.keys import ensure_keys, generate


def test_keys_have_the_shape_of_the_interface_and_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    assert ensure_keys(path)
    keys = json.loads(path.read_text())
    assert set(keys) == {"channels", "desk", "service", "wechat", "seal", "secrets"}
    assert set(keys["wechat"]) == {"token", "aesKey", "appId"}
    assert set(keys["channels"]) == {"app", "miniprogram", "web", "hotline", "sms", "mail", "wechat"}
    assert set(keys["desk"]["supervisor"]) == {"user", "password"}
    assert len(base64.b64decode(keys["seal"]["keys"][keys["seal"]["current"]])) == 32
    assert {len(base64.b64decode(secret)) for secret in keys["secrets"].values()} == {32}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys.json"]


def test_keys_are_made_once_and_differ_between_installations(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ensure_keys(path)
    before = path.read_bytes()
    assert not ensure_keys(path)
    assert path.read_bytes() == before
    assert generate()["service"] != generate()["service"]


def test_every_jar_is_pinned_once() -> None:
    jars = kafka_jars()
    assert len({jar.file_name for jar in jars}) == len(jars) > 40
    assert all(len(jar.sha256) == 64 and jar.path.endswith(".jar") for jar in jars)
    assert any(jar.file_name == "kafka_2.13-4.1.1.jar" for jar in jars)


def test_one_supervisor_a_folder_and_a_crashed_one_is_no_obstacle(tmp_path: Path) -> None:
    first = RunFiles(tmp_path)
    first.take()
    first.write_pid("kafka", 12345)
    first.write_ready({})
    with pytest.raises(AlreadyRunning):
        RunFiles(tmp_path).take()
    assert RunFiles(tmp_path).is_held()
    assert first._lock
    first._lock.close()  # What the end of a process does, without the tidying up.

    second = RunFiles(tmp_path)
    assert not second.is_held()
    second.take()
    assert second.pid("kafka") is None
    assert not second.is_ready()
    second.release()
    assert second.pid("supervisor") is None


def test_a_big_log_is_put_aside_at_the_start(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    with open(logs / "kafka.log", "wb") as log:
        log.truncate(LOG_LIMIT_BYTES + 1)
    (logs / "mongo.log").write_text("short\n")
    files = RunFiles(tmp_path)
    files.take()
    files.release()
    assert sorted(path.name for path in logs.iterdir()) == ["kafka.log.1", "mongo.log"]


def test_the_guard_kills_what_was_added_and_not_removed() -> None:
    assert groups_left(["+1\n", "+2\n", "-1\n", "+3\n", "-9\n"]) == {2, 3}


def _message(key: str) -> dict[str, Any]:
    return {"idempotencyKey": key, "ticket": "T1", "text": "您好\u2028，", "recipient": "x"}


async def test_one_row_a_key_also_after_a_restart_and_a_torn_last_line(tmp_path: Path) -> None:
    path = tmp_path / "outbox.jsonl"
    journal = Journal(path)
    first, duplicate = await journal.add(_message("a"), "2026-01-01T00:00:00.000Z")
    assert not duplicate
    assert await journal.add(_message("a"), "2026-01-01T00:00:01.000Z") == (first, True)
    await journal.add(_message("b"), "2026-01-01T00:00:02.000Z")
    journal.close()
    path.write_bytes(path.read_bytes() + b'{"id": "msg_torn", "idempotencyKey": "c", "te')

    again = Journal(path)
    assert await again.add(_message("a"), "2026-01-01T00:00:03.000Z") == (first, True)
    assert (await again.add(_message("c"), "2026-01-01T00:00:04.000Z"))[1] is False
    rows = [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    assert [row["idempotencyKey"] for row in rows] == ["a", "b", "c"]
    assert await again.rows("T1") == rows
    assert await again.rows("T2") == []
    again.close()


async def test_a_damaged_line_in_the_middle_is_named_not_skipped(tmp_path: Path) -> None:
    path = tmp_path / "outbox.jsonl"
    path.write_text('{"id": "m", "idempotencyKey": "a"}\nnonsense\n')
    with pytest.raises(JournalError, match=r"outbox\.jsonl, line 2"):
        Journal(path)
