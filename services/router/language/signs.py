"""What rules see in a text, as words the model knows: keyword groups that hit, and how late a customer says it is."""

from collections.abc import Mapping
from datetime import timedelta

_HALF_HOUR, _TWO_HOURS = timedelta(minutes=30), timedelta(hours=2)


def signs_of(words: Mapping[str, list[str]], said_late: timedelta | None) -> tuple[str, ...]:
    """`words` as `Keywords.match` has found them, `said_late` as `lateness`."""
    signs = [f"words:{group}" for group in words]
    if said_late is not None:
        signs.append("late")
        signs += ["late:half_hour"] if said_late > _HALF_HOUR else []
        signs += ["late:two_hours"] if said_late > _TWO_HOURS else []
    return tuple(signs)
