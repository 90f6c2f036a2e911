"""`make` needs Python 3.11 and nothing else: it says so, installs once, and heals what was interrupted."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local.bootstrap import BootstrapError, ensure
from deploy.local.settings import ROOT

SCRIPT = ROOT / "deploy" / "local" / "bootstrap.sh"


def bootstrap(path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the script with nothing on the PATH but that folder."""
    shell = shutil.which("sh") or "/bin/sh"
    return subprocess.run(
        [shell, str(SCRIPT)],
        env={"PATH": str(path), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def old_python(path: Path) -> Path:
    """A program that answers as a Python too old would: its version test fails."""
    program = path / "python3"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    return program


def test_a_wrong_python_that_was_named_is_refused_by_name(tmp_path: Path) -> None:
    program = old_python(tmp_path)
    done = bootstrap(tmp_path, PYTHON=str(program))
    assert done.returncode == 1
    assert done.stderr == f"PYTHON is {program}, which isn't Python 3.11 or newer. Pingxi needs one; PYTHON names it.\n"


def test_a_machine_with_only_an_old_python_gets_a_sentence(tmp_path: Path) -> None:
    old_python(tmp_path)
    done = bootstrap(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("No Python 3.11 or newer was found.")
    assert len(done.stderr.splitlines()) == 1


def test_an_environment_is_made_once_and_healed_when_its_making_was_interrupted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("# nothing\n")
    assert ensure(tmp_path) is True
    assert ensure(tmp_path) is False

    # What an install that was killed leaves behind: its mark, no stamp, perhaps half a package.
    venv = tmp_path / ".venv"
    (venv / "pingxi.unfinished").touch()
    (venv / "pingxi.lock.sha256").unlink()
    (venv / "half").touch()
    assert ensure(tmp_path) is True
    assert not (venv / "half").exists()
    assert ensure(tmp_path) is False

    # A changed lock is installed again; one that can't be installed is said, and tried again next time.
    lock.write_text("some-package-without-a-pin\n")
    for _ in range(2):
        with pytest.raises(BootstrapError, match=r"requirements\.lock couldn't be installed"):
            ensure(tmp_path)
    assert "Installing what requirements.lock names" in capfd.readouterr().out


def test_every_target_of_the_makefile_is_explained() -> None:
    done = subprocess.run(["make", "-s", "help"], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True)
    explained = {line.split()[1] for line in done.stdout.splitlines()}
    phony = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:"))
    assert explained == set(phony.split()[1:])
    assert {"demo", "test", "run", "stop", "check", "help"} <= explained
