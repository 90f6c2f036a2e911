"""The stories as a page of the documentation."""

from collections.abc import Iterator, Sequence

from tests.unit.sla.scenarios.story import CALENDAR_WORDS, Decision, Story, decisions, sections, stories

TITLES = {
    "1-metrics": "Metrics: what starts a promise and what keeps it",
    "2-clock": "Clock: pauses, changes of terms, reopening, merging, late events",
    "3-calendar": "Calendar",
    "4-priority": "Priority: a complaint's way, by the shipped policies of `default`",
    "5-escalation": "Warning, breach, escalation",
}

HEAD = """# The SLA rules as stories

The sentences of the rules as rows; `tests/unit/sla/sentences.yaml` lists each sentence with its rows, or with the tests
that show it. Every row is a test (`tests/unit/sla/test_scenarios.py`), and this page is made from the same data by
`python -m tests.unit.sla.scenarios`: edit `tests/unit/sla/scenarios/*.yaml`, not this page.

How to read a story: the third column is what happens to a ticket, each line at its own time; "(seen 12:33)" means that
the watchdog learnt of it only then. The last column is **all** that the watchdog says, until no timer is left: what
isn't there doesn't happen. Times are China's on Monday 2026-03-02 unless the story names another day or zone.
"BROKEN at 12:30" is found later than the deadline, 12:30. "promises …" are new targets; only a supervisor may loosen
what the customer was told. Every breach also asks for compensation, but not one that a change of terms made.

Calendars of the stories:
"""


def text() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield HEAD + "\n".join(f"- `{name}`: {words}" for name, words in CALENDAR_WORDS.items())
    number = 0
    for section in sections():
        yield f"\n## {TITLES[section]}"
        told = [story for story in stories() if story.section == section]
        decided = [row for row in decisions() if row.section == section]
        if told:
            yield _row("", "sentence", "promised", "what happens", "what the watchdog says")
            yield _row(*("---",) * 5)
        for story in told:
            number += 1
            yield _row(str(number), story.says, _cell(_terms(story)), _cell(story.happens), _cell(story.then))
        if decided:
            yield _row("", "sentence", "complaint", "decision")
            yield _row(*("---",) * 4)
        for row in decided:
            number += 1
            yield _row(str(number), row.says, _cell(_complaint(row)), _cell(_decision(row)))


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cell(lines: Sequence[str]) -> str:
    return "<br>".join(lines)


def _terms(story: Story) -> list[str]:
    return [
        *story.promises.split(", "),
        *(f"warns at {percent}%" for percent in story.warn),
        *(f"level {number} after {text}" for number, text in enumerate(story.levels, 1)),
        *([f"returns after {story.back}"] if story.back else []),
        *([f"waits {story.waits[0]}, closes {_closes(story.waits[1])}"] if story.waits != Story.waits else []),
        *(["a machine's answer counts"] if story.machines_count else []),
        *([story.day if story.zone == "Asia/Shanghai" else f"{story.day}, {story.zone}"] if _elsewhere(story) else []),
        *([f"reason: “{story.reason}”"] if story.reason else []),
    ]


def _closes(after: str) -> str:
    return after if after == "never" else f"{after} after the reminder"


def _elsewhere(story: Story) -> bool:
    usual = Story("", "", ())
    return (story.day, story.zone) != (usual.day, usual.zone)


def _complaint(row: Decision) -> list[str]:
    late = [f"order {row.complaint['late']} late"] if "late" in row.complaint else []
    return [f"declared {row.complaint['declared']}", f"“{row.complaint['text']}”", *late]


def _decision(row: Decision) -> list[str]:
    return [f"{name} {value or 'none'}" for name, value in row.decides.items()]
