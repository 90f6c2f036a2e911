"""Where everything of a local run lives and listens, from PINGXI_* variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]

# Every address something listens on, by the variable that changes it (design/interfaces.md, "Ports and settings").
DEFAULT_ADDRESSES: Mapping[str, str] = {
    "PINGXI_KAFKA": "127.0.0.1:19092",
    "PINGXI_KAFKA_CONTROLLER": "127.0.0.1:19093",
    "PINGXI_OUTBOX": "127.0.0.1:8026",
    "PINGXI_INTAKE_HTTP": "127.0.0.1:8080",
    "PINGXI_INTAKE_GRPC": "127.0.0.1:8081",
    "PINGXI_INTAKE_SMTP": "127.0.0.1:8025",
    "PINGXI_ROUTER_GRPC": "127.0.0.1:8082",
    "PINGXI_SLA_GRPC": "127.0.0.1:8083",
    "PINGXI_NOTIFIER_GRPC": "127.0.0.1:8084",
    "PINGXI_DESK_HTTP": "127.0.0.1:8090",
    "PINGXI_INTAKE_METRICS": "127.0.0.1:9101",
    "PINGXI_ROUTER_METRICS": "127.0.0.1:9102",
    "PINGXI_SLA_METRICS": "127.0.0.1:9103",
    "PINGXI_NOTIFIER_METRICS": "127.0.0.1:9104",
    "PINGXI_DESK_METRICS": "127.0.0.1:9105",
}
DEFAULT_MONGO = "mongodb://127.0.0.1:27018/pingxi"
_EMBEDDED_WORDS: Mapping[str, frozenset[str]] = {
    "": frozenset({"kafka", "mongo"}),
    "1": frozenset({"kafka", "mongo"}),
    "kafka,mongo": frozenset({"kafka", "mongo"}),
    "kafka": frozenset({"kafka"}),
    "mongo": frozenset({"mongo"}),
    "none": frozenset(),
    "0": frozenset(),
}
_LOOPBACK = ("127.0.0.1", "localhost")


class SettingsError(Exception):
    """Bad values of variables; the message has one sentence a line, each with the variable's name."""


@dataclass(frozen=True)
class LocalSettings:
    """`embedded` says which of kafka and mongo this machine runs itself; the other one is reached where its
    variable says. `addresses` maps each variable of DEFAULT_ADDRESSES to host:port."""

    local: Path
    cache: Path
    policies: Path
    keys: Path
    mirror: str | None
    embedded: frozenset[str]
    mongo: str
    addresses: Mapping[str, str]
    inherited: Mapping[str, str]

    def address(self, variable: str) -> str:
        """host:port behind a variable, PINGXI_MONGO included."""
        return urlsplit(self.mongo).netloc if variable == "PINGXI_MONGO" else self.addresses[variable]

    def child_environment(self) -> dict[str, str]:
        """The whole environment of a child: what this process has, plus every setting spelled out."""
        return {
            **self.inherited,
            **self.addresses,
            "PINGXI_MONGO": _without_retries(self.mongo) if "mongo" in self.embedded else self.mongo,
            "PINGXI_EMBEDDED": ",".join(sorted(self.embedded)) or "none",
            "PINGXI_LOCAL": str(self.local),
            "PINGXI_CACHE": str(self.cache),
            "PINGXI_POLICIES": str(self.policies),
            "PINGXI_KEYS": str(self.keys),
            "GRPC_ENABLE_FORK_SUPPORT": "0",
            "PYTHONUNBUFFERED": "1",
            "PYTHONUTF8": "1",
        }


def _without_retries(uri: str) -> str:
    """The driver's own second try is of little use with one server, and SecantusDB 0.7 looks through all it remembers
    for it, half an hour of writes, at every write."""
    if "retryWrites=" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}retryWrites=false"


def from_environ(environ: Mapping[str, str], cwd: Path) -> LocalSettings:
    """Reads the settings; relative folders are taken from `cwd`, default ones from the checkout.

    A Kafka or MongoDB of your own: name it in PINGXI_KAFKA or PINGXI_MONGO *and* say in PINGXI_EMBEDDED what is still
    to be started here: `kafka,mongo` (the default, also `1`), `kafka`, `mongo` or `none` (also `0`).
    Raises SettingsError naming every bad variable.
    """
    problems: list[str] = []
    word = environ.get("PINGXI_EMBEDDED", "").replace(" ", "")
    embedded = _EMBEDDED_WORDS.get(word)
    if embedded is None:
        problems.append(f"PINGXI_EMBEDDED is {word!r}: expected kafka,mongo or kafka or mongo or none.")
        embedded = frozenset()

    addresses = {}
    for variable, default in DEFAULT_ADDRESSES.items():
        value = environ.get(variable) or default
        addresses[variable] = value
        own = "kafka" in embedded if variable.startswith("PINGXI_KAFKA") else True
        if own and not _is_host_port(value):
            problems.append(f"{variable} is {value!r}: expected host:port, for example {default}.")
        elif variable.startswith("PINGXI_KAFKA") and own and value.rpartition(":")[0] not in _LOOPBACK:
            problems.append(f"{variable} is {value}, not an address of this machine: {_own_server('mongo')}")

    mongo = environ.get("PINGXI_MONGO") or DEFAULT_MONGO
    if "mongo" in embedded:
        netloc = urlsplit(mongo).netloc
        if not mongo.startswith("mongodb://") or not _is_host_port(netloc) or netloc.split(":")[0] not in _LOOPBACK:
            problems.append(f"PINGXI_MONGO is not of the form {DEFAULT_MONGO} on this machine: {_own_server('kafka')}")

    mirror = environ.get("PINGXI_MAVEN_MIRROR") or None
    if mirror and not mirror.startswith(("http://", "https://", "file://")):
        problems.append(f"PINGXI_MAVEN_MIRROR is {mirror!r}: expected the URL of a Maven repository.")
    if problems:
        raise SettingsError("\n".join(problems))

    local = cwd / environ["PINGXI_LOCAL"] if environ.get("PINGXI_LOCAL") else ROOT / ".local"
    caches = environ.get("XDG_CACHE_HOME") or os.path.join(environ.get("HOME", "~"), ".cache")
    return LocalSettings(
        local=local.absolute(),
        cache=(cwd / (environ.get("PINGXI_CACHE") or Path(caches).expanduser() / "pingxi")).absolute(),
        policies=(cwd / environ["PINGXI_POLICIES"] if environ.get("PINGXI_POLICIES") else ROOT / "policies").absolute(),
        keys=(cwd / environ["PINGXI_KEYS"] if environ.get("PINGXI_KEYS") else local / "keys.json").absolute(),
        mirror=mirror,
        embedded=embedded,
        mongo=mongo,
        addresses=addresses,
        inherited=dict(environ),
    )


def load() -> LocalSettings:
    """The settings of this process."""
    return from_environ(os.environ, Path.cwd())


def _is_host_port(value: str) -> bool:
    host, colon, port = value.rpartition(":")
    return bool(host and colon and port.isdigit() and 0 < int(port) < 65536)


def _own_server(still_embedded: str) -> str:
    return f"to use a server of your own, set PINGXI_EMBEDDED={still_embedded} (or none)."
