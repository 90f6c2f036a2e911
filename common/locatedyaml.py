"""YAML whose values know where they were written, so that a problem can name its file and line."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong; `str()` is the line shown to people."""

    file: str
    line: int
    field: str
    expected: str
    found: str

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        return f"{self.file}:{self.line}: {field}expected {self.expected}, found {self.found}"


@dataclass(frozen=True)
class Place:
    """Where a value was written."""

    file: str
    line: int


class Located(dict[str, Any]):
    """A mapping that knows where it and its keys were written."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place, self.places = place, dict[str, Place]()


class Items(list[Any]):
    """A list that knows where it and its items were written."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place, self.places = place, list[Place]()


_DEEPEST = 20


class _CoreLoader(yaml.SafeLoader):
    """YAML 1.2's core words: `on`, `no` and 09:30 stay texts, dates too."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("int", r"-?[0-9]+", "-0123456789"),
    ("float", r"-?[0-9]+\.[0-9]+", "-0123456789"),
    ("null", r"~|null|", ["~", "n", ""]),
):
    _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


def read(path: Path, problems: list[Problem]) -> Located | None:
    """The mapping in a YAML file; what is wrong with its form goes to `problems`. None if it can't be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        problems.append(Problem(str(path), 1, "", "UTF-8 text", "other bytes"))
        return None
    return read_text(text, str(path), problems)


def read_text(text: str, file: str, problems: list[Problem]) -> Located | None:
    """As `read`, of a text that is said to be in `file`."""
    try:
        node = yaml.compose(text, Loader=_CoreLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problems.append(Problem(file, line, "", "valid YAML", str(error.problem)))
        return None
    except yaml.reader.ReaderError as error:
        problems.append(Problem(file, 1, "", "valid YAML", f"the character {error.character!r}"))
        return None
    if not isinstance(node, yaml.MappingNode):
        problems.append(Problem(file, 1, "", "a mapping", "nothing" if node is None else "something else"))
        return None
    value = _value(node, file, (), problems)
    assert isinstance(value, Located)
    return value


def _value(node: yaml.Node, file: str, path: tuple[str | int, ...], problems: list[Problem]) -> Any:
    place = Place(file, node.start_mark.line + 1)
    if len(path) > _DEEPEST:
        problems.append(Problem(file, place.line, field_text(path[:3]), f"at most {_DEEPEST} levels", "more"))
        return None
    if isinstance(node, yaml.SequenceNode):
        items = Items(place)
        for index, child in enumerate(node.value):
            items.append(_value(child, file, (*path, index), problems))
            items.places.append(Place(file, child.start_mark.line + 1))
        return items
    if isinstance(node, yaml.MappingNode):
        located = Located(place)
        for key_node, child in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in located:
                first = located.places[key].line
                problems.append(
                    Problem(file, line, field_text((*path, key)), "each key once", f"it on line {first} too")
                )
            located[key] = _value(child, file, (*path, key), problems)
            located.places[key] = Place(file, line)
        return located
    readers: dict[str, Callable[[str], Any]] = {
        "bool": lambda text: text == "true", "int": int, "float": float, "null": lambda _: None,
    }  # fmt: skip
    try:
        return readers.get(node.tag.rpartition(":")[2], str)(node.value)
    except ValueError:
        return str(node.value)


def merge(base: Any, own: Any) -> Any:
    """`own` over `base`: mappings key by key, lists of named items item by item, any other value as a whole.

    New items come before those of the base, so that a last row without condition stays last.
    """
    if isinstance(base, Located) and isinstance(own, Located):
        merged = Located(own.place)
        for key in (*base, *(key for key in own if key not in base)):
            merged[key] = (
                merge(base[key], own[key]) if key in base and key in own else (own if key in own else base)[key]
            )
            merged.places[key] = (own if key in own else base).places[key]
        return merged
    name = _item_name(base) if isinstance(base, Items) and isinstance(own, Items) else None
    if name is None or _item_name(own) != name:
        return own
    ours, known = {item[name]: index for index, item in enumerate(own)}, {item[name] for item in base}
    result = Items(own.place)
    for index, item in enumerate(own):
        if item[name] not in known:
            result.append(item)
            result.places.append(own.places[index])
    for index, item in enumerate(base):
        own_index = ours.get(item[name])
        result.append(item if own_index is None else merge(item, own[own_index]))
        result.places.append(base.places[index] if own_index is None else own.places[own_index])
    return result


def _item_name(items: Items) -> str | None:
    """The key that names the items of a list, if all of them have it."""
    for key in ("name", "level"):
        if items and all(isinstance(item, Located) and isinstance(item.get(key), str | int) for item in items):
            return key
    return None


def problem_at(document: Located, path: tuple[str | int, ...], expected: str) -> Problem:
    """The value at `path` isn't what was expected."""
    place, value = place_of(document, path), _at(document, path)
    if isinstance(value, dict | list):
        found = "a mapping" if isinstance(value, dict) else "a list" if value else "an empty list"
    else:
        found = json.dumps(value, ensure_ascii=False)
    return Problem(place.file, place.line, field_text(path), expected, found)


def place_of(document: Located, path: Sequence[str | int]) -> Place:
    """Where `path`, or the last part of it that exists, was written."""
    value: Any = document
    place = document.place
    for step in path:
        if isinstance(value, Located) and step in value:
            place, value = value.places[str(step)], value[str(step)]
        elif isinstance(value, Items) and isinstance(step, int) and step < len(value):
            place, value = value.places[step], value[step]
        else:
            break
    return place


def _at(document: Located, path: Sequence[str | int]) -> Any:
    value: Any = document
    for step in path:
        value = value[step]
    return value


def field_text(path: Sequence[str | int]) -> str:
    """`policies[1].targets.routing`"""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")
