"""What `make check` asks of the contracts: lint, no breaking change, `gen/` and the recorded contract fresh.

The breaking-change check compares with the contract of the last commit that touched it, so that a change can't hide
behind a refreshed record.
"""

import subprocess
import sys
import tempfile
from filecmp import dircmp
from pathlib import Path

from protos.generate import CONTRACT, GEN, ROOT, breaking_against, generate_into, tool


def committed_contract(folder: Path) -> Path | None:
    """The recorded contract as of HEAD, None where there is none yet (or no git)."""
    shown = subprocess.run(
        ["git", "show", f"HEAD:{CONTRACT.relative_to(ROOT)}"], cwd=ROOT, capture_output=True, check=False
    )
    if shown.returncode != 0:
        return None
    path = folder / "committed.binpb"
    path.write_bytes(shown.stdout)
    return path


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
        for contract in (committed_contract(folder), CONTRACT if CONTRACT.exists() else None):
            if contract is not None and breaking_against(contract):
                found.append("the protos break the committed contract (above): add, don't change")
                break
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
