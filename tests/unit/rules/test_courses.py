"""When each promise starts, what keeps it, what ends it: one test a sentence of the table of metrics."""

from datetime import UTC, datetime, timedelta

from rules import courses as c
from rules.courses import Course, Courses, Interval
from rules.model import Metric

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def one(courses: Courses, metric: Metric) -> Course:
    found = c.current(courses, metric)
    assert found is not None
    return found


def routed() -> Courses:
    return c.routed(c.opened(at(0)), at(1))


def test_an_acknowledged_complaint_starts_routing_first_response_and_resolution() -> None:
    assert [(x.metric, x.start) for x in c.opened(at(0))] == [
        (Metric.ROUTING, at(0)),
        (Metric.FIRST_RESPONSE, at(0)),
        (Metric.RESOLUTION, at(0)),
    ]


def test_routing_is_met_when_routed_and_assignment_starts_then() -> None:
    assert one(routed(), Metric.ROUTING).met_at == at(1)
    assert one(routed(), Metric.ASSIGNMENT) == Course(Metric.ASSIGNMENT, 1, at(1))


def test_assignment_is_met_by_a_named_person_and_repeats_with_each_owner_less_period() -> None:
    courses = c.owned(routed(), at(5))
    assert one(courses, Metric.ASSIGNMENT).met_at == at(5)
    courses = c.disowned(courses, at(8))
    assert one(courses, Metric.ASSIGNMENT) == Course(Metric.ASSIGNMENT, 2, at(8))
    assert c.disowned(courses, at(9)) == courses


def test_a_second_owner_does_not_move_the_first_one_s_time() -> None:
    assert c.owned(c.owned(routed(), at(5)), at(7)) == c.owned(routed(), at(5))


def test_the_first_public_answer_by_a_person_meets_the_first_response() -> None:
    courses = c.answered(c.answered(routed(), at(10)), at(20))
    assert one(courses, Metric.FIRST_RESPONSE).met_at == at(10)


def test_an_automatic_answer_counts_only_where_the_policy_says_so() -> None:
    assert one(c.answered(routed(), at(2), automatic=True), Metric.FIRST_RESPONSE).met_at is None
    counted = c.answered(routed(), at(2), automatic=True, automatic_counts=True)
    assert one(counted, Metric.FIRST_RESPONSE).met_at == at(2)


def test_the_next_response_starts_at_the_oldest_unanswered_message() -> None:
    courses = c.answered(routed(), at(10))
    courses = c.customer_wrote(c.customer_wrote(courses, at(20)), at(25))
    assert one(courses, Metric.NEXT_RESPONSE) == Course(Metric.NEXT_RESPONSE, 1, at(20))
    courses = c.answered(courses, at(30))
    assert one(courses, Metric.NEXT_RESPONSE).met_at == at(30)
    assert one(c.customer_wrote(courses, at(40)), Metric.NEXT_RESPONSE).instance == 2


def test_before_the_first_response_a_message_starts_nothing() -> None:
    assert c.current(c.customer_wrote(routed(), at(5)), Metric.NEXT_RESPONSE) is None


def test_an_update_starts_at_each_public_answer_and_is_met_by_the_next() -> None:
    courses = c.answered(c.answered(routed(), at(10)), at(60))
    updates = [x for x in courses if x.metric is Metric.UPDATE]
    assert updates == [Course(Metric.UPDATE, 1, at(10), at(60)), Course(Metric.UPDATE, 2, at(60))]


def test_only_the_last_two_instances_are_kept() -> None:
    courses = routed()
    for minute in range(10, 60, 10):
        courses = c.answered(courses, at(minute))
    assert [x.instance for x in courses if x.metric is Metric.UPDATE] == [4, 5]


def test_waiting_pauses_next_response_update_and_resolution_but_never_first_response_and_routing() -> None:
    courses = c.waiting(c.customer_wrote(c.answered(routed(), at(10)), at(12)), at(15))
    paused = {x.metric for x in courses if x.pauses}
    assert paused == {Metric.NEXT_RESPONSE, Metric.UPDATE, Metric.RESOLUTION}
    assert c.waiting(courses, at(16)) == courses


def test_the_first_customer_message_resumes() -> None:
    courses = c.customer_wrote(c.waiting(c.answered(routed(), at(10)), at(15)), at(45))
    assert one(courses, Metric.RESOLUTION).pauses == (Interval(at(15), at(45)),)


def test_after_resolving_nothing_runs_but_the_callback() -> None:
    courses = c.resolved(c.answered(routed(), at(10)), at(30))
    assert {x.metric for x in courses if x.is_open} == {Metric.CALLBACK}
    assert one(courses, Metric.RESOLUTION).met_at == at(30)
    assert one(courses, Metric.CALLBACK).start == at(30)


def test_resolving_while_waiting_ends_the_pause() -> None:
    courses = c.resolved(c.waiting(routed(), at(10)), at(30))
    assert one(courses, Metric.RESOLUTION).pauses == (Interval(at(10), at(30)),)


def test_reopening_continues_the_resolution_and_cancels_the_callback() -> None:
    courses = c.reopened(c.resolved(c.answered(routed(), at(10)), at(30)), at(90))
    assert one(courses, Metric.RESOLUTION) == Course(Metric.RESOLUTION, 1, at(0), gaps=(Interval(at(30), at(90)),))
    assert one(courses, Metric.CALLBACK).over == "reopened"


def test_each_resolution_has_its_own_callback() -> None:
    courses = c.reopened(c.resolved(routed(), at(30)), at(90))
    courses = c.resolved(courses, at(120))
    assert one(courses, Metric.CALLBACK) == Course(Metric.CALLBACK, 2, at(120))
    assert one(c.rated(courses, at(130)), Metric.CALLBACK).met_at == at(130)


def test_closing_ends_everything_but_the_callback() -> None:
    courses = c.closed(c.resolved(routed(), at(30)), at(40))
    assert {x.metric for x in courses if x.is_open} == {Metric.CALLBACK}
    assert {x.over for x in c.closed(routed(), at(5)) if x.met_at is None} == {"closed"}


def test_a_merged_ticket_s_clocks_all_end_and_the_survivor_keeps_the_earliest_start() -> None:
    older, younger = routed(), c.routed(c.opened(at(50)), at(51))
    assert not any(x.is_open for x in c.merged_away(older, at(60)))
    survivor = c.merged_in(younger, older)
    assert one(survivor, Metric.FIRST_RESPONSE).start == at(0)
    assert one(survivor, Metric.RESOLUTION).start == at(0)
    assert one(survivor, Metric.ASSIGNMENT).start == at(51)
