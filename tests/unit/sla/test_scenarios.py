"""`sla.md`, one row a sentence: what the watchdog says about each story is all of `then` and nothing else."""

from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest

from common.policyfiles import load_all
from rules.model import ComplaintFacts, PolicySet
from rules.routing import decide
from services.sla.model import Breached
from tests.unit.sla.scenarios import page
from tests.unit.sla.scenarios.player import Player
from tests.unit.sla.scenarios.story import Decision, Story, decisions, duration, stories

ROOT = Path(__file__).parents[3]


@cache
def default() -> PolicySet:
    return load_all(ROOT / "policies")["default"]


@pytest.mark.parametrize("story", stories(), ids=lambda story: f"{story.section}: {story.says}")
def test_story(story: Story) -> None:
    player = Player(story)
    assert player.play() == list(story.then)
    if story.reason:
        assert [e.reason for e in player.published if isinstance(e, Breached)][-1] == story.reason


@pytest.mark.parametrize("row", decisions(), ids=lambda row: f"{row.section}: {row.says}")
def test_decision(row: Decision) -> None:
    complaint = row.complaint
    late = duration(complaint["late"]) if "late" in complaint else None
    facts = ComplaintFacts(complaint["declared"], complaint["text"], "default", "app", order_late=late)
    decision = decide(default(), facts)
    decided = {
        "category": str(decision.category),
        "priority": str(decision.priority),
        "queue": decision.queue,
        "joint": " ".join(decision.joint_queues),
        "red": "yes" if decision.red else "no",
        "policy": decision.sla_policy,
        "notices": " ".join(who for notice in decision.notices for who in notice.notify),
    }
    targets = {str(t.metric): (t.duration, t.calendar) for t in decision.targets}
    promised = {
        metric: (duration(words.split()[0]), words.split()[1])
        for metric, words in row.decides.items()
        if metric not in decided
    }
    assert {name: decided[name] for name in row.decides if name in decided} == {
        name: value for name, value in row.decides.items() if name in decided
    }
    # A row that names targets names all of them.
    assert not promised or promised == targets


def test_every_sentence_has_a_row_of_its_own_and_there_are_at_least_sixty() -> None:
    sentences = [story.says for story in stories()] + [row.says for row in decisions()]
    assert len(sentences) == len(set(sentences))
    assert len(sentences) >= 60


def test_the_page_shows_the_table_as_it_is() -> None:
    assert (ROOT / "docs" / "sla-scenarios.md").read_text() == page.text(), "run: python -m tests.unit.sla.scenarios"


def test_a_wrong_time_in_a_story_is_noticed() -> None:
    story = stories()[0]
    with pytest.raises(ValueError, match="not a time"):
        story.instant("noon")
    assert story.instant("12:30") - story.instant("12:00") == timedelta(minutes=30)
