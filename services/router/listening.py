"""Which changes of a ticket the watchdog answers to: the cross-check waits for its word on them. Pure.

It says so, with the ticket's version, where a clock starts (SlaArmed), gets other terms or an earlier start or goes on
after a resolution (SlaRetargeted), or stands still and runs again (SlaPaused, SlaResumed). What only ends clocks, or
touches none, is not waited for: the next change of this kind carries all facts again.
"""

from rules.courses import Course
from services.router.model import Ticket


def moves_clocks(before: Ticket, after: Ticket) -> bool:
    """Whether a clock that runs after the change started with it, or has another deadline by it."""
    known = {(course.metric, course.instance): course for course in before.facts.courses}
    lengths, previous = _lengths(after), _lengths(before)
    return any(
        _facts(known.get((course.metric, course.instance))) != _facts(course)
        or previous.get(course.metric) != lengths[course.metric]
        for course in after.facts.courses
        if course.is_open and course.metric in lengths
    )


def _lengths(ticket: Ticket) -> dict[object, tuple[object, ...]]:
    return {target.metric: (target.duration, target.calendar_hash) for target in ticket.targets}


def _facts(course: Course | None) -> tuple[object, ...] | None:
    return None if course is None else (course.start, course.pauses, course.gaps, course.is_open)
