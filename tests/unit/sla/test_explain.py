"""Why this deadline, in words a supervisor understands."""

from dataclasses import replace
from datetime import timedelta

from rules import courses
from rules.model import Calendar, Metric
from services.sla.explain import ClockView, span, views
from services.sla.model import InForce
from tests.unit.rules.calendars import NIGHT, OFFICE
from tests.unit.sla.life import EDITED, Life, at, chain, target


def explained(life: Life, metric: Metric, minute: float) -> ClockView:
    assert life.row is not None
    return next(v for v in views(life.row, at(minute), "Asia/Shanghai") if v.clock.metric is metric)


def life() -> Life:
    return Life(in_force=(target(Metric.FIRST_RESPONSE, 30, chain(0, 5)), target(Metric.RESOLUTION, 600)))


def test_a_pause_and_a_reopening_are_told_segment_by_segment() -> None:
    told = life()
    told.complaint()
    told.answered(10)
    told.paused(20)
    told.customer_wrote(50)
    told.resolved(60)
    told.reopened(100)
    view = explained(told, Metric.RESOLUTION, 110)
    assert (view.state, view.due_at, view.elapsed) == ("running", at(670), timedelta(minutes=40))
    assert view.sentences == (
        "Resolution within 10 h, counted round the clock, by policy ordinary (version 01234567).",
        "2026-03-02 20:00:00 to 2026-03-02 20:20:00: ran, 20 min counted round the clock, 20 min in all.",
        "2026-03-02 20:20:00 to 2026-03-02 20:50:00: paused, waiting for the customer.",
        "2026-03-02 20:50:00 to 2026-03-02 21:00:00: ran, 10 min counted round the clock, 30 min in all.",
        "2026-03-02 21:00:00 to 2026-03-02 21:40:00: resolved, not counted.",
        "2026-03-02 21:40:00 to now: ran, 10 min counted round the clock, 40 min in all.",
        "Due 2026-03-03 07:10:00.",
    )


def test_a_paused_clock_has_no_deadline() -> None:
    told = life()
    told.complaint()
    told.answered(10)
    told.paused(20)
    view = explained(told, Metric.RESOLUTION, 30)
    assert (view.state, view.due_at) == ("paused", None)
    assert view.sentences[-1] == "No deadline while it is paused."


def test_a_breach_tells_when_it_was_found_and_who_took_it_on() -> None:
    told = life()
    told.complaint()
    told.run_until(35)
    assert told.row is not None
    breach = explained(told, Metric.FIRST_RESPONSE, 36).breach
    assert breach is not None
    told.acknowledged(breach.id, 36)
    view = explained(told, Metric.FIRST_RESPONSE, 40)
    assert view.state == "breached"
    assert view.sentences[-4:] == (
        "Due 2026-03-02 20:30:00.",
        "Broken at 2026-03-02 20:30:00; found 0.000 s later.",
        "Escalated to level 2 of 2.",
        "Acknowledged by li at 2026-03-02 20:36:00.",
    )


def test_a_changed_target_is_told() -> None:
    told = life()
    told.complaint()
    told.retargeted(5, target(Metric.FIRST_RESPONSE, 10), target(Metric.RESOLUTION, 300))
    sentences = explained(told, Metric.FIRST_RESPONSE, 6).sentences
    changed = "2026-03-02 20:05:00: the target changed from 30 min to 10 min; the time used so far is kept."
    assert changed in sentences


def by(calendar: Calendar, minutes: float, policy: str = "ordinary") -> InForce:
    terms = target(Metric.RESOLUTION, minutes)
    hours = replace(terms.target, calendar=calendar.name, calendar_hash=calendar.hash)
    return replace(terms, target=hours, calendar=calendar, sla_policy=policy)


def test_each_segment_names_the_calendar_it_was_counted_by_and_a_change_of_calendar_is_told_as_that() -> None:
    told = Life(in_force=(target(Metric.RESOLUTION, 480),))
    told.complaint()
    told.retargeted(30, by(NIGHT, 480))
    told.retargeted(150, by(OFFICE, 480))
    assert explained(told, Metric.RESOLUTION, 180).sentences == (
        "Resolution within 8 h, counted in the hours of calendar office, by policy ordinary (version 01234567).",
        "2026-03-02 20:00:00 to 2026-03-02 20:30:00: ran, 30 min counted round the clock, 30 min in all.",
        "2026-03-02 20:30:00 to 2026-03-02 22:30:00: ran, 30 min counted in the hours of calendar night, 1 h in all.",
        "2026-03-02 22:30:00 to now: ran, 0 s counted in the hours of calendar office, 1 h in all.",
        "2026-03-02 20:30:00: counted in the hours of calendar night, no longer round the clock; "
        "the time used so far is kept.",
        "2026-03-02 22:30:00: counted in the hours of calendar office, no longer in the hours of calendar night; "
        "the time used so far is kept.",
        "Due 2026-03-03 17:00:00.",
    )


def test_edited_hours_of_the_same_calendar_are_told_as_that() -> None:
    told = Life(in_force=(by(OFFICE, 480),))
    told.complaint()
    told.event(1)
    told.retargeted(30, by(EDITED, 480))
    sentences = explained(told, Metric.RESOLUTION, 31).sentences
    changed = "2026-03-02 20:30:00: the hours of calendar office changed; the time used so far is kept."
    assert [s for s in sentences if "20:30:00: " in s and "ran" not in s] == [changed]


def test_a_change_of_policy_with_its_target_and_calendar_is_told_by_its_name() -> None:
    told = Life(in_force=(target(Metric.RESOLUTION, 480),))
    told.complaint()
    told.retargeted(30, by(OFFICE, 240, "red"))
    assert explained(told, Metric.RESOLUTION, 31).sentences[-4:] == (
        "2026-03-02 20:30:00: the target changed from 8 h to 4 h.",
        "2026-03-02 20:30:00: counted in the hours of calendar office, no longer round the clock; "
        "the time used so far is kept.",
        "2026-03-02 20:30:00: by policy red (version 01234567), no longer by policy ordinary (version 01234567).",
        "Due 2026-03-03 13:30:00.",
    )


def test_an_earlier_start_by_merging_is_told_as_that_and_not_as_a_change_of_target() -> None:
    told = Life(in_force=(target(Metric.RESOLUTION, 480),))
    told.complaint()
    told.courses = courses.merged_in(told.courses, courses.opened(at(-20)))
    told.event(5)
    assert explained(told, Metric.RESOLUTION, 60).sentences == (
        "Resolution within 8 h, counted round the clock, by policy ordinary (version 01234567).",
        "2026-03-02 19:40:00 to 2026-03-02 20:05:00: ran, 25 min counted round the clock, 25 min in all.",
        "2026-03-02 20:05:00 to now: ran, 55 min counted round the clock, 1 h 20 min in all.",
        "2026-03-02 20:05:00: counted from 2026-03-02 19:40:00, the earlier start of a ticket merged into it.",
        "Due 2026-03-03 03:40:00.",
    )


def test_a_promise_made_again_is_told_as_that() -> None:
    told = life()
    told.complaint()
    told.retargeted(5, target(Metric.RESOLUTION, 600))
    told.retargeted(9, target(Metric.FIRST_RESPONSE, 30), target(Metric.RESOLUTION, 600))
    assert explained(told, Metric.FIRST_RESPONSE, 10).sentences[-2:] == (
        "2026-03-02 20:09:00: counted from 2026-03-02 20:00:00, promised again.",
        "Due 2026-03-02 20:30:00.",
    )


def test_a_met_clock_shows_the_deadline_it_had() -> None:
    told = life()
    told.complaint()
    told.answered(10)
    view = explained(told, Metric.FIRST_RESPONSE, 100)
    assert (view.state, view.due_at, view.elapsed) == ("met", at(30), timedelta(minutes=10))
    assert view.sentences[-1] == "Met at 2026-03-02 20:10:00."


def test_spans_are_told_by_their_two_largest_parts() -> None:
    assert [span(timedelta(seconds=s)) for s in (0, 3.5, 60, 3665, 90061)] == [
        "0 s",
        "3.5 s",
        "1 min",
        "1 h 1 min",
        "25 h 1 min",
    ]
