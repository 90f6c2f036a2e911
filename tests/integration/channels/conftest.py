"""Intake and router together, as gateways and a desk see them."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.keys import load_keys
from common.publisher import Publisher
from common.topics import ensure_topics
from deploy.local.keys import generate
from deploy.local.ports import free_addresses
from services.intake.app import main
from services.intake.settings import IntakeSettings
from services.router.settings import RouterSettings
from tests.fakes_router import ROOT
from tests.integration.channels.gateways import Gateways
from tests.integration.intake.running import Running, is_ready, until
from tests.integration.router.world import PARTITIONS, World


@pytest.fixture
async def gateways(kafka: str, mongo: str, unique: str, tmp_path: Path) -> AsyncIterator[Gateways]:
    """A running intake and a running router, and clients of every channel."""
    key_file = tmp_path / "keys.json"
    key_file.write_text(json.dumps(generate()))
    prefix = f"{unique}."
    await ensure_topics(kafka, prefix=prefix, partitions=PARTITIONS)
    http, grpc, metrics, router_grpc, router_metrics = free_addresses(5)
    common = {"kafka": kafka, "mongo": mongo, "policies": ROOT / "policies", "keys": key_file, "topic_prefix": prefix}
    router = RouterSettings.model_validate(
        {**common, "router_grpc": router_grpc, "router_metrics": router_metrics, "router_parts_seconds": 1.0}
    )
    intake = IntakeSettings.model_validate(
        {**common, "router_grpc": router_grpc, "intake_http": http, "intake_grpc": grpc, "intake_metrics": metrics}
    )
    keys = load_keys(key_file)
    publisher = Publisher(kafka, f"test-{secrets.token_hex(3)}", topic_prefix=prefix)
    await publisher.start()
    world = World(router, keys, publisher)
    stop = asyncio.Event()
    task = asyncio.create_task(main(intake, stop))
    try:
        async with world.running(), Gateways(world, intake) as gateways:
            await until(lambda: is_ready(Running(intake, gateways.client)), task)
            yield gateways
    finally:
        stop.set()
        await task
        await publisher.stop()
