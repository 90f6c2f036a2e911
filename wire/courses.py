"""The promises under way, as the ticket's snapshot carries them."""

from collections.abc import Iterable

from common.words import from_timestamp, to_timestamp
from gen.pingxi.v1 import ticket_pb2 as pb
from rules.courses import Course, Courses, Interval
from wire.words import metric_from_proto, metric_to_proto


def _interval_to_proto(interval: Interval) -> pb.Interval:
    return pb.Interval(start=to_timestamp(interval.start), end=to_timestamp(interval.end))


def interval_from_proto(message: pb.Interval) -> Interval:
    """Raises ValueError without a start."""
    start = from_timestamp(message.start)
    if start is None:
        raise ValueError("an interval without a start")
    return Interval(start, from_timestamp(message.end))


def courses_to_proto(courses: Courses) -> list[pb.Course]:
    """All of them, in order."""
    return [
        pb.Course(
            metric=metric_to_proto(course.metric),
            instance=course.instance,
            started_at=to_timestamp(course.start),
            met_at=to_timestamp(course.met_at),
            pauses=[_interval_to_proto(i) for i in course.pauses],
            gaps=[_interval_to_proto(i) for i in course.gaps],
            over=course.over,
        )
        for course in courses
    ]


def courses_from_proto(messages: Iterable[pb.Course]) -> Courses:
    """Reverse of `courses_to_proto`; metrics of a newer contract are passed over. Raises ValueError without a start."""
    courses = []
    for message in messages:
        metric, start = metric_from_proto(message.metric), from_timestamp(message.started_at)
        if metric is None:
            continue
        if start is None:
            raise ValueError("a course without a start")
        courses.append(
            Course(
                metric=metric,
                instance=message.instance,
                start=start,
                met_at=from_timestamp(message.met_at),
                pauses=tuple(interval_from_proto(i) for i in message.pauses),
                gaps=tuple(interval_from_proto(i) for i in message.gaps),
                over=message.over,
            )
        )
    return tuple(courses)
