"""A city of complaints: seasons, ordinary variation, and causes put into it. The same seed is the same city.

    python -m bench.simulate --days 2 --cause merchant:10      one JSON a line: {at, category, region, …}; causes first

Used by tests, by the demo and by `python -m bench.surges`. What is ordinary here: hours of the day and days of the
week, shops that are open only in the morning or at night, rates that drift from week to week, new shops in mid-year,
busy and calm days (`daily` is the standard deviation of a category's day, `local` of a region's hour).
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.sla.surge.model import HOUR_US, Complaint, Dimension

Floats = NDArray[np.float64]
CATEGORIES = ("delivery", "product_quality", "missing_or_wrong", "price", "service_attitude", "system", "other")
_SHARES = (0.34, 0.22, 0.16, 0.08, 0.07, 0.05, 0.08)
# Weights of the hours: most shops, breakfast shops, night shops. Not the profile that policies start from.
_HOURS = (
    (6, 4, 2, 2, 2, 4, 10, 22, 30, 28, 45, 120, 160, 95, 50, 38, 52, 130, 190, 160, 100, 62, 34, 14),
    (0, 0, 0, 0, 4, 30, 120, 200, 160, 60, 10, 4, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    (120, 90, 60, 25, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 10, 30, 50, 80, 120, 160, 150),
)
_DAYS = (0.9, 0.88, 0.92, 0.97, 1.1, 1.2, 1.12)
START = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Cause:
    """What goes wrong: complaints of `category` at one value rise to `rise` times what it has at that hour.

    A value with less than `at_least` complaints an hour is taken to have so many, for ten times nearly nothing is
    nothing. `ramp`: how long it takes to rise.
    """

    dimension: Dimension
    value: str
    category: str
    start: datetime
    lasts: timedelta
    rise: float
    at_least: float = 0.5
    ramp: timedelta = timedelta(0)


@dataclass
class City:
    """Regions with stations and merchants, merchants with products. `per_day`: complaints on an average day."""

    seed: int
    per_day: float = 3000.0
    regions: int = 10
    merchants: int = 300
    products_each: int = 4
    stations_each: int = 4
    daily: float = 0.08
    local: float = 0.08
    drift: float = 0.08
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.rng = rng = np.random.default_rng(self.seed)
        self.region_of = rng.integers(0, self.regions, self.merchants)
        self.kind_of = rng.choice(3, self.merchants, p=(0.85, 0.09, 0.06))
        self.weights = rng.lognormal(0.0, 0.9, self.merchants)
        # The last twentieth of the shops opens in the course of a year.
        self.opens_day = np.zeros(self.merchants)
        late = self.merchants // 20
        self.opens_day[-late:] = rng.integers(20, 340, late)
        mix = rng.dirichlet(np.full(self.products_each, 1.5), self.merchants)
        self.mix = np.cumsum(mix, axis=1)
        hours = np.array(_HOURS, dtype=float)
        self.hours = hours / hours.mean(axis=1, keepdims=True)

    def merchant_rates(self, day: int, hour_of_day: int) -> Floats:
        """Relative rates of the shops at an hour, before ordinary variation."""
        rates: Floats = self.weights * self.hours[self.kind_of, hour_of_day] * (self.opens_day <= day)
        return rates

    def usual(self, dimension: Dimension, value: str, category: str, at: datetime) -> float:
        """Complaints an hour of a value on an average day, at that hour."""
        day, hour = (at - START).days, at.hour
        rates = self.merchant_rates(day, hour)
        scale = self.per_day / 24 / self.weights.sum() * _DAYS[at.weekday()] * _SHARES[CATEGORIES.index(category)]
        match dimension:
            case Dimension.ALL:
                part = rates.sum()
            case Dimension.REGION:
                part = rates[self.region_of == int(value[1:])].sum()
            case Dimension.STATION:
                part = rates[self.region_of == int(value[1:].split("-")[0])].sum() / self.stations_each
            case Dimension.MERCHANT:
                part = rates[int(value[1:])]
            case Dimension.PRODUCT:
                shop, product = map(int, value[1:].split("-"))
                part = rates[shop] * np.diff(self.mix[shop], prepend=0.0)[product]
        return float(part * scale)

    def some_value(self, dimension: Dimension, at: datetime, rng: np.random.Generator) -> str:
        """A value that is open at that hour; shops in proportion to their size."""
        rates = self.merchant_rates((at - START).days, at.hour)
        shop = int(rng.choice(self.merchants, p=rates / rates.sum()))
        region = int(self.region_of[shop])
        match dimension:
            case Dimension.ALL:
                return ""
            case Dimension.REGION:
                return f"r{region}"
            case Dimension.STATION:
                return f"s{region}-{rng.integers(self.stations_each)}"
            case Dimension.MERCHANT:
                return f"m{shop}"
            case Dimension.PRODUCT:
                return f"p{shop}-{rng.choice(self.products_each, p=np.diff(self.mix[shop], prepend=0.0))}"


def complaints(city: City, start: datetime, hours: int, causes: Sequence[Cause] = ()) -> Iterator[Complaint]:
    """The city's complaints in the order of time. A city object goes on where it was: make a new one to repeat."""
    rng = city.rng
    wander = np.ones(city.merchants)
    busy = np.ones(len(CATEGORIES))
    number = 0
    for step in range(hours):
        at = start + timedelta(hours=step)
        day, first_us = (at - START).days, _us(at)
        if step % 168 == 0:
            wander = np.clip(wander * rng.lognormal(0.0, city.drift, city.merchants), 0.5, 2.0)
        if step % 24 == 0:
            busy = rng.lognormal(0.0, city.daily, len(CATEGORIES))
        local = rng.lognormal(0.0, city.local, city.regions)
        rates = city.merchant_rates(day, at.hour) * wander * local[city.region_of]
        # Within the hour rates run on towards the next one's.
        after = city.merchant_rates(day, (at.hour + 1) % 24).sum()
        before = city.merchant_rates(day, (at.hour - 1) % 24).sum()
        total = rates.sum() * city.per_day / 24 / city.weights.sum() * _DAYS[at.weekday()]
        slope = (after - before) / (after + before + rates.sum() * 2) if total else 0.0
        edges = np.cumsum(rates)
        hour: list[tuple[int, str, int, str | None, int | None, str | None]] = []
        for index, category in enumerate(CATEGORIES):
            count = int(rng.poisson(total * _SHARES[index] * busy[index]))
            moments = _moments(rng, count, slope)
            shops = np.searchsorted(edges, rng.random(count) * edges[-1], side="right")
            hour += [
                (first_us + int(m), category, int(s), None, None, None) for m, s in zip(moments, shops, strict=True)
            ]
        for cause in causes:
            hour += _caused(city, cause, at, rates, rng)
        hour.sort(key=lambda row: row[0])
        for row in hour:
            number += 1
            yield _complaint(city, row, number, rng)


def _us(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000


def _moments(rng: np.random.Generator, count: int, slope: float) -> Floats:
    """Instants within an hour; more of them late in it where the rate climbs."""
    moments: Floats = rng.random(count)
    later = rng.random(count) < abs(slope)
    extra: Floats = rng.random(count)
    moments = np.where(later & (slope > 0), np.maximum(moments, extra), moments)
    moments = np.where(later & (slope < 0), np.minimum(moments, extra), moments)
    return moments * HOUR_US


_Row = tuple[int, str, int, "str | None", "int | None", "str | None"]


def _caused(city: City, cause: Cause, at: datetime, rates: Floats, rng: np.random.Generator) -> list[_Row]:
    """The complaints that a cause adds in this hour: (instant, category, shop, station, product, region)."""
    end = cause.start + cause.lasts
    if at >= end or at + timedelta(hours=1) <= cause.start:
        return []
    usual = max(city.usual(cause.dimension, cause.value, cause.category, at), cause.at_least)
    count = int(rng.poisson((cause.rise - 1.0) * usual))
    rows: list[_Row] = []
    for moment in np.sort(rng.random(count)) * HOUR_US:
        us = _us(at) + int(moment)
        since = (us - _us(cause.start)) / 1e6
        ramp = cause.ramp.total_seconds()
        if not 0 <= since < cause.lasts.total_seconds() or (ramp and rng.random() > since / ramp):
            continue
        shops = np.arange(city.merchants)
        station = product = region = None
        match cause.dimension:
            case Dimension.REGION:
                shops, region = shops[city.region_of == int(cause.value[1:])], cause.value
            case Dimension.STATION:
                where = int(cause.value[1:].split("-")[0])
                shops, station = shops[city.region_of == where], cause.value
            case Dimension.MERCHANT:
                shops = np.array([int(cause.value[1:])])
            case Dimension.PRODUCT:
                shop, number = map(int, cause.value[1:].split("-"))
                shops, product = np.array([shop]), number
        chances = rates[shops] + 1e-12
        chosen = int(rng.choice(shops, p=chances / chances.sum()))
        rows.append((us, cause.category, chosen, station, product, region))
    return rows


def _complaint(city: City, row: _Row, number: int, rng: np.random.Generator) -> Complaint:
    us, category, shop, station, product, _ = row
    region = int(city.region_of[shop])
    if station is None:
        station = f"s{region}-{rng.integers(city.stations_each)}"
    if product is None:
        product = int(np.searchsorted(city.mix[shop], rng.random(), side="right"))
        product = min(product, city.products_each - 1)
    return Complaint(
        at_us=us,
        category=category,
        ticket=f"t{number}",
        order=f"o{number}",
        customer_id=f"c{number}",
        customer_ref=f"c{number}",
        region=f"r{region}",
        station=station,
        merchant=f"m{shop}",
        product=f"p{shop}-{product}",
        courier=f"k{station[1:]}-{rng.integers(12)}",
    )


def row_of(complaint: Complaint) -> dict[str, Any]:
    """As it is printed."""
    at = datetime.fromtimestamp(complaint.at_us / 1e6, UTC).isoformat(timespec="milliseconds")
    names = ("category", "ticket", "order", "region", "station", "merchant", "product", "courier")
    return {"at": at, **{name: getattr(complaint, name) for name in names}}


def main() -> int:
    """Prints a city's complaints as JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=float, default=1.0)
    parser.add_argument("--per-day", type=float, default=3000.0, help="complaints on an average day")
    parser.add_argument(
        "--cause",
        action="append",
        default=[],
        metavar="DIMENSION:RISE",
        help="such as merchant:10; at noon of the last day",
    )
    args = parser.parse_args()
    city = City(args.seed, per_day=args.per_day)
    hours = max(1, round(args.days * 24))
    noon = START + timedelta(hours=(hours - 1) // 24 * 24 + 11)
    causes = []
    for text in args.cause:
        word, _, rise = text.partition(":")
        if word not in set(Dimension) or not rise.replace(".", "", 1).isdigit():
            parser.error(f"--cause {text}: expected one of {', '.join(Dimension)}, a colon and a number")
        dimension = Dimension(word)
        value = city.some_value(dimension, noon, np.random.default_rng(args.seed + 1))
        category = "system" if dimension is Dimension.ALL else "product_quality"
        causes.append(Cause(dimension, value, category, noon, timedelta(hours=2), float(rise)))
        print(json.dumps({"cause": word, "value": value, "category": category, "start": noon.isoformat()}))
    for complaint in complaints(city, START, hours, causes):
        print(json.dumps(row_of(complaint), ensure_ascii=False))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:
        sys.exit(0)
