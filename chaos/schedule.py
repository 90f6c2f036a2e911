"""A seed → which faults come when, where and for how long. Pure: the same seed gives the same schedule."""

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """What may be done: to one of `targets`, for a time between `lasts` (seconds). `weight`: how often it is drawn."""

    name: str
    targets: tuple[str, ...]
    lasts: tuple[float, float] = (0.0, 0.0)
    weight: int = 1


@dataclass(frozen=True)
class Planned:
    """One fault of a run: `at` seconds after the load began. `seed` is for what the fault chooses itself."""

    number: int
    name: str
    target: str
    at: float
    lasts: float
    seed: int

    def __str__(self) -> str:
        what = f"{self.name} {self.target}".strip()
        return f"{what} {self.lasts:.1f} s" if self.lasts else what


def plan(kinds: Sequence[Kind], seed: int, seconds: float, most: int | None = None) -> list[Planned]:
    """Faults one after the other with time to recover in between, the first after 3 s; each kind comes before one
    comes twice where there is room. Every target of a kind is as likely.
    """
    chance = random.Random(seed)
    planned: list[Planned] = []
    bag: list[Kind] = []
    at = 3.0
    while at < seconds - 2.0 and (most is None or len(planned) < most):
        if not bag:
            bag = [kind for kind in kinds for _ in range(kind.weight)]
            chance.shuffle(bag)
        kind = bag.pop()
        lasts = chance.uniform(*kind.lasts)
        planned.append(
            Planned(len(planned) + 1, kind.name, chance.choice(kind.targets), at, lasts, chance.randrange(2**32))
        )
        at += lasts + chance.uniform(1.5, 4.5)
    return planned
