"""`python -m services.sla risk`: rows in, one JSON a line out, and what is said about a bad one."""

import io
import json
from collections.abc import Iterator

import pytest

from services.sla.risk.columns import DAYS, NEEDED, TRAFFICS, WEATHERS, facts_of
from services.sla.risk.command import BadInput, answers, main
from services.sla.risk.facts import ORDER_TYPES, TRAFFIC, WEATHER
from services.sla.risk.model import load_risk_model

MODEL = load_risk_model()
ROW = {
    **dict.fromkeys(NEEDED, "0"),
    "OrderTime": "19",
    "DeliveryDistance": "9.4",
    "Delivery_person_Age": "37.0",
    "Delivery_person_Ratings": "4.9",
    "Vehicle_condition": "2.0",
    "Weatherconditions_Fog": "1",
    "Road_traffic_density_Jam": "1",
    "Type_of_order_Meal": "1",
    "Order_Day_Saturday": "1",
}


def table(*rows: dict[str, str], columns: tuple[str, ...] = NEEDED) -> list[str]:
    return [",".join(columns) + "\n", *(",".join(row.get(c, "") for c in columns) + "\n" for row in rows)]


def test_each_row_is_answered_in_its_order() -> None:
    late = ROW | {"multiple_deliveries": "3.0", "Delivery_person_Ratings": "4.1", "Vehicle_condition": "0"}
    first, second = map(json.loads, answers(table(ROW, late), MODEL))
    assert set(first) == {"promised_minutes", "late_probability"}
    assert first["promised_minutes"] == second["promised_minutes"] > 0
    assert 0 <= first["late_probability"] < second["late_probability"] <= 1


def test_a_row_is_answered_before_the_next_is_read() -> None:
    header, row = table(ROW)

    def lines() -> Iterator[str]:
        yield header
        yield row
        raise AssertionError("read ahead")

    assert json.loads(next(answers(lines(), MODEL)))["promised_minutes"] > 0


def test_columns_may_come_in_any_order_with_others_beside_them() -> None:
    columns = ("Time_taken(min)", *reversed(NEEDED), "TypeOfMeal_Dinner", "")
    moved = list(answers(table(ROW | {"Time_taken(min)": "24.0"}, columns=columns), MODEL))
    assert moved == list(answers(table(ROW), MODEL))


def test_a_byte_order_mark_is_no_part_of_the_first_column() -> None:
    header, row = table(ROW)
    assert list(answers(["\ufeff" + header, row], MODEL)) == list(answers([header, row], MODEL))


@pytest.mark.parametrize("column", NEEDED)
def test_a_missing_column_is_named(column: str) -> None:
    lines = table(ROW, columns=tuple(c for c in NEEDED if c != column))
    with pytest.raises(BadInput, match=f"missing column {column}"):
        list(answers(lines, MODEL))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"DeliveryDistance": "far"}, "row 2, column DeliveryDistance: 'far' isn't a number"),
        ({"DeliveryDistance": "-3"}, "row 2, column DeliveryDistance: '-3' isn't between 0 and 1000"),
        ({"DeliveryDistance": "inf"}, "row 2, column DeliveryDistance"),
        ({"OrderTime": "24"}, "row 2, column OrderTime: '24' isn't between 0 and 23"),
        ({"OrderTime": "9.5"}, "row 2, column OrderTime: 9.5 isn't a whole hour"),
        ({"OrderTime": ""}, "row 2, column OrderTime: empty"),
        ({"DeliveryDistance": ""}, "row 2, column DeliveryDistance: empty"),
        ({"City_Urban": "yes"}, "row 2, column City_Urban"),
        ({"Weatherconditions_Windy": "1"}, "row 2, columns Weatherconditions_Fog and Weatherconditions_Windy"),
    ],
)
def test_a_bad_cell_is_named_with_its_row_after_the_rows_before_it(changed: dict[str, str], said: str) -> None:
    found = answers(table(ROW, ROW | changed, ROW), MODEL)
    assert next(found)
    with pytest.raises(BadInput) as error:
        next(found)
    assert str(error.value).startswith(said)


@pytest.mark.parametrize(("cut", "said"), [(1, "row 1: fewer cells"), (-1, "row 1: more cells")])
def test_a_row_of_another_length_is_named(cut: int, said: str) -> None:
    header, row = table(ROW)
    row = row.rstrip("\n").rsplit(",", 1)[0] if cut > 0 else row.rstrip("\n") + ",7"
    with pytest.raises(BadInput, match=said):
        list(answers([header, row], MODEL))


def test_no_header_is_said() -> None:
    with pytest.raises(BadInput, match="no header"):
        list(answers([], MODEL))


def test_a_column_that_comes_twice_is_named() -> None:
    with pytest.raises(BadInput, match="OrderTime comes more than once"):
        list(answers(table(ROW, columns=(*NEEDED, "OrderTime")), MODEL))


def test_what_a_platform_does_not_know_is_left_empty() -> None:
    unknown = {c: "" for c in ROW if c.startswith(("Delivery_person", "Vehicle", "multiple", "Weather"))}
    (answer,) = answers(table(ROW | unknown), MODEL)
    assert 0 < json.loads(answer)["late_probability"] < 1


def test_the_kind_without_a_column_is_meant_where_no_other_is_said() -> None:
    none = ROW | dict.fromkeys([*WEATHERS, *TRAFFICS, *DAYS, "Type_of_order_Meal"], "0")
    facts = facts_of(none)
    assert WEATHER[int(facts.weather)] == "cloudy"
    assert TRAFFIC[int(facts.traffic)] == "high"
    assert ORDER_TYPES[int(facts.order_type)] == "buffet"
    assert facts.weekday == 4


def test_the_command_ends_with_2_and_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    target = io.StringIO()
    assert main(io.StringIO("".join(table(ROW, ROW | {"OrderTime": "x"}))), target) == 2
    assert len(target.getvalue().splitlines()) == 1
    assert "row 2, column OrderTime" in capsys.readouterr().err
