"""Generates `gen/` from `protos/`: messages, type stubs and gRPC code.

`python -m protos.generate` rewrites `gen/` and the contract image that the breaking-change check compares with.
It refuses to record a breaking change. `generate_into(folder)` is what the freshness check uses.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
GEN = ROOT / "gen"
CONTRACT = PROTOS / "contract.binpb"

# Generated modules import each other by the proto package; here they live below `gen`.
_IMPORT = re.compile(r"^(from|import) pingxi\.v1", re.MULTILINE)


_ABSTRACT = re.compile(r"^ *@_?abc(?:_\d+)?\.abstractmethod\n|, ?metaclass=_?abc(?:_\d+)?\.ABCMeta", re.MULTILINE)


def tool(name: str) -> str:
    """Path of a command installed beside this interpreter."""
    return str(Path(sys.executable).parent / name)


def generate_into(folder: Path) -> None:
    """Writes all generated modules below `folder`. Raises CalledProcessError where protoc refuses."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = sorted(str(p.relative_to(PROTOS)) for p in (PROTOS / "pingxi").rglob("*.proto"))
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"--proto_path={PROTOS}",
            f"--plugin=protoc-gen-mypy={tool('protoc-gen-mypy')}",
            f"--plugin=protoc-gen-mypy_grpc={tool('protoc-gen-mypy_grpc')}",
            f"--python_out={folder}",
            f"--mypy_out=quiet:{folder}",
            f"--grpc_python_out={folder}",
            f"--mypy_grpc_out=quiet:{folder}",
            *sources,
        ],
        check=True,
    )
    for path in folder.rglob("*.py*"):
        if path.suffix in {".py", ".pyi"}:
            text = path.read_text()
            text = _IMPORT.sub(r"\1 gen.pingxi.v1", text)
            if path.suffix == ".pyi":
                # At run time no method of a servicer is abstract: what isn't overridden answers UNIMPLEMENTED.
                text = _ABSTRACT.sub("", text)
                text = text.replace("pingxi.v1.", "gen.pingxi.v1.").replace("gen.gen.", "gen.")
            path.write_text(text)
    for path in folder.rglob("*_pb2_grpc.py*"):
        if "Stub" not in path.read_text():
            # No service in that file.
            path.unlink()
    for package in (folder, folder / "pingxi", folder / "pingxi" / "v1"):
        (package / "__init__.py").write_text("")


def breaking_against(image: Path, root: Path = ROOT) -> bool:
    """Whether the protos below `root` break the contract in `image`; what breaks is printed by buf."""
    return subprocess.run([tool("buf"), "breaking", "--against", str(image)], cwd=root, check=False).returncode != 0


def main() -> int:
    """Regenerates everything; 1 where the protos break the recorded contract."""
    if CONTRACT.exists() and breaking_against(CONTRACT):
        print("The protos break the recorded contract: add a new field, message or version instead.", file=sys.stderr)
        return 1
    shutil.rmtree(GEN, ignore_errors=True)
    generate_into(GEN)
    subprocess.run([tool("buf"), "build", "-o", str(CONTRACT)], cwd=ROOT, check=True)
    print(f"generated {sum(1 for _ in GEN.rglob('*.py'))} modules into gen/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
