"""The embedded broker and database: real, durable, started again, and needing nothing of this machine but Python."""

import json
import os
from pathlib import Path
from typing import Any

import pymongo
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from common.clock import SystemClock
from deploy.local.system import System

SECOND_START_SECONDS = 15.0


async def produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    """Writes to partition 0, acknowledged."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True) as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)


async def consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """The first `count` values of partition 0."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        return [(await consumer.getone()).value for _ in range(count)]


async def make_topic(bootstrap: str, topic: str) -> None:
    """One partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


def client(uri: str) -> pymongo.MongoClient[dict[str, Any]]:
    """A client of the database."""
    return pymongo.MongoClient(uri, serverSelectionTimeoutMS=10_000)


async def test_acknowledged_data_survives_kills_and_restarts_without_java_maven_or_docker_on_the_path(
    tmp_path: Path,
) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    system = System(tmp_path / "local", only=["kafka", "mongo"], changes={"PATH": str(empty), "JAVA_HOME": ""})
    kafka, mongo = system.env["PINGXI_KAFKA"], system.env["PINGXI_MONGO"]
    with system:
        system.ready()
        await make_topic(kafka, "kept")
        await produce(kafka, "kept", [b"1"])
        with client(mongo) as c:
            c.pingxi.kept.insert_one({"_id": 1})

        # Both at once, so that the test waits once.
        old = {name: system.kill(name) for name in ("kafka", "mongo")}
        new = {name: system.restarted(name, pid) for name, pid in old.items()}
        assert set(old.values()).isdisjoint(new.values())
        await produce(kafka, "kept", [b"2"])
        with client(mongo) as c:
            c.pingxi.kept.insert_one({"_id": 2})
        keys = system.keys()

    clock = SystemClock()
    began = clock.monotonic()
    with system:
        system.ready()
        assert clock.monotonic() - began < SECOND_START_SECONDS
        assert await consume(kafka, "kept", 2) == [b"1", b"2"]
        with client(mongo) as c:
            assert [row["_id"] for row in c.pingxi.kept.find().sort("_id")] == [1, 2]
        assert system.keys() == keys
        began = clock.monotonic()
    assert clock.monotonic() - began < 10
    assert "Ready:" in system.log("supervisor")
    assert os.listdir(tmp_path / "local" / "pids") == []


async def test_every_test_has_the_shared_broker(kafka: str, unique: str) -> None:
    await make_topic(kafka, unique)
    await produce(kafka, unique, [json.dumps({"n": 1}).encode()])
    assert await consume(kafka, unique, 1) == [b'{"n": 1}']


def test_every_test_has_a_database_of_its_own_with_transactions(mongo: str) -> None:
    with client(mongo) as c:
        database = c.get_default_database()
        assert database.list_collection_names() == []
        with c.start_session() as session:
            session.with_transaction(lambda s: database.claims.insert_one({"_id": "a"}, session=s))
        assert database.claims.count_documents({}) == 1
