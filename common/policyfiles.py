"""Reads `policies/<brand>/*.yaml` and says everything that is wrong: file, line, what was expected, what was found.

    python -m common.policyfiles policies        prints "OK …" or the problems, one a line, and then exits 1

A brand with `extends: other` in its brand.yaml says only what differs (docs/policies.md).
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource

from common.locatedyaml import Items, Located, Problem, field_text, merge, place_of, problem_at, read, read_text
from rules.checks import check
from rules.codec import canonical, from_value
from rules.documents import policy_set
from rules.model import PolicySet

DOCUMENTS = ("brand", "calendars", "sla", "routing", "keywords", "compensation", "surge", "orders", "answers")
# A brand without these has their defaults; without answers no machine answers.
OPTIONAL = ("surge", "orders", "answers")
SCHEMAS = Path(__file__).resolve().parent.parent / "policies" / "schema"


class PolicyError(Exception):
    """The policies can't be used; `problems` holds every reason, sorted by file and line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))


class Source(Protocol):
    """Where the files of brands are."""

    def names(self, brand: str) -> Sequence[str]:
        """The names of a brand's files ("sla.yaml"), sorted; none for a brand that isn't there."""
        ...

    def read(self, brand: str, name: str, problems: list[Problem]) -> Located | None:
        """One of them; what is wrong with its form goes to `problems`."""
        ...

    def place(self, brand: str, name: str) -> str:
        """What a problem calls it."""
        ...


class Folders:
    """`<root>/<brand>/*.yaml`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self, brand: str) -> Sequence[str]:
        return sorted(path.name for path in (self._root / brand).glob("*.yaml"))

    def read(self, brand: str, name: str, problems: list[Problem]) -> Located | None:
        return read(self._root / brand / name, problems)

    def place(self, brand: str, name: str) -> str:
        return str(self._root / brand / name)


# The files of one brand: name ("sla.yaml") → text.
Files = Mapping[str, str]


class Texts:
    """Files in memory, by brand; `place` says what a problem calls a file of a brand."""

    def __init__(self, brands: Mapping[str, Files], place: Callable[[str, str], str] = "{}/{}".format) -> None:
        self._brands = brands
        self.place = place

    def names(self, brand: str) -> Sequence[str]:
        return sorted(self._brands.get(brand, ()))

    def read(self, brand: str, name: str, problems: list[Problem]) -> Located | None:
        return read_text(self._brands[brand][name], self.place(brand, name), problems)


def texts_under(root: Path) -> dict[str, dict[str, str]]:
    """The files of every brand under `root`, by brand and name. Raises UnicodeDecodeError, OSError."""
    return {
        folder.name: {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))}
        for folder in _folders(root)
    }


def stamp(root: Path, *patterns: str) -> frozenset[tuple[str, int, int]]:
    """Changes whenever a file under `root` that fits a pattern does: names, times of change, sizes."""
    found = (path for pattern in patterns for path in root.glob(pattern))
    return frozenset((str(path), (state := path.stat()).st_mtime_ns, state.st_size) for path in found)


def _folders(root: Path) -> list[Path]:
    return sorted(f for f in root.glob("*/") if f.name not in ("schema", "templates") and any(f.glob("*.yaml")))


def load_all(root: Path, source: Source | None = None) -> dict[str, PolicySet]:
    """The policies of every brand under `root`, by key. Raises PolicyError with all problems of all brands.

    `source`: where they have been read already.
    """
    folders = _folders(root)
    if not folders:
        raise PolicyError([Problem(str(root), 1, "", "a folder for each brand", "none")])
    loaded, problems = {}, []
    for folder in folders:
        try:
            loaded[folder.name] = load_from(source or Folders(root), folder.name)
        except PolicyError as error:
            problems += error.problems
    if problems:
        raise PolicyError(problems)
    return loaded


def load_brand(folder: Path) -> PolicySet:
    """The policies of one brand. Raises PolicyError with every problem that could be found."""
    return load_from(Folders(folder.parent), folder.name)


def load_from(source: Source, brand: str) -> PolicySet:
    """As `load_brand`, from any source."""
    problems: list[Problem] = []
    documents = _documents(source, brand, problems, ())
    for name in DOCUMENTS:
        if name in documents:
            problems += _schema_problems(name, documents[name])
        elif name not in OPTIONAL and f"{name}.yaml" not in source.names(brand):
            problems.append(Problem(source.place(brand, f"{name}.yaml"), 1, "", "this file", "none"))
    if problems:
        raise PolicyError(problems)
    if documents["brand"]["key"] != brand:
        problems.append(problem_at(documents["brand"], ("key",), f"the folder's name {brand}"))
    compensation = documents["compensation"]
    problems += _currencies(compensation, (), compensation, documents["brand"]["currency"])
    policies = policy_set(documents)
    for finding in check(policies):
        place = place_of(documents[finding.document], finding.path)
        problems.append(Problem(place.file, place.line, field_text(finding.path), finding.expected, finding.found))
    if problems:
        raise PolicyError(problems)
    return policies


def to_json(policies: PolicySet) -> bytes:
    """Canonical JSON: what `policies.v1` carries, and what the hash is of."""
    return canonical(policies)


def from_json(data: bytes) -> PolicySet:
    """Inverse of `to_json`. Raises ValueError for anything else."""
    try:
        policies: PolicySet = from_value(PolicySet, json.loads(data))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a policy set: {error}") from error
    return policies


def _documents(source: Source, brand: str, problems: list[Problem], seen: tuple[str, ...]) -> dict[str, Located]:
    """The documents of a brand with those of the brand it extends merged in."""
    documents: dict[str, Located] = {}
    for file in source.names(brand):
        name = file.removesuffix(".yaml")
        if name not in DOCUMENTS or name == file:
            known = ", ".join(f"{name}.yaml" for name in DOCUMENTS)
            problems.append(Problem(source.place(brand, file), 1, "", f"one of {known}", file))
            continue
        document = source.read(brand, file, problems)
        if document is not None:
            documents[name] = document
            problems += _names_twice(document, (), document)
    base = documents["brand"].get("extends") if "brand" in documents else None
    if not isinstance(base, str):
        return documents
    if base in (*seen, brand) or "brand.yaml" not in source.names(base):
        what = "another brand's folder (without a circle)"
        problems.append(problem_at(documents["brand"], ("extends",), what))
        return documents
    inherited = _documents(source, base, problems, (*seen, brand))
    for name, document in inherited.items():
        documents[name] = merge(document, documents[name]) if name in documents else document
    return documents


@cache
def _validator(name: str) -> Draft202012Validator:
    contents = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS.glob("*.schema.json")}
    registry: Registry[Any] = Registry().with_resources(
        (file, Resource.from_contents(content)) for file, content in contents.items()
    )
    check_formats = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator(contents[f"{name}.schema.json"], registry=registry, format_checker=check_formats)


def _schema_problems(name: str, document: Located) -> Iterator[Problem]:
    for error in _validator(name).iter_errors(document):
        yield from _explain(error, document)


def _explain(error: ValidationError, document: Located) -> Iterator[Problem]:
    path = tuple(error.absolute_path)
    schema, rule = cast(dict[str, Any], error.schema), cast(Any, error.validator_value)
    if error.validator == "additionalProperties":
        known = list(schema.get("properties", {}))
        for key in cast(dict[str, Any], error.instance):
            if key not in known:
                close = get_close_matches(key, known, 1)
                hint = f"{close[0]} (one of {', '.join(known)})" if close else f"one of {', '.join(known)}"
                place = place_of(document, (*path, key))
                yield Problem(place.file, place.line, field_text((*path, key)), hint, f"the unknown key {key}")
    elif error.validator == "required":
        present = cast(dict[str, Any], error.instance)
        missing = next(key for key in rule if key not in present and f"'{key}'" in error.message)
        place = place_of(document, path)
        yield Problem(place.file, place.line, field_text((*path, missing)), "this key", "nothing")
    elif error.validator == "enum":
        yield problem_at(document, path, f"one of {', '.join(map(str, rule))}")
    elif error.validator == "type":
        yield problem_at(document, path, str(schema.get("description") or _TYPES.get(str(rule), str(rule))))
    else:
        limit = _LIMITS.get(str(error.validator))
        yield problem_at(document, path, limit.format(rule) if limit else str(schema.get("description") or rule))


_TYPES = {
    "string": "a text",
    "integer": "a whole number",
    "object": "a mapping",
    "array": "a list",
    "boolean": "true or false",
}
_LIMITS = {
    "minItems": "at least {} items",
    "uniqueItems": "each item once",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "maxLength": "at most {} characters",
    "minLength": "at least {} characters",
}


def _names_twice(value: Any, path: tuple[str | int, ...], document: Located) -> Iterator[Problem]:
    """Items of one list must not share their name."""
    if isinstance(value, Located):
        for key, child in value.items():
            yield from _names_twice(child, (*path, key), document)
    elif isinstance(value, Items):
        seen = set()
        for index, item in enumerate(value):
            yield from _names_twice(item, (*path, index), document)
            name = item.get("name") if isinstance(item, Located) else None
            if name in seen:
                yield problem_at(document, (*path, index, "name"), "a name that no other item has")
            if isinstance(name, str):
                seen.add(name)


def _currencies(value: Any, path: tuple[str | int, ...], document: Located, currency: str) -> Iterator[Problem]:
    """All money is in the brand's currency."""
    if isinstance(value, Located | Items):
        for key, child in value.items() if isinstance(value, Located) else enumerate(value):
            yield from _currencies(child, (*path, key), document, currency)
    elif path[-1] == "currency" and value != currency:
        yield problem_at(document, path, f"the brand's currency {currency}")


def main(arguments: Sequence[str]) -> int:
    """Check the folder named by the only argument; 0 if it is sound."""
    try:
        brands = load_all(Path(arguments[0] if arguments else "policies"))
    except PolicyError as error:
        print(error, file=sys.stderr)
        print(f"{len(error.problems)} problem(s)", file=sys.stderr)
        return 1
    print("OK " + ", ".join(f"{key} {policies.hash}" for key, policies in brands.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
