"""A whole intake on real Kafka, in this process."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from common.topics import ensure_topics
from deploy.local.keys import ensure_keys
from services.intake.app import main
from services.intake.settings import IntakeSettings
from tests.integration.intake.running import PARTITIONS, Running, free_ports, is_ready, until

POLICIES = Path(__file__).parents[3] / "policies"
StartIntake = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture(scope="module")
def prefix(kafka: str) -> str:
    """Topics of this file's own: their creation is slow, and tickets tell the tests apart."""
    name = f"t{secrets.token_hex(5)}."
    asyncio.run(ensure_topics(kafka, prefix=name, partitions=PARTITIONS))
    return name


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("intake") / "keys.json"
    ensure_keys(path)
    return path


@pytest.fixture
def start_intake(kafka: str, prefix: str, key_file: Path) -> StartIntake:
    """`async with start_intake(kafka=…, router_grpc=…) as intake`: runs until the block ends, then stops in order."""

    @asynccontextmanager
    async def start(*, wait: bool = True, **changed: object) -> AsyncIterator[Running]:
        http, grpc, metrics, router, smtp = (f"127.0.0.1:{port}" for port in free_ports(5))
        settings = IntakeSettings.model_validate(
            {
                "kafka": kafka,
                "topic_prefix": prefix,
                "keys": key_file,
                "policies": POLICIES,
                "intake_http": http,
                "intake_grpc": grpc,
                "intake_metrics": metrics,
                "router_grpc": router,
                "intake_smtp": smtp,
                **changed,
            }
        )
        stop = asyncio.Event()
        task = asyncio.create_task(main(settings, stop))
        async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
            running = Running(settings, client)
            try:
                await until(lambda: is_ready(running, 200 if wait else 503), task)
                yield running
            finally:
                stop.set()
                await task

    return start
