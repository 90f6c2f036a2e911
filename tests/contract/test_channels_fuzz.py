"""Schemathesis on the channels' calls: every answer is a described one, and never 5xx. `test_sms.py` signs its own."""

from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from tests.contract.test_http_fuzz import CHECKS
from tests.unit.intake.channels import Channels

APP = Channels().app
SCHEMA = schemathesis.openapi.from_dict(APP.openapi())
SCHEMA.app = APP
OPERATIONS: list[Any] = [
    found for result in SCHEMA.get_all_operations() if (found := cast(Any, result).ok()).path.startswith("/channels/")
]
BOTH = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
@pytest.mark.parametrize("key", ["hotline-key", ""])
def test_whatever_is_sent_is_answered_as_described(operation: Any, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}

    @settings(
        max_examples=10,
        deadline=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in BOTH)))
    def send(case: Any) -> None:
        case.call_and_validate(checks=CHECKS, headers=headers)

    send()


def test_every_call_of_a_channel_is_described() -> None:
    assert {(operation.method.upper(), operation.path) for operation in OPERATIONS} == {
        ("POST", "/channels/sms"),
        ("POST", "/channels/hotline"),
        ("GET", "/channels/wechat"),
        ("POST", "/channels/wechat"),
    }
