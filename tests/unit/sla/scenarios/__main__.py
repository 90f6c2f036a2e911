"""Writes `docs/sla-scenarios.md`."""

from pathlib import Path

from tests.unit.sla.scenarios.page import text

if __name__ == "__main__":
    (Path(__file__).parents[4] / "docs" / "sla-scenarios.md").write_text(text())
