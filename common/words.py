"""Between protobuf and Python: enum words, instants, durations."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _snake(name: str) -> str:
    return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(name)).upper()


@cache
def _words(enum: EnumDescriptor) -> tuple[Mapping[int, str], Mapping[str, int]]:
    prefix = _snake(enum.name) + "_"
    by_number = {v.number: v.name.removeprefix(prefix).lower() for v in enum.values}
    by_number[0] = ""
    return by_number, {word: number for number, word in by_number.items()}


def word_of(enum: EnumDescriptor, number: int) -> str:
    """`METRIC_FIRST_RESPONSE` → "first_response"; unspecified and unknown numbers → ""."""
    return _words(enum)[0].get(number, "")


def number_of(enum: EnumDescriptor, word: str) -> int:
    """The enum number of a word; "" is unspecified. Raises KeyError for an unknown word."""
    return _words(enum)[1][word]


def to_us(instant: datetime | None) -> int:
    """Microseconds since 1970; 0 for none."""
    return 0 if instant is None else (instant - EPOCH) // _MICROSECOND


def from_us(us: int) -> datetime | None:
    """Reverse of `to_us`."""
    return None if us == 0 else EPOCH + timedelta(microseconds=us)


def to_timestamp(instant: datetime | None) -> Timestamp | None:
    """A protobuf timestamp with microseconds, or None (an unset field)."""
    if instant is None:
        return None
    us = to_us(instant)
    return Timestamp(seconds=us // 1_000_000, nanos=us % 1_000_000 * 1000)


def from_timestamp(stamp: Timestamp) -> datetime | None:
    """An aware UTC instant; None for an unset (zero) timestamp. Raises ValueError out of Python's range."""
    if not stamp.seconds and not stamp.nanos:
        return None
    try:
        return EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
    except OverflowError as error:
        raise ValueError("timestamp out of range") from error


def to_duration(span: timedelta | None) -> Duration | None:
    """A protobuf duration, or None."""
    if span is None:
        return None
    us = span // _MICROSECOND
    seconds, rest = divmod(abs(us), 1_000_000)
    sign = -1 if us < 0 else 1
    return Duration(seconds=sign * seconds, nanos=sign * rest * 1000)


def from_duration(span: Duration) -> timedelta:
    """A timedelta; zero for an unset duration."""
    return timedelta(seconds=span.seconds, microseconds=span.nanos // 1000)


def rfc3339(instant: datetime) -> str:
    """`2026-11-22T12:00:00.000000Z`, always UTC."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
