"""A small town whose detector has learnt for some weeks, and what to put into it. All pure."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from bench.simulate import START, City, complaints
from rules.surges import SurgePolicy
from services.sla.surge.detector import Brand, take
from services.sla.surge.model import Change, Complaint, Counts, Effect, Incident, IncidentTold, Orders
from services.sla.surge.rules import Rules, compile_rules

RULES = compile_rules(SurgePolicy(), "UTC")
DAYS = 15
NOON = START + timedelta(days=DAYS, hours=12)
MINUTE = timedelta(minutes=1)


def small() -> City:
    """Three regions, thirty shops, 600 complaints a day."""
    return City(7, per_day=600.0, regions=3, merchants=30)


def us(at: datetime) -> int:
    return int(at.timestamp() * 1e6)


@dataclass
class Town:
    """A brand, its rules, and what it said so far."""

    brand: Brand
    rules: Rules = RULES
    offset: int = 1_000_000
    effects: list[Effect] = field(default_factory=list)

    def tell(self, *rows: Complaint) -> list[Effect]:
        """One message with these complaints."""
        numbered = tuple((self.offset + index, row) for index, row in enumerate(rows))
        self.offset += len(rows)
        return self.take(Counts("town", "tickets.v1/0", numbered))

    def take(self, counts: Counts) -> list[Effect]:
        found = take(self.brand, counts, self.rules)
        self.effects += found
        return found

    def each(self, rows: Iterable[Complaint]) -> None:
        """Each in a message of its own."""
        for row in rows:
            self.tell(row)

    def tick(self, at: datetime) -> list[Effect]:
        """Only time passes."""
        return self.take(Counts("town", "", as_of_us=us(at)))

    def orders(self, *rows: Orders) -> list[Effect]:
        """One message with these orders."""
        numbered = tuple((self.offset + index, row) for index, row in enumerate(rows))
        self.offset += len(rows)
        return self.take(Counts("town", "orders.v1/0", orders=numbered))

    def told(self, change: Change) -> list[Incident]:
        return [e.incident for e in self.effects if isinstance(e, IncidentTold) and e.change is change]

    @property
    def opened(self) -> list[Incident]:
        return self.told(Change.OPENED)


@cache
def _learnt() -> Brand:
    town = Town(Brand("town"), offset=0)
    town.each(complaints(small(), START, DAYS * 24 + 11))
    assert town.opened == [], "nothing happened in it"
    return town.brand


def learnt() -> Town:
    """As it is at 11 o'clock of a quiet day, after fifteen of them."""
    return Town(copy.deepcopy(_learnt()))


def rows(
    count: int,
    start: datetime = NOON,
    every: timedelta = timedelta(seconds=20),
    category: str = "product_quality",
    merchants: Sequence[str] = ("m3",),
    region: str = "r0",
    product: str = "",
    station: str = "",
    courier: str = "",
) -> list[Complaint]:
    """Complaints at a steady pace; merchants take turns."""
    return [
        Complaint(
            at_us=us(start + every * index),
            category=category,
            ticket=f"t-{category}-{merchants[0]}-{region}-{us(start)}-{index}",
            order=f"o-{merchants[0]}-{us(start)}-{index}",
            customer_id="c",
            customer_ref="c",
            region=region,
            station=station,
            merchant=merchants[index % len(merchants)],
            product=product,
            courier=courier,
        )
        for index in range(count)
    ]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
