"""What the risk of an order is judged by. Pure."""

from dataclasses import astuple, dataclass, fields
from math import nan

WEATHER = ("cloudy", "fog", "sandstorm", "storm", "sun", "wind")
TRAFFIC = ("low", "medium", "high", "jam")
ORDER_TYPES = ("buffet", "drinks", "meal", "snack")

# Words that order platforms use, beside ours. What isn't here is unknown, never guessed.
_WEATHER_WORDS = {
    **{word: word for word in WEATHER},
    "clouds": "cloudy",
    "overcast": "cloudy",
    "foggy": "fog",
    "haze": "fog",
    "sandstorms": "sandstorm",
    "stormy": "storm",
    "thunderstorm": "storm",
    "rain": "storm",
    "heavy_rain": "storm",
    "sunny": "sun",
    "clear": "sun",
    "windy": "wind",
}


@dataclass(frozen=True)
class RiskFacts:
    """One order as the model sees it; NaN: unknown. The fields are its features, in this order.

    `hour` 0–23 in the brand's time zone, `weekday` 0 (Monday) to 6, `distance_km` above 0. `weather`, `traffic` and
    `order_type` are places in the tuples above. `scooter`, `urban` are 0 or 1. `vehicle_condition` 0 (poor) to 2,
    `orders_at_once` what the courier carries besides, `courier_rating` 1–5, `courier_age` in years.
    """

    hour: float
    distance_km: float = nan
    weekday: float = nan
    weather: float = nan
    traffic: float = nan
    order_type: float = nan
    scooter: float = nan
    urban: float = nan
    vehicle_condition: float = nan
    orders_at_once: float = nan
    courier_age: float = nan
    courier_rating: float = nan

    def features(self, minutes: float) -> tuple[float, ...]:
        """The row the forest reads: these facts, and the minutes allowed."""
        return (*astuple(self), minutes)


FEATURES = (*(field.name for field in fields(RiskFacts)), "minutes")
# What `orders.v1` may tell; the rest is known only where a platform's own history is at hand.
KNOWN_TO_ORDERS = ("hour", "distance_km", "weekday", "weather", "traffic")
OF_COURIER = ("vehicle_condition", "orders_at_once", "courier_age", "courier_rating")


def weather_of(word: str) -> float:
    """A platform's word for the weather; NaN where it isn't one we know."""
    known = _WEATHER_WORDS.get(word.strip().lower())
    return nan if known is None else float(WEATHER.index(known))


def traffic_of(word: str) -> float:
    """A platform's word for the traffic; NaN where it isn't one we know."""
    word = word.strip().lower()
    return float(TRAFFIC.index(word)) if word in TRAFFIC else nan
