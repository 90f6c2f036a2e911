"""Settings common to all services, from PINGXI_* variables. A bad value names its variable and stops the start."""

import sys
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


def _address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError("expected host:port")
    return value


Address = Annotated[str, AfterValidator(_address)]


def host_port(address: str) -> tuple[str, int]:
    """Splits a validated address."""
    host, _, port = address.rpartition(":")
    return host, int(port)


class ServiceSettings(BaseSettings):
    """What every service needs. Subclasses add their own fields, each an environment variable PINGXI_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="PINGXI_", extra="ignore", frozen=True)

    kafka: str = "127.0.0.1:19092"
    mongo: str = "mongodb://127.0.0.1:27018/pingxi"
    policies: Path = Path("policies")
    local: Path = Path(".local")
    keys: Path = Path(".local/keys.json")
    # Tests give each run its own topics and consumer groups.
    topic_prefix: str = Field(default="", pattern=r"^[a-z0-9.-]*$")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")


S = TypeVar("S", bound=ServiceSettings)


def load_settings(kind: type[S]) -> S:
    """Reads the environment; prints every bad variable by name and exits with 2."""
    try:
        return kind()
    except ValidationError as error:
        for problem in error.errors():
            name = "PINGXI_" + "_".join(str(part) for part in problem["loc"]).upper()
            print(f"{name}: {problem['msg']} (got {problem.get('input')!r})", file=sys.stderr)
        raise SystemExit(2) from None
