"""What stops a start is said in a sentence, before anything was started."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.local.ports import private_addresses
from deploy.local.settings import ROOT
from deploy.local.system import System


def run(local: Path, *arguments: str, **changes: str) -> tuple[int, str]:
    """`python -m deploy.local run …` that is expected to refuse: exit code and standard error."""
    environment: Mapping[str, str] = {**os.environ, **private_addresses(), "PINGXI_LOCAL": str(local), **changes}
    command = [sys.executable, "-m", "deploy.local", "run", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_a_taken_port_is_named_with_the_variable_that_changes_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        code, said = run(tmp_path, "--only", "kafka,outbox", PINGXI_OUTBOX=address)
    assert code == 1
    assert said == f"{address} is taken by another program, and outbox needs it; PINGXI_OUTBOX changes it.\n"
    assert list((tmp_path / "logs").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    # Under a file nobody can make a folder, not even root.
    (tmp_path / "file").touch()
    code, said = run(tmp_path / "file" / "local", "--only", "outbox")
    assert code == 1
    assert len(said.splitlines()) == 1
    assert f"{tmp_path}/file/local can't be written" in said
    assert "PINGXI_LOCAL" in said


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, said = run(tmp_path / "local", "--only", "kafka", PINGXI_CACHE=str(tmp_path / "file"))
    assert code == 1
    assert len(said.splitlines()) == 1
    assert "PINGXI_CACHE" in said


def test_a_second_run_on_the_same_folder_says_that_it_is_running(tmp_path: Path) -> None:
    with System(tmp_path, only=["outbox"]) as system:
        system.ready()
        code, said = run(tmp_path, "--only", "outbox")
        assert code == 1
        assert f"already running on {tmp_path} (process {system.pids('supervisor')})" in said
        assert system.pids("outbox")


@pytest.mark.parametrize(
    ("arguments", "changes", "code", "sentence"),
    [
        ((), {"PINGXI_SLA_GRPC": "8083"}, 2, "PINGXI_SLA_GRPC is '8083': expected host:port"),
        (("--only", "kafka,redis"), {}, 1, "There is no process 'redis' to start"),
    ],
)
def test_a_bad_value_and_an_unknown_name_are_refused(
    tmp_path: Path, arguments: tuple[str, ...], changes: dict[str, str], code: int, sentence: str
) -> None:
    assert run(tmp_path, *arguments, **changes)[0] == code
    assert sentence in run(tmp_path, *arguments, **changes)[1]


def test_systems_beside_each_other_get_different_ports() -> None:
    first, second = private_addresses(), private_addresses()
    assert set(first.values()).isdisjoint(second.values())
    assert len(set(first.values())) == len(first)
