"""Makes `.venv` at the root from `requirements.lock`: `sh deploy/local/bootstrap.sh`. Standard library only.

Installs again only when the lock has changed. An install that was interrupted is begun anew at the next run.
pip's own settings (index, mirror, proxy, find-links) apply.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class BootstrapError(Exception):
    """The environment can't be made; the message says why and what to do."""


def ensure(root: Path) -> bool:
    """True if something was installed, False if the environment was right already. Raises BootstrapError."""
    venv, lock = root / ".venv", root / "requirements.lock"
    stamp, unfinished = venv / "pingxi.lock.sha256", venv / "pingxi.unfinished"
    python = venv / "bin" / "python"
    # One at a time: two `make` in one checkout would install over each other.
    with open(lock, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        wanted = (
            f"{hashlib.file_digest(file, 'sha256').hexdigest()} {sys.version_info.major}.{sys.version_info.minor}\n"
        )
        if stamp.exists() and stamp.read_text() == wanted and _works(python):
            return False
        if unfinished.exists() or not _works(python):
            print(f"Making {venv} with Python {sys.version.split()[0]} …", flush=True)
            _call([sys.executable, "-m", "venv", "--clear", str(venv)], _VENV_FAILED)
        unfinished.touch()
        stamp.unlink(missing_ok=True)
        print("Installing what requirements.lock names (a minute or two, once) …", flush=True)
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        _call([*pip, "--require-hashes", "-r", str(lock)], _PIP_FAILED)
        stamp.write_text(wanted)
        unfinished.unlink()
    return True


_VENV_FAILED = "The virtual environment couldn't be made. On Debian and Ubuntu: apt-get install python3-venv."
_PIP_FAILED = (
    "The packages of requirements.lock couldn't be installed (see above). Without a network the first time, name a "
    "mirror or a folder in pip's own settings (PIP_INDEX_URL, PIP_FIND_LINKS); then run the same command again."
)


def _works(python: Path) -> bool:
    # A moved checkout or a removed system Python leaves an environment that can't start.
    try:
        test = "import pip, sys; sys.exit(sys.version_info < (3, 11))"
        done = subprocess.run([str(python), "-c", test], capture_output=True, check=False)
        return done.returncode == 0
    except OSError:
        return False


def _call(command: list[str], sentence: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")}
    if subprocess.run(command, env=environment, check=False).returncode != 0:
        raise BootstrapError(sentence)


def main() -> int:
    """Exit code 1 with one sentence where it can't be done."""
    try:
        ensure(ROOT)
    except (BootstrapError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
