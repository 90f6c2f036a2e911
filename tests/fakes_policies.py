"""The history of policies in memory, a folder of policies to edit, and how any history of policies behaves."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from common.errors import Unavailable
from services.router.model import Actor, ActorKind
from services.router.ports import Versions
from services.router.versions import Version
from tests.fakes_router import ROOT, START

SUPERVISOR = Actor(ActorKind.SUPERVISOR, "wang")


class FakeVersions:
    """`MongoVersions` in memory; several routers may share one."""

    def __init__(self) -> None:
        self.down = False
        self.rows: dict[tuple[str, int], Version] = {}
        self.done: set[tuple[str, int]] = set()

    def _answer(self) -> None:
        if self.down:
            raise Unavailable("the ticket database doesn't answer")

    async def prepare(self) -> None:
        self._answer()

    async def latest(self) -> dict[str, int]:
        self._answer()
        return dict(sorted(self.rows))

    async def get(self, brand: str, number: int) -> Version | None:
        self._answer()
        return self.rows.get((brand, number))

    async def by_hash(self, brand: str, policy_hash: str) -> Version | None:
        return self._newest(brand, lambda version: version.policy_hash == policy_hash)

    async def by_key(self, brand: str, key: str) -> Version | None:
        return self._newest(brand, lambda version: version.key == key) if key else None

    def _newest(self, brand: str, fits: "object") -> Version | None:
        self._answer()
        assert callable(fits)
        found = [row for (owner, _), row in sorted(self.rows.items()) if owner == brand and fits(row)]
        return found[-1] if found else None

    async def add(self, version: Version) -> bool:
        self._answer()
        return self.rows.setdefault((version.brand, version.number), version) == version

    async def history(self, brand: str, before: int, limit: int) -> list[Version]:
        self._answer()
        found = [row for (owner, number), row in sorted(self.rows.items()) if owner == brand]
        found = [row for row in reversed(found) if not before or row.number < before]
        return [replace(row, content=b"", files={}) for row in found[:limit]]

    async def unapplied(self, brand: str, number: int) -> bool:
        self._answer()
        return (brand, number) in self.rows and (brand, number) not in self.done

    async def applied(self, brand: str, number: int) -> None:
        self._answer()
        self.done.add((brand, number))


def version(number: int, policy_hash: str = "", key: str = "", brand: str = "default") -> Version:
    """An activation."""
    return Version(
        brand=brand,
        number=number,
        policy_hash=policy_hash or f"hash-{number}",
        content=b"{}",
        files={"sla.yaml": f"n: {number}", "brand.yaml": "key: default"},
        active_since=START + timedelta(minutes=number),
        actor=SUPERVISOR,
        reason="因为",
        disk="disk",
        key=key,
        request=f"request-{number}",
    )


async def behaves(versions: Versions) -> None:
    """What is asked of any history; starts with an empty one."""
    await versions.prepare()
    assert await versions.latest() == {}
    assert await versions.get("default", 1) is None
    first, second, other = version(1, key="k1"), version(2), version(1, brand="demo")
    assert [await versions.add(each) for each in (first, second, other)] == [True, True, True]
    # Once more is no harm; another one under the number is too late.
    assert await versions.add(first)
    assert not await versions.add(replace(second, reason="another"))
    assert await versions.latest() == {"default": 2, "demo": 1}
    assert await versions.get("default", 2) == second
    assert await versions.by_key("default", "k1") == first
    assert await versions.by_key("demo", "k1") is None
    assert await versions.by_key("default", "") is None
    again = version(3, policy_hash="hash-1")
    await versions.add(again)
    assert await versions.by_hash("default", "hash-1") == again
    assert await versions.by_hash("demo", "hash-2") is None
    assert [row.number for row in await versions.history("default", 0, 2)] == [3, 2]
    assert await versions.history("default", 2, 5) == [replace(first, content=b"", files={})]
    assert await versions.unapplied("default", 3)
    await versions.applied("default", 3)
    assert not await versions.unapplied("default", 3)
    assert await versions.unapplied("default", 2)


def policies_copy(to: Path) -> Path:
    """A copy of the shipped policies to edit, with few keywords: it is read again and again."""
    copy = Path(shutil.copytree(ROOT / "policies", to / "policies"))
    words = copy / "default" / "keywords.yaml"
    kept, items = [], 0
    for line in words.read_text(encoding="utf-8").splitlines():
        items = items + 1 if line.startswith("      - ") else 0
        if items <= 2:
            kept.append(line)
    words.write_text("\n".join(kept) + "\n", encoding="utf-8")
    return copy


def edit(root: Path, old: str, new: str, file: str = "default/sla.yaml") -> str:
    """Replaces the first `old` in a file; the whole new text."""
    path = root / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    changed = text.replace(old, new, 1)
    path.write_text(changed, encoding="utf-8")
    return changed
