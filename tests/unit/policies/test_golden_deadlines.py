"""Every default policy, category and priority against the table written by hand."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from rules.model import Category, ComplaintFacts, Metric, PolicySet, Priority
from rules.promise import due, promise
from rules.routing import decide

GOLDEN = yaml.safe_load((Path(__file__).parent / "golden" / "deadlines.yaml").read_text(encoding="utf-8"))
START = GOLDEN["acknowledged"]


@pytest.mark.parametrize("row", GOLDEN["rows"], ids=lambda row: f"{row['type']}-{row['text']}")
def test_deadlines_are_the_ones_written_down(default: PolicySet, row: dict[str, Any]) -> None:
    decision = decide(default, ComplaintFacts(row["type"], row["text"], "default", "app"))
    assert decision.category == row.get("category", row["type"])
    assert (decision.priority, decision.sla_policy, decision.queue) == (row["priority"], row["policy"], row["queue"])
    found = {target.metric: due(target, default.calendars, START) for target in decision.targets}
    assert found == {metric: row[metric] for metric in Metric if metric in row}
    told = promise(default, decision, START)
    assert (told.first_response_by, told.resolve_by) == (row["first_response"], row["resolution"])


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("name", GOLDEN["every_priority"])
def test_every_policy_gives_every_priority_its_deadlines(default: PolicySet, name: str, priority: Priority) -> None:
    policy = next(each for each in default.sla if each.name == name)
    found = {target.metric: due(target, default.calendars, START) for target in policy.targets[priority]}
    assert found == {Metric(metric): at for metric, at in GOLDEN["every_priority"][name].items()}


def test_the_table_has_every_policy_and_category(default: PolicySet) -> None:
    assert set(GOLDEN["every_priority"]) == {policy.name for policy in default.sla}
    assert set(Category) <= {row["type"] for row in GOLDEN["rows"]}
