"""sla.md, "Clock": worked scenarios, the times written out (UTC; `at("12:10")` is on 2 March 2026, a Monday)."""

from datetime import datetime, timedelta

import pytest

from rules import clock
from rules.model import Metric
from tests.unit.rules.calendars import ALWAYS, PLAIN, utc

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
HALF_HOUR = clock.Terms(30 * MINUTE, ALWAYS, "ordinary v1")
TEN = clock.Terms(10 * MINUTE, ALWAYS, "red v1")
DAY = clock.Terms(24 * HOUR, ALWAYS, "red v1")
TWO_DAYS = clock.Terms(48 * HOUR, ALWAYS, "ordinary v1")


def at(text: str) -> datetime:
    return utc(f"2026-03-02 {text}")


def test_the_deadline_is_the_first_instant_at_which_elapsed_reaches_the_target() -> None:
    segments = clock.begin(at("12:00"), HALF_HOUR)
    assert clock.deadline(segments) == at("12:30")
    assert clock.elapsed(segments, at("12:10")) == 10 * MINUTE


def test_a_breach_is_at_the_deadline_and_not_a_moment_before() -> None:
    segments = clock.begin(at("12:00"), HALF_HOUR)
    assert not clock.breached(segments, at("12:30") - timedelta(microseconds=1))
    assert clock.breached(segments, at("12:30"))


def test_a_paused_clock_has_no_deadline_and_counts_nothing() -> None:
    segments = clock.pause(clock.begin(at("12:00"), HALF_HOUR), at("12:10"))
    assert clock.deadline(segments) is None
    assert clock.elapsed(segments, at("18:00")) == 10 * MINUTE
    assert clock.paused(segments, at("13:00")) == 50 * MINUTE
    assert clock.paused_since(segments) == at("12:10")


def test_the_first_customer_message_resumes() -> None:
    segments = clock.resume(clock.pause(clock.begin(at("12:00"), HALF_HOUR), at("12:10")), at("13:00"))
    assert clock.deadline(segments) == at("13:20")
    assert clock.paused_since(segments) is None


def test_a_second_pause_or_resume_changes_nothing() -> None:
    running = clock.begin(at("12:00"), HALF_HOUR)
    waiting = clock.pause(running, at("12:10"))
    assert clock.pause(waiting, at("12:20")) == waiting
    assert clock.resume(running, at("12:20")) == running


def test_retarget_keeps_elapsed_time_and_the_new_target_applies_to_the_whole() -> None:
    segments = clock.retarget(clock.begin(at("12:00"), HALF_HOUR), at("12:05"), TEN)
    assert clock.deadline(segments) == at("12:10")
    assert not clock.by_retarget(segments)


def test_retarget_keeps_paused_time() -> None:
    segments = clock.pause(clock.begin(at("00:00"), TWO_DAYS), at("01:00"))
    segments = clock.resume(clock.retarget(segments, at("02:00"), DAY), at("04:00"))
    assert clock.deadline(segments) == utc("2026-03-03 03:00")
    assert clock.paused(segments, at("12:00")) == 3 * HOUR


def test_a_new_deadline_that_is_already_past_breaches_at_the_moment_of_the_change() -> None:
    segments = clock.retarget(clock.begin(at("12:00"), HALF_HOUR), at("12:20"), TEN)
    assert clock.deadline(segments) == at("12:20")
    assert clock.by_retarget(segments)


def test_a_pause_after_the_change_does_not_move_that_breach() -> None:
    segments = clock.retarget(clock.begin(at("12:00"), HALF_HOUR), at("12:20"), TEN)
    segments = clock.resume(clock.pause(segments, at("12:25")), at("12:28"))
    assert clock.deadline(segments) == at("12:20")


def test_equal_terms_are_no_change() -> None:
    segments = clock.begin(at("12:00"), HALF_HOUR)
    assert clock.retarget(segments, at("12:20"), HALF_HOUR) == segments


def test_a_recorded_breach_is_not_repeated_unless_the_deadline_moved_later() -> None:
    breached = clock.begin(at("12:00"), TEN)
    again = clock.Terms(10 * MINUTE, ALWAYS, "red v2")
    assert not clock.may_breach_again(clock.retarget(breached, at("12:20"), again), at("12:10"), at("12:20"))
    longer = clock.retarget(breached, at("12:20"), HALF_HOUR)
    assert clock.deadline(longer) == at("12:30")
    assert clock.may_breach_again(longer, at("12:10"), at("12:20"))


def test_a_longer_target_that_is_past_too_does_not_breach_again() -> None:
    later = clock.retarget(clock.begin(at("12:00"), TEN), at("13:00"), HALF_HOUR)
    assert not clock.may_breach_again(later, at("12:10"), at("13:00"))


def test_reopen_continues_with_the_time_it_had_used_and_the_time_resolved_is_not_counted() -> None:
    segments = clock.stop(clock.begin(at("00:00"), DAY), at("10:00"))
    assert clock.deadline(segments) is None
    segments = clock.reopen(segments, at("20:00"))
    assert clock.elapsed(segments, at("21:00")) == 11 * HOUR
    assert clock.deadline(segments) == utc("2026-03-03 10:00")


def test_after_resolve_nothing_runs() -> None:
    segments = clock.stop(clock.begin(at("00:00"), DAY), at("10:00"))
    assert clock.elapsed(segments, utc("2026-04-01 00:00")) == 10 * HOUR
    assert clock.pause(segments, at("11:00")) == segments
    assert clock.resume(segments, at("11:00")) == segments
    assert clock.retarget(segments, at("11:00"), TEN) == segments
    assert clock.warnings(segments, (80,)) == ()


def test_met_in_time_wins_however_late_the_event_arrives() -> None:
    segments = clock.begin(at("12:00"), TEN)
    assert clock.met_in_time(segments, at("12:09"))
    assert not clock.met_in_time(segments, at("12:10"))


def test_a_late_stop_takes_back_what_was_recorded_after_it() -> None:
    segments = clock.pause(clock.retarget(clock.begin(at("12:00"), HALF_HOUR), at("12:20"), TEN), at("12:25"))
    assert clock.stop(segments, at("12:09")) == clock.stop(clock.begin(at("12:00"), HALF_HOUR), at("12:09"))


def test_a_stop_before_the_start_leaves_nothing_counted() -> None:
    segments = clock.stop(clock.begin(at("12:00"), TEN), at("11:00"))
    assert clock.elapsed(segments, at("13:00")) == timedelta()
    assert clock.deadline(segments) is None


def test_at_risk_points_are_fractions_of_the_target() -> None:
    segments = clock.begin(at("12:00"), TEN)
    assert clock.warnings(segments, (50, 80)) == ((50, at("12:05")), (80, at("12:08")))


def test_at_risk_points_that_need_running_time_wait_with_a_paused_clock() -> None:
    segments = clock.pause(clock.begin(at("12:00"), TEN), at("12:06"))
    assert clock.warnings(segments, (50, 80)) == ((50, at("12:05")),)


def test_a_retarget_into_the_past_warns_no_more() -> None:
    segments = clock.retarget(clock.begin(at("12:00"), HALF_HOUR), at("12:20"), TEN)
    assert clock.warnings(segments, (50, 80)) == ()


def test_a_retarget_that_passes_a_warning_point_warns_at_the_change() -> None:
    segments = clock.retarget(clock.begin(at("12:00"), HALF_HOUR), at("12:06"), TEN)
    assert clock.warnings(segments, (50, 80)) == ((50, at("12:06")), (80, at("12:08")))


def test_each_segment_counts_in_its_own_calendar() -> None:
    office = clock.Terms(4 * HOUR, PLAIN, "office v1")
    start = utc("2026-03-02 03:00")  # 11:00 in Shanghai, an hour before lunch
    segments = clock.begin(start, office)
    assert clock.deadline(segments) == utc("2026-03-02 08:00")
    round_the_clock = clock.retarget(segments, utc("2026-03-02 05:00"), clock.Terms(4 * HOUR, ALWAYS, "red v1"))
    assert clock.elapsed(round_the_clock, utc("2026-03-02 05:00")) == HOUR
    assert clock.deadline(round_the_clock) == utc("2026-03-02 08:00")


def test_two_changes_at_one_instant_leave_no_empty_segment() -> None:
    segments = clock.retarget(clock.pause(clock.begin(at("12:00"), HALF_HOUR), at("12:10")), at("12:10"), TEN)
    assert [(each.state, each.start) for each in segments] == [("running", at("12:00")), ("paused", at("12:10"))]


def test_a_change_that_comes_late_happens_at_the_last_change() -> None:
    segments = clock.retarget(clock.begin(at("12:00"), HALF_HOUR), at("12:05"), TWO_DAYS)
    assert clock.pause(segments, at("12:01"))[-1].start == at("12:05")


def test_first_response_and_routing_never_pause() -> None:
    assert {Metric.NEXT_RESPONSE, Metric.UPDATE, Metric.RESOLUTION} == clock.PAUSABLE


def test_the_explanation_names_each_segment_and_sums_up() -> None:
    segments = clock.resume(clock.pause(clock.begin(at("12:00"), HALF_HOUR), at("12:10")), at("13:00"))
    segments = clock.reopen(clock.stop(segments, at("13:05")), at("14:00"))
    rows = [(e.state, e.counted, e.elapsed) for e in clock.explain(segments, at("14:02"))]
    assert rows == [
        ("running", 10 * MINUTE, 10 * MINUTE),
        ("paused", timedelta(), 10 * MINUTE),
        ("running", 5 * MINUTE, 15 * MINUTE),
        ("stopped", timedelta(), 15 * MINUTE),
        ("running", 2 * MINUTE, 17 * MINUTE),
    ]


def test_the_reason_says_when_by_which_policy_and_how_long_it_paused() -> None:
    segments = clock.begin(at("12:00"), TEN)
    assert (
        clock.reason(Metric.FIRST_RESPONSE, segments, at("12:10"))
        == "first_response due 2026-03-02T12:10:00Z, policy red v1, paused 0 min"
    )
    waiting = clock.pause(segments, at("12:05"))
    assert clock.reason(Metric.RESOLUTION, waiting, at("12:35")) == "resolution not due, policy red v1, paused 30 min"


def test_the_identity_of_a_breach_is_stable_and_differs_in_each_part() -> None:
    first = clock.breach_id("7K3M-9QXZ-4TPC-5", Metric.FIRST_RESPONSE, 0, 0)
    assert first == "928b60a6b028da2bdab0df70c0ae922e"
    others = {
        clock.breach_id("7K3M-9QXZ-4TPC-6", Metric.FIRST_RESPONSE, 0, 0),
        clock.breach_id("7K3M-9QXZ-4TPC-5", Metric.RESOLUTION, 0, 0),
        clock.breach_id("7K3M-9QXZ-4TPC-5", Metric.FIRST_RESPONSE, 1, 0),
        clock.breach_id("7K3M-9QXZ-4TPC-5", Metric.FIRST_RESPONSE, 0, 1),
    }
    assert len(others - {first}) == 4


@pytest.mark.parametrize("percent", [1, 50, 99])
def test_a_warning_is_never_after_the_deadline(percent: int) -> None:
    segments = clock.retarget(clock.begin(at("12:00"), HALF_HOUR), at("12:07"), TEN)
    due_at = clock.deadline(segments)
    assert due_at is not None
    assert all(instant < due_at for _, instant in clock.warnings(segments, (percent,)))


def test_a_reopening_that_comes_late_begins_at_the_stop() -> None:
    stopped = clock.stop(clock.begin(at("12:00"), HALF_HOUR), at("12:10"))
    assert clock.reopen(stopped, at("12:05"))[-1].start == at("12:10")
