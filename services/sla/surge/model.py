"""What the surge detector is told, keeps and says. Counts live in buckets of event time, numbered from 1970."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

HOUR_US = 3_600_000_000
HOURS_OF_WEEK = 168


class Dimension(StrEnum):
    """By what complaints of one category are grouped."""

    ALL = "all"
    REGION = "region"
    STATION = "station"
    MERCHANT = "merchant"
    PRODUCT = "product"


# From the widest to the most specific; of two that explain the same, the later one is the better word for the cause.
DIMENSIONS = tuple(Dimension)


class Key(NamedTuple):
    """Names a series of counts within a brand; the value of `all` is empty."""

    category: str
    dimension: Dimension
    value: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """One complaint as far as surges are concerned; what isn't known is empty. `at_us`: when it was acknowledged."""

    at_us: int
    category: str
    ticket: str
    order: str = ""
    customer_id: str = ""
    customer_ref: str = ""
    region: str = ""
    station: str = ""
    merchant: str = ""
    product: str = ""
    courier: str = ""

    def value(self, dimension: Dimension) -> str:
        """What this complaint says in a dimension."""
        return "" if dimension is Dimension.ALL else str(getattr(self, dimension.value))


@dataclass(frozen=True, slots=True)
class Orders:
    """An order that was placed or delivered, as far as the region rule and the flags look at it."""

    at_us: int
    delivered: bool = False
    region: str = ""
    merchant: str = ""
    courier: str = ""
    products: tuple[str, ...] = ()


@dataclass(frozen=True)
class Counts:
    """What one source (a partition of an input topic) saw since its last message: each entry with its own offset.

    `as_of_us`: the present instant of a message that only says that time has passed.
    """

    brand: str
    source: str
    complaints: tuple[tuple[int, Complaint], ...] = ()
    orders: tuple[tuple[int, Orders], ...] = ()
    as_of_us: int = 0


@dataclass
class Incident:
    """One cause of many complaints. Instants are microseconds since 1970, 0: none.

    `key` may be put right while it is open; `window`: the buckets it was found in. `fresh`: tickets attached since the
    last version. `muted_us`: a person closed it; until then, or until the rate has been back, the same series opens no
    other. `over`: it only explains what is left of it in the windows.
    """

    id: str
    key: Key
    opened_us: int
    window: int
    version: int = 1
    closed_us: int = 0
    complaints: int = 0
    expected: float = 0.0
    updated_us: int = 0
    first_us: int = 0
    last_us: int = 0
    muted_us: int = 0
    over: bool = False
    minutes: dict[int, int] = field(default_factory=dict)
    merchants: dict[str, int] = field(default_factory=dict)
    products: dict[str, int] = field(default_factory=dict)
    couriers: dict[str, int] = field(default_factory=dict)
    samples: list[str] = field(default_factory=list)
    orders: dict[str, None] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)


class Change(StrEnum):
    """What became of an incident."""

    OPENED = "opened"
    UPDATED = "updated"
    CLOSED = "closed"


@dataclass(frozen=True)
class IncidentTold:
    """An incident is to be published as it is after `change`."""

    brand: str
    change: Change
    at_us: int
    incident: Incident
    why: str = ""


@dataclass(frozen=True)
class OrderAffected:
    """An order behind an incident's complaint: it may be owed something, once."""

    brand: str
    incident_id: str
    at_us: int
    complaint: Complaint


@dataclass(frozen=True)
class RouteSuggested:
    """Too large a share of a region's orders is complained about as late."""

    brand: str
    region: str
    at_us: int
    complaints: int
    orders: int


@dataclass(frozen=True)
class Flagged:
    """A merchant, product or courier whose complaint rate is credibly above its peers'."""

    brand: str
    dimension: str
    value: str
    week: int
    at_us: int
    rate: float
    peer_rate: float
    credibility: float


Effect = IncidentTold | OrderAffected | RouteSuggested | Flagged
Values = Mapping[str, int]
