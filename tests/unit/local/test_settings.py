"""Settings of a local run are typed, complete and named when they are wrong."""

from pathlib import Path

import pytest

from deploy.local.settings import ROOT, SettingsError, from_environ

HERE = Path("/somewhere")


def test_defaults_are_those_of_the_interface() -> None:
    settings = from_environ({"HOME": "/home/x"}, HERE)
    assert settings.address("PINGXI_KAFKA") == "127.0.0.1:19092"
    assert settings.address("PINGXI_MONGO") == "127.0.0.1:27018"
    assert settings.address("PINGXI_SLA_METRICS") == "127.0.0.1:9103"
    assert settings.local == ROOT / ".local"
    assert settings.keys == ROOT / ".local/keys.json"
    assert settings.policies == ROOT / "policies"
    assert settings.cache == Path("/home/x/.cache/pingxi")
    assert settings.embedded == {"kafka", "mongo"}


def test_children_receive_every_setting_spelled_out_and_absolute() -> None:
    env = from_environ({"PINGXI_LOCAL": "here", "PINGXI_KAFKA": "127.0.0.1:1", "LANG": "C"}, HERE).child_environment()
    assert env["PINGXI_LOCAL"] == "/somewhere/here"
    assert env["PINGXI_KEYS"] == "/somewhere/here/keys.json"
    assert env["PINGXI_KAFKA"] == "127.0.0.1:1"
    assert env["PINGXI_MONGO"] == "mongodb://127.0.0.1:27018/pingxi?retryWrites=false"
    assert env["LANG"] == "C"


def test_reading_the_environment_of_a_child_gives_the_same_settings() -> None:
    first = from_environ({"PINGXI_LOCAL": "here", "PINGXI_EMBEDDED": "none", "PINGXI_KAFKA": "a:1,b:2"}, HERE)
    again = from_environ(first.child_environment(), Path("/elsewhere"))
    assert again.child_environment() == first.child_environment()
    assert again.embedded == frozenset()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PINGXI_INTAKE_HTTP", "8080"),
        ("PINGXI_INTAKE_HTTP", "127.0.0.1:99999"),
        ("PINGXI_KAFKA", "127.0.0.1"),
        ("PINGXI_KAFKA", "broker.example:9092"),
        ("PINGXI_MONGO", "mongodb://db.example:27017/pingxi"),
        ("PINGXI_MONGO", "127.0.0.1:27018"),
        ("PINGXI_EMBEDDED", "yes"),
        ("PINGXI_MAVEN_MIRROR", "mirror.example"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_variable(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        from_environ({variable: value}, HERE)


def test_all_bad_values_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        from_environ({"PINGXI_OUTBOX": "x", "PINGXI_EMBEDDED": "x"}, HERE)
    assert len(str(caught.value).splitlines()) == 2


def test_servers_of_ones_own_are_taken_as_they_are_when_nothing_is_embedded() -> None:
    mongo = "mongodb+srv://user@db.example/pingxi?retryWrites=true"
    settings = from_environ({"PINGXI_EMBEDDED": "0", "PINGXI_KAFKA": "a.example:9092", "PINGXI_MONGO": mongo}, HERE)
    assert settings.child_environment()["PINGXI_MONGO"] == mongo
    assert settings.addresses["PINGXI_KAFKA"] == "a.example:9092"
