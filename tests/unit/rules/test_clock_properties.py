"""The clock against a slow minute-by-minute model, over random lives and calendars."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules import clock
from rules.model import Calendar
from tests.unit.rules import slow_model
from tests.unit.rules.calendars import ALWAYS, BERLIN, BRAND, NIGHT, OFFICE, utc

MINUTE = slow_model.MINUTE
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
CALENDARS: list[Calendar] = [ALWAYS, OFFICE, NIGHT, BERLIN, BRAND]
STARTS = [utc("2026-03-02 03:00"), utc("2026-03-28 20:00"), utc("2026-10-24 22:00"), utc("2026-02-13 09:00")]

terms = st.builds(
    clock.Terms,
    st.integers(1, 600).map(lambda minutes: minutes * MINUTE),
    st.sampled_from(CALENDARS),
    st.sampled_from(["v1", "v2"]),
)
step = st.tuples(st.integers(0, 400), st.sampled_from(["pause", "resume", "retarget", "stop", "reopen"]), terms)


@st.composite
def lives(draw: st.DrawFn) -> clock.Segments:
    """A clock after up to six random changes in the order of time."""
    at = draw(st.sampled_from(STARTS))
    segments = clock.begin(at, draw(terms))
    for minutes, change, new in draw(st.lists(step, max_size=6)):
        at += minutes * MINUTE
        match change:
            case "pause":
                segments = clock.pause(segments, at)
            case "resume":
                segments = clock.resume(segments, at)
            case "retarget":
                segments = clock.retarget(segments, at, new)
            case "stop":
                segments = clock.stop(segments, at)
            case _:
                segments = clock.reopen(segments, at)
    return segments


@patient
@given(segments=lives(), minutes=st.integers(0, 3000))
def test_elapsed_equals_the_model(segments: clock.Segments, minutes: int) -> None:
    at = segments[0].start + minutes * MINUTE
    assert clock.elapsed(segments, at) == slow_model.elapsed(segments, at)


@patient
@given(segments=lives())
def test_the_deadline_equals_the_model(segments: clock.Segments) -> None:
    due_at = clock.deadline(segments)
    horizon = segments[-1].start + timedelta(days=12)
    slow = slow_model.deadline(segments, horizon)
    assert due_at == slow or (slow is None and due_at is not None and due_at > horizon)


@patient
@given(segments=lives())
def test_segments_are_contiguous_but_for_reopening_and_only_the_last_is_open(segments: clock.Segments) -> None:
    for before, after in pairwise(segments):
        assert before.end is not None
        assert before.start <= before.end <= after.start


@patient
@given(segments=lives(), minutes=st.integers(0, 2000))
def test_the_explanation_adds_up_to_elapsed(segments: clock.Segments, minutes: int) -> None:
    at = segments[0].start + minutes * MINUTE
    rows = clock.explain(segments, at)
    assert sum((row.counted for row in rows), timedelta()) == clock.elapsed(segments, at)
    assert not rows or rows[-1].elapsed == clock.elapsed(segments, at)


@patient
@given(segments=lives(), met=st.integers(0, 2000))
def test_met_in_time_exactly_if_no_deadline_was_reached_by_then(segments: clock.Segments, met: int) -> None:
    at = segments[0].start + met * MINUTE
    stopped = clock.stop(segments, at)
    due_at = clock.deadline(stopped)
    assert clock.met_in_time(segments, at) == (due_at is None or due_at > at)
    assert clock.elapsed(stopped, at + timedelta(days=3)) == clock.elapsed(segments, at)
