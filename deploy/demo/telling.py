"""What the demo prints: colours and a live line on a terminal, plain lines anywhere else."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from deploy.demo.story import Seen, Story

_STYLES = {"A": "red", "B": "green", "C": "yellow", "D": "blue", "E": "magenta"}


@dataclass(frozen=True)
class Row:
    """A row of the table at the end; `after` in seconds, None where the step wasn't seen."""

    part: str
    name: str
    place: str
    after: float | None
    seen: bool


class Teller:
    """Prints. `progress` replaces one line on a terminal; elsewhere it is for the caller to say it seldom."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._status: Status | None = None

    @property
    def live(self) -> bool:
        """Whether a line can be replaced."""
        return self._console.is_terminal

    def say(self, text: str, style: str = "") -> None:
        """One or more lines."""
        self._console.print(Text(text, style), soft_wrap=True)

    def step(self, story: Story, seen: Seen) -> None:
        """A step that was seen."""
        line = Text()
        line.append(f"[{story.label}] ", _STYLES.get(story.label, ""))
        line.append(f"{seen.after:+6.1f} s  ", "dim")
        line.append(f"{seen.step.name:<24}", "bold")
        line.append(seen.sentence)
        line.append(f"  ({seen.step.place})", "dim")
        self._console.print(line, soft_wrap=True)

    def progress(self, text: str) -> None:
        """Where things are."""
        if not self.live:
            self.say(f"… {text}")
            return
        if self._status is None:
            self._status = self._console.status(text)
            self._status.start()
        self._status.update(text)

    def end_progress(self) -> None:
        """Removes the live line."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def table(self, rows: Sequence[Row]) -> None:
        """Every step with ✓ or ✗, and when it was seen."""
        table = Table(title="What was observed", title_justify="left", show_lines=False)
        for column in ("", "story", "step", "seen in"):
            table.add_column(column)
        table.add_column("after", justify="right")
        for row in rows:
            after = "" if row.after is None else f"{row.after:.1f} s"
            mark = Text("✓", "green") if row.seen else Text("✗", "bold red")
            table.add_row(mark, row.part, row.name, row.place, after)
        self._console.print(table)
