"""The policies of the repository."""

from pathlib import Path

import pytest

from common.policyfiles import load_all
from rules.model import PolicySet

ROOT = Path(__file__).parents[3] / "policies"


@pytest.fixture(scope="session")
def policies() -> dict[str, PolicySet]:
    """Every brand of `policies/`."""
    return load_all(ROOT)


@pytest.fixture(scope="session")
def default(policies: dict[str, PolicySet]) -> PolicySet:
    """The real rules."""
    return policies["default"]


@pytest.fixture(scope="session")
def demo(policies: dict[str, PolicySet]) -> PolicySet:
    """The rules on a scale of seconds."""
    return policies["demo"]
