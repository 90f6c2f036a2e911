"""What the documents name exists, and what has to be documented is."""

import re
from pathlib import Path

import pytest

from common.topics import TopicSettings
from deploy.local.settings import DEFAULT_ADDRESSES, ROOT
from services.intake.settings import IntakeSettings
from services.notifier.settings import NotifierSettings
from services.router.settings import RouterSettings
from services.sla.settings import SlaSettings

DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "services").glob("*/README.md"),
    *(ROOT / "deploy").rglob("*.md"),
]
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    targets = LINK.findall(document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_every_setting_is_in_the_table_of_operations() -> None:
    documented = set(re.findall(r"PINGXI_[A-Z_]+", (ROOT / "docs" / "operations.md").read_text()))
    kinds = (IntakeSettings, RouterSettings, SlaSettings, NotifierSettings, TopicSettings)
    known = {f"PINGXI_{field.upper()}" for kind in kinds for field in kind.model_fields} | set(DEFAULT_ADDRESSES)
    assert known - documented == set()


def test_the_tests_that_the_architecture_names_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"`((?:unit|integration|contract|e2e|tests)/[a-z0-9_/]+(?:\.py)?)`", text)
    assert named
    missing = [name for name in named if not (ROOT / "tests" / name.removeprefix("tests/")).exists()]
    assert missing == []
