"""Dataclasses to canonical JSON values and back, by their type hints; and the content hash that names a version."""

import hashlib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any


def to_value(item: object) -> object:
    """A JSON value of a dataclass of this package. Durations become milliseconds, dates ISO text, enums their words.

    A field that has its default is left out, so that a field added later doesn't change the hash of older versions.
    """
    if is_dataclass(item):
        pairs = ((f, getattr(item, f.name)) for f in fields(item))
        return {f.name: to_value(value) for f, value in pairs if f.default is MISSING or value != f.default}
    if isinstance(item, Mapping):
        return {str(key): to_value(value) for key, value in item.items()}
    if isinstance(item, tuple):
        return [to_value(value) for value in item]
    if isinstance(item, timedelta):
        return item // timedelta(milliseconds=1)
    if isinstance(item, date):
        return item.isoformat()
    return item


def canonical(item: object) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8; equal bytes for equal data."""
    return json.dumps(to_value(item), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def content_hash(item: object) -> str:
    """The first 32 hex characters of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical(item)).hexdigest()[:32]


def from_value(hint: Any, value: Any) -> Any:
    """Inverse of `to_value` for the type `hint`.

    Raises ValueError, KeyError or TypeError when the value doesn't have the shape of the type.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType or origin is typing.Union:
        return None if value is None else from_value(next(a for a in arguments if a is not type(None)), value)
    if origin is tuple:
        return tuple(from_value(arguments[0], each) for each in value)
    if origin is Mapping:
        return {from_value(arguments[0], key): from_value(arguments[1], each) for key, each in value.items()}
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        known = {name: from_value(hints[name], value[name]) for name in value}
        return typing.cast(Any, hint)(**known)
    if hint is timedelta:
        return timedelta(milliseconds=value)
    if hint is date:
        return date.fromisoformat(value)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(value)
    if not isinstance(value, hint):
        raise TypeError(f"expected {hint.__name__}, found {type(value).__name__}")
    return value
