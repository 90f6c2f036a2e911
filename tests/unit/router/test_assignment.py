"""Who owns a ticket: by load and skill within its queue, among those at work."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from rules.model import Calendar
from rules.staff import Person, staff_of
from rules.words import Category
from services.router.assignment import Load, choose
from services.router.model import Ticket
from tests.fakes_router import START, complaint
from tests.unit.router.behaviour import opened
from tests.unit.rules.calendars import OFFICE

# 12:00 on a Friday in China: lunch.
LUNCH = START
AFTERNOON = START + timedelta(hours=2)
FOOD = opened(complaint(1, "饺子里有虫子")).ticket


def calendars(brand: str, name: str) -> Calendar | None:
    return OFFICE if name == "office" else None


def person(name: str, *skills: str, **changes: object) -> Person:
    made = Person(name, queues=("quality_control",), skills=skills)
    return replace(made, **changes)  # type: ignore[arg-type]


def chosen(*people: Person, ticket: Ticket = FOOD, loads: dict[str, Load] | None = None) -> str:
    found = choose(ticket, staff_of(people), loads or {}, calendars, AFTERNOON)
    return found.id if found else ""


def test_the_one_with_fewer_open_tickets() -> None:
    assert chosen(person("a"), person("b"), loads={"a": Load(2), "b": Load(1)}) == "b"


def test_who_knows_the_category_comes_before_who_has_less_to_do() -> None:
    assert FOOD.category is Category.FOOD_SAFETY
    assert chosen(person("a"), person("b", "food_safety"), loads={"b": Load(5)}) == "b"


def test_who_speaks_the_language_comes_before_who_doesnt_but_after_who_knows_the_category() -> None:
    english = replace(FOOD, locale="en")
    assert chosen(person("a"), person("b", "en"), ticket=english, loads={"b": Load(5)}) == "b"
    assert chosen(person("a", "food_safety"), person("b", "en"), ticket=english) == "a"


def test_skill_is_preferred_not_demanded() -> None:
    assert chosen(person("a", "price")) == "a"


def test_among_equals_who_has_been_idle_longest_then_the_lower_id() -> None:
    loads = {"a": Load(1, START), "b": Load(1, START - timedelta(minutes=1)), "c": Load(1, START)}
    assert chosen(person("c"), person("b"), person("a"), loads=loads) == "b"
    assert chosen(person("c"), person("a"), loads=loads) == "a"
    assert chosen(person("a"), person("z"), loads={"a": Load(0, START)}) == "z"


def test_nobody_beyond_his_capacity() -> None:
    full = person("a", capacity=2)
    assert chosen(full, loads={"a": Load(1)}) == "a"
    assert chosen(full, loads={"a": Load(2)}) == ""
    assert chosen(person("a"), loads={"a": Load(500)}) == "a"


def test_nobody_away_removed_of_another_queue_or_brand_and_no_auditor() -> None:
    others = (
        person("a", away=True),
        person("b", removed=True),
        person("c", queues=("legal",)),
        person("d", brands=("demo",)),
        person("e", role="auditor"),
    )
    assert chosen(*others) == ""
    assert chosen(*others, person("f", brands=("default",))) == "f"


def test_only_within_working_hours() -> None:
    people = staff_of([person("a", working_hours="office")])
    assert choose(FOOD, people, {}, calendars, LUNCH) is None
    assert choose(FOOD, people, {}, calendars, AFTERNOON) == people.person("a")


@given(st.permutations(["a", "b", "c", "d"]), st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_the_order_in_which_people_are_known_doesnt_matter(order: list[str], counts: list[int]) -> None:
    loads = {name: Load(count) for name, count in zip("abcd", counts, strict=True)}
    assert chosen(*map(person, order), loads=loads) == chosen(*map(person, "abcd"), loads=loads)
