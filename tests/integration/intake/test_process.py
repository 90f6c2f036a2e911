"""The process itself: told to stop, or killed, in the middle of its work."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from services.intake.settings import IntakeSettings
from tests.integration.intake.conftest import POLICIES
from tests.integration.intake.running import BODY, CLOCK, Running, free_ports, is_ready, until

COUNT = 60


def settings_for(kafka: str, prefix: str, key_file: Path) -> IntakeSettings:
    http, grpc, metrics, router, smtp = (f"127.0.0.1:{port}" for port in free_ports(5))
    return IntakeSettings(
        kafka=kafka, topic_prefix=prefix, keys=key_file, policies=POLICIES,
        intake_http=http, intake_grpc=grpc, intake_metrics=metrics, router_grpc=router, intake_smtp=smtp,
    )  # fmt: skip


@asynccontextmanager
async def process(settings: IntakeSettings, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    given = settings.model_dump(exclude_none=True)
    environment = {f"PINGXI_{name.upper()}": str(value) for name, value in given.items()}
    with log.open("ab") as stderr:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.intake", cwd=POLICIES.parent, stderr=stderr,
            env={**os.environ, **environment},
        )  # fmt: skip
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def post(intake: Running, key: str) -> httpx.Response | None:
    """The answer, None where the connection broke."""
    try:
        return await intake.post(key=key)
    except httpx.TransportError:
        return None


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_what_was_acknowledged_is_in_the_log_and_a_retry_gets_the_same_id(
    how: signal.Signals, kafka: str, prefix: str, key_file: Path, tmp_path: Path
) -> None:
    settings = settings_for(kafka, prefix, key_file)
    log = tmp_path / "log"
    keys = [f"{how.name}-{number}" for number in range(COUNT)]
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        intake = Running(settings, client)
        async with process(settings, log) as child:
            await until(lambda: is_ready(intake))
            posts = [asyncio.create_task(post(intake, key)) for key in keys]
            await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
            told = CLOCK.monotonic()
            child.send_signal(how)
            await child.wait()
            if how is signal.SIGTERM:
                assert child.returncode == 0
                assert CLOCK.monotonic() - told < 8
            answers = dict(zip(keys, await asyncio.gather(*posts), strict=True))
        first = {key: answer.json() for key, answer in answers.items() if answer is not None and answer.is_success}
        assert first
        async with process(settings, log):
            await until(lambda: is_ready(intake))
            again = {key: answer.json() for key in keys if (answer := await post(intake, key)) is not None}
        assert len({receipt["id"] for receipt in again.values()}) == COUNT
        for key, receipt in first.items():
            assert (again[key]["id"], again[key]["token"]) == (receipt["id"], receipt["token"])
        records = await intake.records([receipt["id"] for receipt in again.values()])
    assert {record.key for record in records} == {receipt["id"] for receipt in again.values()}
    # Each acknowledged complaint was there before its repeat came.
    assert len(records) >= COUNT + len(first)
    assert len({record.body.fingerprint for record in records}) == 1
    written = log.read_text()
    assert str(BODY["description"]) not in written
    assert "13800138000" not in written
