"""A region whose delay complaints pass a tenth of its orders."""

from datetime import timedelta

from services.sla.surge.detector import Brand
from services.sla.surge.model import Orders, RouteSuggested
from tests.unit.sla.surge.town import MINUTE, NOON, Town, rows, us


def region(
    orders: int, complaints: int, category: str = "delivery", spread: timedelta = MINUTE
) -> list[RouteSuggested]:
    """So many orders and complaints of a region, a complaint each `spread`."""
    town = Town(Brand("town"), offset=0)
    town.orders(*[Orders(us(NOON), False, "r0") for _ in range(orders)])
    town.each(rows(complaints, NOON, every=spread, category=category, merchants=[f"m{n}" for n in range(20)]))
    return [effect for effect in town.effects if isinstance(effect, RouteSuggested)]


def test_eleven_of_a_hundred_suggest_another_routing_and_ten_do_not() -> None:
    [suggested] = region(100, 11)
    assert (suggested.region, suggested.complaints, suggested.orders) == ("r0", 11, 100)
    assert region(100, 10) == []


def test_one_of_five_and_four_of_thirty_are_too_few() -> None:
    assert region(5, 1) == []
    assert region(5, 5) == []
    assert region(30, 4) == []


def test_complaints_about_anything_else_do_not_count() -> None:
    assert region(100, 30, category="price") == []


def test_complaints_and_orders_of_more_than_an_hour_ago_do_not_count() -> None:
    assert region(100, 14, spread=timedelta(minutes=10)) == []


def test_a_region_is_spoken_of_once_in_an_hour() -> None:
    town = Town(Brand("town"), offset=0)
    for hour in range(2):
        start = NOON + timedelta(hours=hour, minutes=hour * 10)
        town.orders(*[Orders(us(start), False, "r0") for _ in range(100)])
        town.each(rows(30, start, every=timedelta(seconds=30), category="delivery"))
    assert len([effect for effect in town.effects if isinstance(effect, RouteSuggested)]) == 2


def test_a_region_without_a_name_or_orders_is_left_alone() -> None:
    town = Town(Brand("town"), offset=0)
    town.orders(Orders(us(NOON), False, ""))
    town.each(rows(30, category="delivery"))
    assert not [effect for effect in town.effects if isinstance(effect, RouteSuggested)]
