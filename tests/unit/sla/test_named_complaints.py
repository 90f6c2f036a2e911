"""What users of other help desks complain about in their issue trackers, each shown not to happen here.

The docstrings say what was reported, in our words; a story's `then` is all that the watchdog says.
"""

import pytest

from tests.unit.sla.scenarios.player import Player
from tests.unit.sla.scenarios.story import Story


def told(happens: str, **terms: object) -> list[str]:
    """Everything the watchdog says about these happenings."""
    lines = tuple(line.strip() for line in happens.strip().splitlines())
    return Player(Story(says="", happens=lines, **terms)).play()  # type: ignore[arg-type]


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def test_osticket_3034_no_pause_while_waiting() -> None:
    """A ticket that is on hold, or waits for parts, is flagged overdue all the same: no status stops the clock."""
    assert told(
        """
        12:00 acknowledged
        13:00 waits for the customer
        2026-03-03 13:00 customer writes
        2026-03-03 15:00 resolved
        """,
        promises="resolution 4h",
        warn=(80,),
        levels=("0s queue_lead",),
    ) == lines(
        """
        12:00 resolution due 16:00
        13:00 resolution paused
        2026-03-03 13:00 resolution runs again, due 2026-03-03 16:00
        2026-03-03 15:00 resolution met
        """
    )


def test_glpi_6902_paused_time_lost_when_the_urgency_changes() -> None:
    """A ticket was pending when its urgency was raised; the new SLA ignored the time spent pending, and was broken at
    once though nobody had been working on the ticket."""
    assert told(
        """
        12:00 acknowledged
        12:30 waits for the customer
        17:00 promises resolution 2h
        18:00 customer writes
        """,
        promises="resolution 8h",
    ) == lines(
        """
        12:00 resolution due 20:00
        12:30 resolution paused
        17:00 resolution now due never
        18:00 resolution runs again, due 19:30
        19:30 resolution BROKEN
        """
    )


def test_glpi_15605_new_priority_counts_from_the_opening_without_the_pause() -> None:
    """After days on hold the priority was changed; the new SLA was counted from the opening date, as if the ticket had
    never been on hold."""
    assert told(
        """
        12:00 acknowledged
        13:00 waits for the customer
        2026-03-05 13:00 customer writes
        2026-03-05 14:00 promises resolution 4h
        """,
        promises="resolution 8h",
    ) == lines(
        """
        12:00 resolution due 20:00
        13:00 resolution paused
        2026-03-05 13:00 resolution runs again, due 2026-03-05 20:00
        2026-03-05 14:00 resolution now due 2026-03-05 16:00
        2026-03-05 16:00 resolution BROKEN
        """
    )


def test_chatwoot_10178_running_after_resolution() -> None:
    """The customer said the last word, an eternal goodbye, the conversation was resolved, and the next-response clock
    went on until it counted as missed."""
    assert told(
        """
        12:00 acknowledged
        12:10 answered
        12:20 customer writes
        12:40 resolved
        """,
        promises="first_response 30m, next_response 1h, resolution 48h",
        levels=("0s queue_lead",),
    ) == lines(
        """
        12:00 first_response due 12:30
        12:00 resolution due 2026-03-04 12:00
        12:10 first_response met
        12:20 next_response due 13:20
        12:40 resolution met
        12:40 next_response ends, resolved
        """
    )


def test_zammad_3140_escalating_though_answered() -> None:
    """The update time escalated whoever had written last: also while the agent had answered and nobody waited for him.

    What waits for an agent is `next_response` here, and it only runs while a customer waits for an answer.
    """
    assert told(
        """
        12:00 acknowledged
        12:10 answered
        13:00 customer writes
        13:30 answered
        """,
        promises="first_response 30m, next_response 1h",
        levels=("0s queue_lead",),
    ) == lines(
        """
        12:00 first_response due 12:30
        12:10 first_response met
        13:00 next_response due 14:00
        13:30 next_response met
        """
    )


@pytest.mark.parametrize("metric", ["next_response", "update"])
def test_zammad_5177_update_time_overrules_the_first_response(metric: str) -> None:
    """An update time shorter than the first response time escalated first, before there had been any answer."""
    assert told(
        """
        12:00 acknowledged
        12:05 customer writes
        13:50 answered
        13:55 resolved
        """,
        promises=f"first_response 2h, {metric} 30m",
        levels=("0s queue_lead",),
    ) == lines(
        """
        12:00 first_response due 14:00
        13:50 first_response met
        """
    ) + (["13:50 update due 14:20", "13:55 update ends, resolved"] if metric == "update" else [])


def test_zammad_904_merged_ticket_escalates() -> None:
    """A ticket that had been merged was still shown as escalated, until somebody touched it once more."""
    assert told(
        """
        12:00 acknowledged
        12:20 merged into another
        """,
        promises="first_response 30m, resolution 48h",
        warn=(80,),
        levels=("0s queue_lead", "5m role:supervisor"),
    ) == lines(
        """
        12:00 first_response due 12:30
        12:00 resolution due 2026-03-04 12:00
        12:20 first_response ends, merged
        12:20 resolution ends, merged
        """
    )


def test_zammad_904_a_merged_ticket_that_had_escalated_tells_nobody_any_more() -> None:
    """As above, with the escalation under way: it ends with the merging, and an acknowledged one doesn't come back."""
    assert told(
        """
        12:00 acknowledged
        12:31 li takes on first_response
        12:33 merged into another
        """,
        promises="first_response 30m",
        levels=("0s queue_lead", "5m role:supervisor"),
        back="10m",
    ) == lines(
        """
        12:00 first_response due 12:30
        12:30 first_response BROKEN
        12:30 level 1 of first_response tells queue_lead
        12:31 li took on first_response
        12:33 escalation of first_response ends, cancelled
        12:33 first_response ends, merged
        """
    )


def test_zammad_4353_ghost_escalation_after_the_sla_is_gone() -> None:
    """An SLA was deactivated; tickets that had escalated under it stayed so, and people were notified on and on.

    (Issue 4 lists it under merging; what was reported is this.)
    """
    assert told(
        """
        12:00 acknowledged
        12:10 answered
        13:12 promises resolution 48h
        14:00 resolved
        """,
        promises="update 1h, resolution 48h",
        levels=("0s queue_lead", "5m role:supervisor"),
        back="10m",
    ) == lines(
        """
        12:00 resolution due 2026-03-04 12:00
        12:10 update due 13:10
        13:10 update BROKEN
        13:10 level 1 of update tells queue_lead
        13:12 escalation of update ends, cancelled
        13:12 update ends, no target
        14:00 resolution met
        """
    )


def test_zammad_2532_one_list_of_people_for_all_levels() -> None:
    """Somebody wanted three levels that go to different people; only the agents could be told, whatever the level.

    (Who the people of a level are is the notifier's part.)
    """
    assert told(
        "12:00 acknowledged",
        promises="first_response 30m",
        levels=("0s assignee queue_lead", "5m role:supervisor", "10m role:admin oncall:emergency"),
    ) == lines(
        """
        12:00 first_response due 12:30
        12:30 first_response BROKEN
        12:30 level 1 of first_response tells assignee queue_lead
        12:35 level 2 of first_response tells role:supervisor
        12:45 level 3 of first_response tells role:admin oncall:emergency
        """
    )


def test_five_minute_poll_a_breach_is_found_at_its_deadline_with_no_traffic_at_all() -> None:
    """Breaches are looked for by a job every few minutes, so each is found minutes late (on average half the interval).

    Here nothing happens after the complaint, and the deadline isn't on any round minute.
    """
    player = Player(
        Story(
            says="",
            promises="first_response 97s",
            happens=("12:00:11 acknowledged",),
            levels=("0s queue_lead",),
        )
    )
    assert player.play() == lines(
        """
        12:00:11 first_response due 12:01:48
        12:01:48 first_response BROKEN
        12:01:48 level 1 of first_response tells queue_lead
        """
    )
