"""What `make check` asks of the contracts: lint, no breaking change, `gen/` and the recorded contract fresh.

The breaking-change check compares with the record of the last commit that touched it and with the one before: in a
fresh clone the last one is today's, so only the one before can show that a change was hidden behind a refreshed record.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from filecmp import dircmp
from pathlib import Path

from protos.generate import CONTRACT, GEN, ROOT, breaking_against, generate_into, tool

RECORDS = 2


def _git(root: Path, *arguments: str) -> bytes | None:
    """What git answers, None where it can't (no git, no such commit)."""
    try:
        ran = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return ran.stdout if ran.returncode == 0 else None


def committed_contracts(folder: Path, root: Path = ROOT) -> list[Path]:
    """The records of the last two commits that changed the contract, the newest first, written into `folder`.

    One or none where the history known here (a shallow clone, no git) doesn't go back as far.
    """
    name = CONTRACT.relative_to(ROOT)
    # Along the first parents: what a merge brought in is one change, compared with what stood before the merge.
    listed = _git(root, "log", "-n", str(RECORDS), "--first-parent", "--format=%H", "HEAD", "--", str(name))
    found: list[Path] = []
    for place, commit in enumerate((listed or b"").decode().split()):
        shown = _git(root, "show", f"{commit}:{name}")
        if shown is not None:
            path = folder / f"committed-{place}.binpb"
            path.write_bytes(shown)
            found.append(path)
    return found


def broken(contracts: Sequence[Path], root: Path = ROOT) -> bool:
    """Whether the protos below `root` break any of the contracts; what breaks is printed by buf."""
    return bool([contract for contract in contracts if breaking_against(contract, root)])


def _differences(compared: dircmp[str]) -> list[str]:
    found = [*compared.left_only, *compared.right_only, *compared.diff_files]
    for name, below in compared.subdirs.items():
        found += [f"{name}/{each}" for each in _differences(below)]
    return [name for name in found if "__pycache__" not in name]


def problems() -> list[str]:
    """Every problem, as a sentence."""
    found: list[str] = []
    if subprocess.run([tool("buf"), "lint"], cwd=ROOT, check=False).returncode != 0:
        found.append("buf lint has complaints (above)")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        committed = committed_contracts(folder)
        if len(committed) < RECORDS:
            print("contracts: there is no older record here (a shallow clone, or no git), so none is compared with")
        if broken([*committed, *([CONTRACT] if CONTRACT.exists() else [])]):
            found.append("the protos break a committed contract (above): add, don't change")
        fresh = folder / "gen"
        generate_into(fresh)
        stale = _differences(dircmp(fresh, GEN))
        if stale:
            found.append(f"gen/ is stale, run `python -m protos.generate`: {', '.join(sorted(stale)[:5])}")
        image = folder / "fresh.binpb"
        subprocess.run([tool("buf"), "build", "-o", str(image)], cwd=ROOT, check=True)
        if not CONTRACT.exists() or CONTRACT.read_bytes() != image.read_bytes():
            found.append("protos/contract.binpb is stale, run `python -m protos.generate`")
    return found


def main() -> int:
    """Prints the problems; 1 if there are any."""
    found = problems()
    for problem in found:
        print(problem, file=sys.stderr)
    if not found:
        print("contracts: lint, compatibility and freshness are fine")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
