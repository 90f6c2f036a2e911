"""Why this deadline, in words a supervisor understands."""

from datetime import timedelta

from rules.model import Metric
from services.sla.explain import ClockView, span, views
from tests.unit.sla.life import Life, at, chain, target


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
        "2026-03-02 20:00:00 to 2026-03-02 20:20:00: ran, 20 min counted, 20 min in all.",
        "2026-03-02 20:20:00 to 2026-03-02 20:50:00: paused, waiting for the customer.",
        "2026-03-02 20:50:00 to 2026-03-02 21:00:00: ran, 10 min counted, 30 min in all.",
        "2026-03-02 21:00:00 to 2026-03-02 21:40:00: resolved, not counted.",
        "2026-03-02 21:40:00 to now: ran, 10 min counted, 40 min in all.",
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
