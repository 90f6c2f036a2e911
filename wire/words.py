"""The rules' enums to the contract's numbers and back. Unspecified, and numbers of a newer contract, are None."""

from enum import StrEnum
from typing import TypeVar

from google.protobuf.descriptor import EnumDescriptor

from common.words import number_of, word_of
from gen.pingxi.v1 import common_pb2 as pb
from rules.model import Category, Metric, Priority, Status

_E = TypeVar("_E", bound=StrEnum)


def _to(enum: EnumDescriptor, word: StrEnum | None) -> int:
    return number_of(enum, word.value if word else "")


def _from(kind: type[_E], enum: EnumDescriptor, number: int) -> _E | None:
    word = word_of(enum, number)
    return kind(word) if word else None


def category_to_proto(category: Category | None) -> pb.Category.ValueType:
    """None is CATEGORY_UNSPECIFIED."""
    return pb.Category.ValueType(_to(pb.Category.DESCRIPTOR, category))


def category_from_proto(number: int) -> Category | None:
    """None for unspecified or unknown."""
    return _from(Category, pb.Category.DESCRIPTOR, number)


def priority_to_proto(priority: Priority | None) -> pb.Priority.ValueType:
    """None is PRIORITY_UNSPECIFIED."""
    return pb.Priority.ValueType(_to(pb.Priority.DESCRIPTOR, priority))


def priority_from_proto(number: int) -> Priority | None:
    """None for unspecified or unknown."""
    return _from(Priority, pb.Priority.DESCRIPTOR, number)


def status_to_proto(status: Status | None) -> pb.Status.ValueType:
    """None is STATUS_UNSPECIFIED."""
    return pb.Status.ValueType(_to(pb.Status.DESCRIPTOR, status))


def status_from_proto(number: int) -> Status | None:
    """None for unspecified or unknown."""
    return _from(Status, pb.Status.DESCRIPTOR, number)


def metric_to_proto(metric: Metric | None) -> pb.Metric.ValueType:
    """None is METRIC_UNSPECIFIED."""
    return pb.Metric.ValueType(_to(pb.Metric.DESCRIPTOR, metric))


def metric_from_proto(number: int) -> Metric | None:
    """None for unspecified or unknown."""
    return _from(Metric, pb.Metric.DESCRIPTOR, number)
