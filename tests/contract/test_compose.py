"""`docker-compose.yml` can't be started where there is no Docker: what can be checked of it is checked here."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from prometheus_client import REGISTRY

from common import metrics
from common.settings import ServiceSettings
from common.topics import TopicSettings
from deploy.local.settings import ROOT, from_environ
from services.intake.settings import IntakeSettings
from services.notifier.settings import NotifierSettings
from services.router.settings import RouterSettings
from services.sla.settings import SlaSettings

SCHEMA = Path(__file__).with_name("vendor") / "compose-spec.json"
SETTINGS: dict[str, type[ServiceSettings]] = {
    "intake": IntakeSettings,
    "router": RouterSettings,
    "sla": SlaSettings,
    "notifier": NotifierSettings,
}
ONE_SHOT = {"topics", "mongo-init", "keys"}
ADDRESS = re.compile(r"[a-z0-9.-]+:\d+")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


@pytest.fixture(scope="module")
def embedded() -> set[str]:
    """The variables that the embedded stack sets for its children."""
    return {name for name in from_environ({}, Path.cwd()).child_environment() if name.startswith("PINGXI_")}


def _variables(kind: type[ServiceSettings]) -> set[str]:
    return {f"PINGXI_{field.upper()}" for field in kind.model_fields}


def _environment(compose: dict[str, Any], service: str) -> dict[str, str]:
    return dict(compose["services"][service].get("environment", {}))


def test_it_is_valid_by_the_compose_specification(compose: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(compose)


def test_the_schema_would_notice(compose: dict[str, Any]) -> None:
    broken = {**compose, "services": {**compose["services"], "intake": {"imgae": "typo"}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(broken)


@pytest.mark.parametrize("service", SETTINGS)
def test_a_service_gets_the_variables_it_has_in_the_embedded_stack_and_no_other(
    compose: dict[str, Any], embedded: set[str], service: str
) -> None:
    known = _variables(SETTINGS[service])
    given = set(_environment(compose, service))
    assert given - known == set(), "the service doesn't read these"
    assert given & embedded == known & embedded


@pytest.mark.parametrize("service", SETTINGS)
def test_the_values_are_good_settings(compose: dict[str, Any], service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _environment(compose, service).items():
        monkeypatch.setenv(name, value)
    SETTINGS[service]()


def test_the_jobs_and_the_outbox_get_variables_that_exist(compose: dict[str, Any], embedded: set[str]) -> None:
    assert set(_environment(compose, "topics")) <= _variables(TopicSettings)
    assert set(_environment(compose, "outbox")) <= embedded
    from_environ(_environment(compose, "outbox"), Path.cwd())


def test_every_address_is_listened_on_by_the_service_it_names(compose: dict[str, Any]) -> None:
    """A service listens on all interfaces of its container, and others find it by its name and the same port."""
    listened = {}
    called = []
    for service in [*SETTINGS, "outbox"]:
        for variable, value in _environment(compose, service).items():
            if not ADDRESS.fullmatch(value):
                continue
            host, _, port = value.rpartition(":")
            if host == "0.0.0.0":
                listened[service, variable] = port
            else:
                called.append((host, variable, port))
    for host, variable, port in called:
        if variable == "PINGXI_KAFKA":
            listeners = _environment(compose, "kafka")["KAFKA_ADVERTISED_LISTENERS"]
            assert f"INTERNAL://{host}:{port}" in listeners
        else:
            assert listened[host, variable] == port
    assert len(called) > 5


def test_ports_are_those_of_the_embedded_stack_and_only_for_this_machine(compose: dict[str, Any]) -> None:
    addresses = set(from_environ({}, Path.cwd()).addresses.values()) | {"127.0.0.1:27018", "127.0.0.1:9090"}
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published
    assert {port.rpartition(":")[0] for port in published} <= addresses


@pytest.mark.parametrize("service", ["kafka", "mongo", "outbox", "prometheus", *SETTINGS])
def test_what_runs_has_a_health_check_and_is_started_again(compose: dict[str, Any], service: str) -> None:
    row = compose["services"][service]
    assert row["restart"] == "unless-stopped"
    assert row["healthcheck"]["test"][0] == "CMD"


def test_the_health_check_of_a_service_asks_its_own_readyz(compose: dict[str, Any]) -> None:
    for service in SETTINGS:
        port = _environment(compose, service)[f"PINGXI_{service.upper()}_METRICS"].rpartition(":")[2]
        assert f"127.0.0.1:{port}/readyz" in compose["services"][service]["healthcheck"]["test"][-1]


def test_jobs_end_and_are_waited_for(compose: dict[str, Any]) -> None:
    for service, row in compose["services"].items():
        for needed, how in row.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
            assert how["condition"] == expected, (service, needed)


def test_prometheus_scrapes_every_service(compose: dict[str, Any]) -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    scraped = {target for row in config["scrape_configs"][0]["static_configs"] for target in row["targets"]}
    assert scraped == {
        f"{service}:{_environment(compose, service)[f'PINGXI_{service.upper()}_METRICS'].rpartition(':')[2]}"
        for service in SETTINGS
    }


def test_the_image_holds_every_package_the_services_import() -> None:
    lines = (ROOT / "deploy" / "docker" / "Dockerfile").read_text().splitlines()
    copied = {line.split()[1] for line in lines if line.startswith("COPY ") and "--from" not in line}
    assert all((ROOT / path).exists() for path in copied)
    imports = re.compile(r"^(?:from|import) ([a-z_]+)", re.MULTILINE)
    ours = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    used = {
        name
        for folder in ("services", "common", "rules", "wire")
        for file in (ROOT / folder).rglob("*.py")
        for name in imports.findall(file.read_text())
        if name in ours
    }
    assert used <= {path.partition("/")[0] for path in copied}


def test_every_alert_asks_for_a_metric_there_is_and_says_what_it_means() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    assert config["rule_files"] == ["alerts.yml"]
    assert metrics.sla_oldest_due_seconds
    known = {metric.name for metric in REGISTRY.collect()}
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        assert set(re.findall(r"pingxi_\w+", rule["expr"])) <= known, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "impact"}
