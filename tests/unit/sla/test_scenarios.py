"""The SLA rules, each sentence with what shows it (`sentences.yaml`), most of them as a story: what the watchdog says
about it is all of `then` and nothing else.
"""

import ast
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

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


def said() -> list[str]:
    return [story.says for story in stories()] + [row.says for row in decisions()]


def test_no_row_is_there_twice_and_there_are_at_least_sixty() -> None:
    assert len(said()) == len(set(said()))
    assert len(said()) >= 60


SENTENCES = yaml.safe_load((Path(__file__).parent / "sentences.yaml").read_text())


@cache
def names(path: str) -> frozenset[str]:
    """What a test file defines at its top."""
    body = ast.parse((ROOT / path).read_text()).body
    defined = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    assigned = {
        target.id
        for node in body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return frozenset(defined | assigned)


@pytest.mark.parametrize("entry", SENTENCES, ids=lambda entry: entry["sentence"][:60])
def test_every_sentence_is_shown_by_a_row_or_a_test_that_exists(entry: dict[str, Any]) -> None:
    assert set(entry) <= {"sentence", "rows", "tests", "benchmarks", "open"}
    assert len(entry) > 1, "nothing shows it"
    assert "open" not in entry or len(entry) == 2, "what is shown isn't open"
    for beginning in entry.get("rows", []):
        assert any(row.startswith(beginning) for row in said()), beginning
    for test in entry.get("tests", []):
        path, _, name = test.partition("::")
        assert name.lower().startswith("test")
        assert name in names(path), test
    for path in entry.get("benchmarks", []):
        assert (ROOT / path).is_file(), path


def test_every_row_belongs_to_a_sentence_and_no_sentence_is_there_twice() -> None:
    beginnings = tuple(beginning for entry in SENTENCES for beginning in entry.get("rows", []))
    assert [row for row in said() if not row.startswith(beginnings)] == []
    sentences = [entry["sentence"] for entry in SENTENCES]
    assert len(sentences) == len(set(sentences))


def test_the_page_shows_the_table_as_it_is() -> None:
    assert (ROOT / "docs" / "sla-scenarios.md").read_text() == page.text(), "run: python -m tests.unit.sla.scenarios"


def test_a_wrong_time_in_a_story_is_noticed() -> None:
    story = stories()[0]
    with pytest.raises(ValueError, match="not a time"):
        story.instant("noon")
    assert story.instant("12:30") - story.instant("12:00") == timedelta(minutes=30)
