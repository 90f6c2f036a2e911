"""A world of each test's own."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.keys import load_keys
from common.publisher import Publisher
from common.topics import ensure_topics
from deploy.local.keys import generate
from deploy.local.ports import free_addresses
from services.router.settings import RouterSettings
from tests.fakes_router import ROOT
from tests.integration.router.world import PARTITIONS, Door, World


@pytest.fixture
async def world(kafka: str, mongo: str, unique: str, tmp_path: Path) -> AsyncIterator[World]:
    """Topics, keys and settings; the router isn't running yet."""
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(generate()))
    prefix = f"{unique}."
    await ensure_topics(kafka, prefix=prefix, partitions=PARTITIONS)
    grpc_address, metrics_address, sla_address = free_addresses(3)
    settings = RouterSettings(
        kafka=kafka,
        mongo=mongo,
        policies=ROOT / "policies",
        keys=keys,
        topic_prefix=prefix,
        router_grpc=grpc_address,
        router_metrics=metrics_address,
        sla_grpc=sla_address,
    )
    publisher = Publisher(kafka, "test", topic_prefix=prefix)
    await publisher.start()
    yield World(settings, load_keys(keys), publisher)
    await publisher.stop()


@pytest.fixture
async def door(world: World, unused_tcp_port: int) -> AsyncIterator[Door]:
    """The world's database behind a door, open at first."""
    door = Door(unused_tcp_port, world.settings.mongo)
    world.settings = world.settings.model_copy(update={"mongo": door.uri})
    await door.open()
    yield door
    await door.shut()
