"""Frozen dataclasses to documents of the database and back, by their type hints.

Instants and durations are whole microseconds (the database's own dates have milliseconds, and a clock fact must not
change by being stored); enums are their words. A field that a stored document doesn't have takes its default, so that
a new field needs no migration.
"""

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

from common.words import from_us, to_us

_MICROSECOND = timedelta(microseconds=1)


def to_document(item: Any) -> Any:
    """The value as the database keeps it."""
    if is_dataclass(item):
        return {f.name: to_document(getattr(item, f.name)) for f in fields(item)}
    if isinstance(item, datetime):
        return to_us(item)
    if isinstance(item, timedelta):
        return item // _MICROSECOND
    if isinstance(item, StrEnum):
        return item.value
    if isinstance(item, tuple):
        return [to_document(each) for each in item]
    if isinstance(item, Mapping):
        return {key: to_document(value) for key, value in item.items()}
    return item


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def from_document(hint: Any, value: Any) -> Any:
    """Inverse of `to_document` for the type `hint`; fields it doesn't know are passed over."""
    if is_dataclass(hint):
        hints = _hints(typing.cast(type, hint))
        known = {name: from_document(kind, value[name]) for name, kind in hints.items() if name in value}
        return typing.cast(Any, hint)(**known)
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        inner = next(each for each in typing.get_args(hint) if each is not type(None))
        return None if value is None else from_document(inner, value)
    if origin is tuple:
        inner = typing.get_args(hint)[0]
        return tuple(from_document(inner, each) for each in value)
    if origin is Mapping:
        return dict(value)
    if hint is datetime:
        return from_us(value)
    if hint is timedelta:
        return timedelta(microseconds=value)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(value)
    return value
