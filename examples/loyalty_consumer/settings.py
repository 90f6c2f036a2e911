"""Settings from the environment; a bad value is named and ends the program."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """`closed_accounts`: customers whose vouchers are rejected."""

    kafka: str
    database: Path
    group: str
    topic_prefix: str
    closed_accounts: frozenset[str]


def load() -> Settings:
    """LOYALTY_KAFKA, LOYALTY_DATABASE, LOYALTY_GROUP, LOYALTY_TOPIC_PREFIX, LOYALTY_CLOSED_ACCOUNTS (with commas)."""
    kafka = os.environ.get("LOYALTY_KAFKA", "127.0.0.1:19092")
    if not kafka.rpartition(":")[2].isdigit():
        sys.exit(f"LOYALTY_KAFKA: expected host:port, got {kafka!r}")
    closed = os.environ.get("LOYALTY_CLOSED_ACCOUNTS", "")
    return Settings(
        kafka=kafka,
        database=Path(os.environ.get("LOYALTY_DATABASE", ".local/loyalty.sqlite3")),
        group=os.environ.get("LOYALTY_GROUP", "loyalty"),
        topic_prefix=os.environ.get("LOYALTY_TOPIC_PREFIX", ""),
        closed_accounts=frozenset(filter(None, closed.split(","))),
    )
