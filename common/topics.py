"""The topic registry (`protos/topics.yaml`) and the creation of its topics.

`python -m common.topics` creates what is missing on PINGXI_KAFKA and never changes what exists.
"""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from pydantic import Field

from common.errors import Unavailable
from common.settings import ServiceSettings, load_settings

REGISTRY = Path(__file__).resolve().parent.parent / "protos" / "topics.yaml"
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Topic:
    """One topic of the registry. `retention_days` is None for a compacted one."""

    name: str
    key: str
    messages: tuple[str, ...]
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    partitions: int
    replication: int
    retention_days: int | None


@cache
def registry() -> Mapping[str, Topic]:
    """All topics by name."""
    raw: dict[str, Any] = yaml.safe_load(REGISTRY.read_text())
    defaults = raw["defaults"]
    topics = {}
    for name, row in raw["topics"].items():
        merged = {**defaults, **row}
        retention = merged["retention"]
        topics[name] = Topic(
            name=name,
            key=merged["key"],
            messages=tuple(merged["messages"]),
            writers=tuple(merged["writers"]),
            readers=tuple(merged["readers"]),
            partitions=merged["partitions"],
            replication=merged["replication"],
            retention_days=None if retention == "compact" else int(retention),
        )
    return topics


def _configs(topic: Topic) -> dict[str, str]:
    if topic.retention_days is None:
        return {"cleanup.policy": "compact"}
    return {"cleanup.policy": "delete", "retention.ms": str(topic.retention_days * _DAY_MS)}


async def ensure_topics(
    bootstrap: str, *, prefix: str = "", partitions: int | None = None, replication: int | None = None
) -> list[str]:
    """Creates every missing topic; returns the names it created. Raises Unavailable where the broker doesn't answer.

    `partitions` replaces the number of all topics that have more than one: for tests.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=20_000)
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        missing = [t for t in registry().values() if prefix + t.name not in existing]
        if not missing:
            return []
        response = await admin.create_topics(
            [
                NewTopic(
                    prefix + t.name,
                    num_partitions=partitions if partitions and t.partitions > 1 else t.partitions,
                    replication_factor=replication or t.replication,
                    topic_configs=_configs(t),
                )
                for t in missing
            ]
        )
        for row in response.topic_errors:
            error = for_code(row[1])
            # Another process may have created it in between.
            if row[1] != 0 and error is not TopicAlreadyExistsError:
                raise Unavailable(f"topic {row[0]} could not be created: {error.__name__}")
        return [t.name for t in missing]
    except (KafkaError, OSError) as error:
        raise Unavailable(f"Kafka at {bootstrap} doesn't answer: {type(error).__name__}") from error
    finally:
        await admin.close()


class TopicSettings(ServiceSettings):
    """`PINGXI_PARTITIONS` and `PINGXI_REPLICATION` apply only when a topic is created."""

    partitions: int | None = Field(default=None, ge=1, le=1000)
    replication: int | None = Field(default=None, ge=1, le=10)


def main() -> int:
    """Creates the topics named by the environment; 1 with a sentence where it can't."""
    settings = load_settings(TopicSettings)
    try:
        created = asyncio.run(
            ensure_topics(
                settings.kafka,
                prefix=settings.topic_prefix,
                partitions=settings.partitions,
                replication=settings.replication,
            )
        )
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    print(f"topics: {len(created)} created, {len(registry()) - len(created)} there already")
    return 0


if __name__ == "__main__":
    sys.exit(main())
