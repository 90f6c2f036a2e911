"""The watchdog's rules, each test named after its sentence in `sla.md` or `mechanisms.md`."""

from rules import courses
from rules.model import Metric
from services.sla import watchdog
from services.sla.model import Breached, Escalated, EscalationAcknowledged, Met
from tests.unit.sla.life import Life, at, chain, kinds, target

FIRST = Metric.FIRST_RESPONSE
RESOLUTION = Metric.RESOLUTION


def ordinary(**more: object) -> Life:
    """First response in 30 min, resolution in 48 h."""
    return Life(in_force=(target(FIRST, 30, chain(0, 5)), target(RESOLUTION, 48 * 60)))


def breaches(life: Life) -> list[Breached]:
    return [e for e in life.published if isinstance(e, Breached)]


def levels(life: Life) -> list[tuple[int, int]]:
    return [(e.breach.level, e.breach.returned) for e in life.published if isinstance(e, Escalated)]


def test_a_complaint_arms_its_clocks_with_the_promise_it_carries() -> None:
    life = ordinary()
    assert kinds(life.complaint()) == ["Armed", "Armed"]
    assert life.due(FIRST) == at(30)
    assert life.due(RESOLUTION) == at(48 * 60)


def test_the_same_complaint_twice_changes_nothing() -> None:
    life = ordinary()
    life.complaint()
    assert life.complaint() == []


def test_a_row_at_version_1_ignores_version_0() -> None:
    life = ordinary()
    life.event(1)
    row = life.row
    life.version = 0
    assert life.complaint() == []
    assert life.row == row


def test_a_version_seen_already_changes_nothing() -> None:
    life = ordinary()
    life.complaint()
    life.answered(10)
    life.version -= 1
    assert life.event(10) == []


def test_a_breach_is_found_when_nothing_else_happens() -> None:
    life = ordinary()
    life.complaint()
    found = life.run_until(40)
    assert kinds(found) == ["Breached", "CompensationAsked", "Escalated", "Escalated"]
    assert breaches(life)[0].breach.breached_at == at(30)


def test_a_breach_found_late_is_stamped_with_the_deadline() -> None:
    life = ordinary()
    life.complaint()
    life.tick(90)
    breach = breaches(life)[0].breach
    assert breach.breached_at == at(30)
    assert breach.detected_at == at(90)


def test_nothing_fires_early() -> None:
    life = ordinary()
    life.complaint()
    assert life.tick(29.999) == []


def test_a_target_met_before_its_deadline_never_breaches() -> None:
    life = ordinary()
    life.complaint()
    met = [e for e in life.answered(29.9) if isinstance(e, Met)]
    assert met[0].in_time
    assert life.run_until(60) == []


def test_a_met_event_after_the_deadline_records_the_breach_first_and_escalates_nobody() -> None:
    life = ordinary()
    life.complaint()
    assert kinds(life.answered(31)) == ["Breached", "CompensationAsked", "Met"]
    assert life.run_until(120) == []


def test_a_routing_later_than_its_deadline_is_broken_though_the_opening_is_dated_at_the_acknowledgement() -> None:
    life = Life(in_force=(target(Metric.ROUTING, 1),))
    life.complaint()
    life.courses = courses.routed(life.courses, at(1.5))
    assert kinds(life.event(0, seen=1.5)) == ["Breached", "CompensationAsked", "Met"]
    assert [e.in_time for e in life.published if isinstance(e, Met)] == [False]


def test_met_in_time_wins_even_when_the_breach_was_found_first_and_retracts_it() -> None:
    life = ordinary()
    life.complaint()
    life.run_until(31)
    effects = life.answered(29, seen=33)
    assert kinds(effects) == ["CompensationWithdrawn", "EscalationClosed", "Met"]
    met = effects[-1]
    assert isinstance(met, Met)
    assert met.retracts == breaches(life)[0].breach.id
    assert met.in_time
    assert life.run_until(600) == []


def test_at_risk_fires_once_at_each_point_and_only_while_running() -> None:
    life = Life(in_force=(target(FIRST, 30, warn=(50, 80)),))
    life.complaint()
    assert kinds(life.run_until(20)) == ["AtRisk"]
    assert kinds(life.tick(20)) == []
    life.answered(21)
    assert life.run_until(60) == []


def test_warning_points_passed_together_with_the_deadline_say_nothing_new() -> None:
    life = Life(in_force=(target(FIRST, 30, warn=(50, 80)),))
    life.complaint()
    assert kinds(life.tick(31)) == ["Breached", "CompensationAsked"]


def test_one_escalation_per_level_until_acknowledged() -> None:
    life = ordinary()
    life.complaint()
    life.run_until(31)
    assert levels(life) == [(1, 0)]
    assert isinstance(life.acknowledged(breaches(life)[0].breach.id, 32)[0], EscalationAcknowledged)
    assert life.run_until(600) == []


def test_the_next_level_counts_from_the_publication_of_the_one_before() -> None:
    life = ordinary()
    life.complaint()
    life.tick(100)
    assert levels(life) == [(1, 0)]
    assert watchdog.next_due(life.row) == at(105)  # type: ignore[arg-type]
    life.tick(104.9)
    assert levels(life) == [(1, 0)]
    life.tick(105)
    assert levels(life) == [(1, 0), (2, 0)]


def test_an_acknowledgement_that_is_read_before_the_timer_stops_the_chain_all_the_same() -> None:
    live = Life(in_force=(target(Metric.FIRST_RESPONSE, 30, chain(0, 5)),))
    live.complaint()
    live.run_until(31)
    live.acknowledged(breaches(live)[0].breach.id, 32)
    live.run_until(60)
    # Nothing orders commands and timers: in a replay, not even commands and their tickets.
    for first in (False, True):
        again = Life(in_force=live.in_force)
        again.row = watchdog.nothing_known("7K3M-9QXZ-4TPC-5") if first else None
        if not first:
            again.complaint()
        again.acknowledged(breaches(live)[0].breach.id, 32)
        if first:
            again.complaint()
        for minute in (40, 45, 50):
            again.tick(minute)
        assert {effect.id for effect in again.published} == {effect.id for effect in live.published}
        assert again.row is not None
        assert again.row.early == ()


def test_invented_acknowledgements_make_no_row_grow() -> None:
    life = Life(in_force=(target(Metric.FIRST_RESPONSE, 30, chain(0, 5)),))
    life.complaint()
    for number in range(100):
        assert life.acknowledged(f"invented {number}", 1) == []
    assert life.row is not None
    assert len(life.row.early) == watchdog.MOST_EARLY


def test_an_acknowledged_but_unresolved_escalation_comes_back() -> None:
    life = Life(in_force=(target(FIRST, 30, chain(0, 5), back=60),))
    life.complaint()
    life.run_until(30)
    life.acknowledged(breaches(life)[0].breach.id, 31)
    life.run_until(90)
    assert levels(life) == [(1, 0)]
    life.run_until(91)
    assert levels(life) == [(1, 0), (1, 1)]


def test_meeting_the_target_ends_the_chain() -> None:
    life = ordinary()
    life.complaint()
    life.run_until(31)
    assert kinds(life.answered(32)) == ["EscalationClosed", "Met"]
    assert life.run_until(600) == []


def test_acknowledging_twice_or_an_unknown_escalation_changes_nothing() -> None:
    life = ordinary()
    life.complaint()
    life.run_until(31)
    assert life.acknowledged("unknown", 32) == []
    life.acknowledged(breaches(life)[0].breach.id, 32)
    assert life.acknowledged(breaches(life)[0].breach.id, 33) == []


def test_a_pause_never_stops_the_first_response() -> None:
    life = ordinary()
    life.complaint()
    life.paused(10)
    assert life.due(FIRST) == at(30)


def test_a_pause_moves_the_resolution_by_its_length() -> None:
    life = ordinary()
    life.complaint()
    assert "Paused" in kinds(life.paused(60))
    assert life.due(RESOLUTION) is None
    assert "Resumed" in kinds(life.resumed(160))
    assert life.due(RESOLUTION) == at(48 * 60 + 100)


def test_reopening_continues_the_resolution_without_the_time_spent_resolved() -> None:
    life = ordinary()
    life.complaint()
    life.answered(5)
    life.resolved(60)
    assert life.run_until(1000) == []
    life.reopened(1060)
    assert life.due(RESOLUTION) == at(48 * 60 + 1000)
    assert kinds(life.run_until(48 * 60 + 1000))[0] == "Breached"


def test_retarget_keeps_the_time_that_was_used() -> None:
    life = ordinary()
    life.complaint()
    effects = life.retargeted(5, target(FIRST, 10), target(RESOLUTION, 24 * 60))
    assert kinds(effects) == ["Retargeted", "Retargeted"]
    assert life.due(FIRST) == at(10)


def test_a_retarget_never_breaches_in_the_past_and_says_so() -> None:
    life = ordinary()
    life.complaint()
    life.retargeted(20, target(FIRST, 10, chain(0)), target(RESOLUTION, 24 * 60))
    assert kinds(life.tick(20)) == ["Breached", "Escalated"]
    breach = breaches(life)[0].breach
    assert breach.breached_at == at(20)
    assert breach.retarget


def test_a_recorded_breach_is_not_repeated_by_a_tighter_target() -> None:
    life = ordinary()
    life.complaint()
    life.run_until(31)
    life.retargeted(40, target(FIRST, 10, chain(0)), target(RESOLUTION, 24 * 60))
    life.run_until(120)
    assert len(breaches(life)) == 1


def test_a_breached_deadline_that_moves_later_may_breach_again_under_a_new_version() -> None:
    life = ordinary()
    life.complaint()
    life.run_until(31)
    life.retargeted(40, target(FIRST, 100, chain(0)), target(RESOLUTION, 24 * 60))
    assert life.due(FIRST) == at(100)
    life.run_until(100)
    assert [b.breach.n for b in breaches(life)] == [1, 2]
    assert len({b.id for b in breaches(life)}) == 2


def test_a_change_seen_after_the_old_deadline_keeps_the_breach_of_the_old_target() -> None:
    life = ordinary()
    life.complaint()
    life.retargeted(40, target(FIRST, 100), target(RESOLUTION, 24 * 60), seen=50)
    assert [b.breach.breached_at for b in breaches(life)] == [at(30)]


def test_the_same_targets_from_the_router_move_nothing() -> None:
    life = ordinary()
    life.complaint()
    assert life.retargeted(0.1, *life.in_force) == []
    assert life.due(FIRST) == at(30)


def test_after_closing_nothing_runs() -> None:
    life = ordinary()
    life.complaint()
    assert kinds(life.closed(10)) == ["Cancelled", "Cancelled"]
    assert life.run_until(10_000) == []
    assert life.event(20_000) == []


def test_a_replay_of_the_same_history_gives_only_known_ids() -> None:
    life = ordinary()
    life.complaint()
    life.run_until(31)
    life.answered(40)
    life.resolved(60)
    again = ordinary()
    again.complaint()
    again.answered(40, seen=5000)
    again.resolved(60, seen=5000)
    again.run_until(9000)
    assert {e.id for e in again.published} <= {e.id for e in life.published}
    assert again.row is not None
    assert life.row is not None
    assert [(c.metric, c.ended, c.met_at, [b.id for b in c.breaches]) for c in again.row.clocks] == [
        (c.metric, c.ended, c.met_at, [b.id for b in c.breaches]) for c in life.row.clocks
    ]


def test_the_reason_names_deadline_policy_and_pause() -> None:
    life = ordinary()
    life.complaint()
    life.run_until(31)
    assert breaches(life)[0].reason == "first_response due 2026-03-02T12:30:00Z, policy ordinary 01234567, paused 0 min"
