"""Rows of deliveries.csv to facts. Pure.

Its columns are one word for each kind but one: of the weathers "cloudy" has none, of the traffic "high", of the days
Friday, of the orders "buffet".
"""

from collections.abc import Collection, Mapping
from math import isfinite, nan

from services.sla.risk.facts import ORDER_TYPES, TRAFFIC, WEATHER, RiskFacts

HOUR, DISTANCE, TAKEN = "OrderTime", "DeliveryDistance", "Time_taken(min)"
# Column → (lowest, highest); an empty cell says that it isn't known.
NUMBERS = {
    "Delivery_person_Age": (14.0, 100.0),
    "Delivery_person_Ratings": (0.0, 6.0),
    "Vehicle_condition": (0.0, 10.0),
    "multiple_deliveries": (0.0, 100.0),
    "Type_of_vehicle_scooter": (0.0, 1.0),
    "City_Urban": (0.0, 1.0),
}
WEATHERS = {
    "Weatherconditions_Fog": "fog",
    "Weatherconditions_Sandstorms": "sandstorm",
    "Weatherconditions_Stormy": "storm",
    "Weatherconditions_Sunny": "sun",
    "Weatherconditions_Windy": "wind",
}
TRAFFICS = {
    "Road_traffic_density_Jam": "jam",
    "Road_traffic_density_Low": "low",
    "Road_traffic_density_Medium": "medium",
}
TYPES = {"Type_of_order_Drinks": "drinks", "Type_of_order_Meal": "meal", "Type_of_order_Snack": "snack"}
DAYS = {
    "Order_Day_Monday": 0,
    "Order_Day_Tuesday": 1,
    "Order_Day_Wednesday": 2,
    "Order_Day_Thursday": 3,
    "Order_Day_Saturday": 5,
    "Order_Day_Sunday": 6,
}
FRIDAY = 4
NEEDED = (HOUR, DISTANCE, *NUMBERS, *WEATHERS, *TRAFFICS, *TYPES, *DAYS)


class BadCell(ValueError):
    """A cell that can't be read; says the column and why."""


def missing(header: Collection[str]) -> list[str]:
    """The columns that are needed and aren't there."""
    return [column for column in NEEDED if column not in header]


def facts_of(row: Mapping[str, str | None]) -> RiskFacts:
    """One row. Raises BadCell."""
    hour = _number(row, HOUR, 0, 23)
    distance = _number(row, DISTANCE, 0, 1000)
    if hour != hour or distance != distance:
        raise BadCell(f"column {HOUR if hour != hour else DISTANCE}: empty, but every promise needs it")
    if hour != int(hour):
        raise BadCell(f"column {HOUR}: {hour} isn't a whole hour")
    numbers = {column: _number(row, column, *bounds) for column, bounds in NUMBERS.items()}
    return RiskFacts(
        hour=hour,
        distance_km=distance,
        weekday=_one_of(row, DAYS, FRIDAY),
        weather=_one_of(row, {c: WEATHER.index(word) for c, word in WEATHERS.items()}, WEATHER.index("cloudy")),
        traffic=_one_of(row, {c: TRAFFIC.index(word) for c, word in TRAFFICS.items()}, TRAFFIC.index("high")),
        order_type=_one_of(row, {c: ORDER_TYPES.index(word) for c, word in TYPES.items()}, ORDER_TYPES.index("buffet")),
        scooter=numbers["Type_of_vehicle_scooter"],
        urban=numbers["City_Urban"],
        vehicle_condition=numbers["Vehicle_condition"],
        orders_at_once=numbers["multiple_deliveries"],
        courier_age=numbers["Delivery_person_Age"],
        courier_rating=numbers["Delivery_person_Ratings"],
    )


def _number(row: Mapping[str, str | None], column: str, lowest: float, highest: float) -> float:
    text = (row[column] or "").strip()
    if text.lower() in ("", "nan"):
        return nan
    try:
        value = float(text)
    except ValueError:
        raise BadCell(f"column {column}: {text[:40]!r} isn't a number") from None
    if not isfinite(value) or not lowest <= value <= highest:
        raise BadCell(f"column {column}: {text[:40]!r} isn't between {lowest:g} and {highest:g}")
    return value


def _one_of(row: Mapping[str, str | None], places: Mapping[str, int], otherwise: int) -> float:
    told = {column: _number(row, column, 0, 1) for column in places}
    if any(value != value for value in told.values()):
        return nan
    chosen = [column for column, value in told.items() if value]
    if len(chosen) > 1:
        raise BadCell(f"columns {' and '.join(chosen)}: only one of them can be 1")
    return float(places[chosen[0]] if chosen else otherwise)
