"""Alerts, boards, what runs them and plans: they fit what the product really tells, and what the documentation says."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from devtools.system_packages import find
from runtime.observing.metrics import metrics_text, new_registry
from runtime.settings import Settings
from runtime.workers.versions import Takeover
from telemetry.mqtt import subscribing
from tests.helpers.deployed import ROLES, ROOT, load_compose
from tests.helpers.live import working
from tests.helpers.support import make_depot, synced

PROMETHEUS = ROOT / "deploy/prometheus"
BOARDS = ("overview", "door", "workflows")
DOCUMENTS = ("operations.md", "scale.md")
"""Those that say by which figure something is seen."""
_NOT_OURS = {"up"}
"""What Prometheus itself says of each process."""
_SERVED_AFTER_A_FAILURE = {"temporal_request_failure_total"}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def board(name: str) -> dict[str, Any]:
    return json.loads((ROOT / f"deploy/grafana/{name}.json").read_text())


def expressions() -> list[str]:
    of_boards = [target["expr"] for name in BOARDS for panel in board(name)["panels"] for target in panel["targets"]]
    return [*(rule["expr"] for rule in rules()), *of_boards]


def metrics_in(expression: str) -> set[str]:
    """The metrics that an expression names: what is followed by labels, a range or nothing, and is no function."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    bare = re.sub(r"\b(by|without|ignoring|on)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\{[^}]*\}", "{}", bare)
    names = set(re.findall(r"\b([a-z_][a-z0-9_]*)\b(?!\s*\()", re.sub(r"\[[^\]]*\]", "", bare)))
    return names - {"offset", "or"} - set(re.findall(r"offset\s+(\w+)", bare))


def figures_in(text: str, served: Iterable[str]) -> set[str]:
    """The figures that a document names, also those whose prefix it leaves out."""
    bare = {name.partition("_")[2] for name in served}
    named = set(re.findall(r"`([a-z]+(?:_[a-z0-9]+)+)[`{]", text)) - set(ROLES)
    return {
        each for each in named if each.startswith(("manage_", "temporal_")) or each.endswith("_total") or each in bare
    }


def document(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def flowing(name: str) -> str:
    """A document without the breaks of its lines."""
    return " ".join(document(name).split())


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = find("promtool")
    assert program is not None, "promtool is not installed: ./dev test installs it as root; apt-get install prometheus"
    return subprocess.run([program, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")],
    ids=["the rules are well formed", "they fire when they should"],
)
def test_prometheus_takes_the_rules(arguments: tuple[str, ...]) -> None:
    done = promtool(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    # The places of its container are here.
    text = (PROMETHEUS / "prometheus.yml").read_text()
    assert text.count("/etc/prometheus/") == 1
    token = tmp_path / "token"
    token.write_text("t")
    given = text.replace("/etc/prometheus", str(PROMETHEUS)).replace("/run/secrets/metrics_token", str(token))
    (tmp_path / "prometheus.yml").write_text(given)
    done = promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_its_test_and_its_section_and_the_other_way_round() -> None:
    alerts = [rule["alert"] for rule in rules()]
    assert len(set(alerts)) == len(alerts)
    tested = {test["name"] for test in yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]}
    sections = re.findall(r"^### (Manage\w+)$", document("operations.md"), re.MULTILINE)
    assert set(alerts) == tested
    assert alerts == sections
    named = {each for name in DOCUMENTS for each in re.findall(r"`(Manage[A-Z]\w+)`", document(name))}
    assert named
    assert named <= set(alerts)
    assert {rule["labels"]["severity"] for rule in rules()} == {"page", "ticket"}


def test_each_alert_is_seen_quiet_and_firing() -> None:
    for test in yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]:
        looks = test["alert_rule_test"]
        assert {each["alertname"] for each in looks} == {test["name"]}
        assert [bool(each["exp_alerts"]) for each in looks] == [False, True], test["name"]


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_can_be_imported(name: str) -> None:
    found = board(name)
    panels = found["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    uids = [board(each)["uid"] for each in (*BOARDS, "depot")]
    assert len(set(uids)) == len(uids)


async def test_every_metric_of_a_rule_a_board_or_a_document_is_served_and_documented(
    engine: AsyncEngine, api: httpx.AsyncClient, client: Client, task_queue: str
) -> None:
    registry = new_registry()
    broker = Settings(mqtt_url=SecretStr("mqtt://127.0.0.1:9"))
    Takeover(client, task_queue, "1.0.0-a", registry, takes_over=False)
    async with (
        working(client, engine, task_queue, registry=registry),
        subscribing(engine, broker, registry),
    ):
        await synced(engine, await make_depot(engine, "A"))
        told = metrics_text(registry).decode() + (await api.get("/metrics")).text
    families = list(text_string_to_metric_families(told))
    served = {family.name for family in families}
    for family in families:
        # A counter or histogram whose labels have no value yet has no sample.
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ())
        served |= {family.name + ending for ending in endings}
    named = {name: expression for expression in expressions() for name in metrics_in(expression)}
    assert len(named) > 20
    assert {name: each for name, each in named.items() if name not in served | _NOT_OURS} == {}
    told_of = {name: figures_in(document(name), served) for name in DOCUMENTS}
    assert all(told_of.values())
    unserved = {name: found - served - _SERVED_AFTER_A_FAILURE for name, found in told_of.items()}
    assert {name: each for name, each in unserved.items() if each} == {}
    # Those of the process are named as Prometheus's client names them for any.
    ours = {each.name for each in families if re.match("manage_(?!process_)", each.name)}
    assert {each for each in ours if not {each, f"{each}_total"} & told_of["operations.md"]} == set()


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('max(a_b{c="d e"}) > 5', {"a_b"}),
        ("histogram_quantile(0.9, sum by (x, le) (rate(a_bucket[5m]))) > 1", {"a_bucket"}),
        ('sum(max by (f) (a{p="X"} offset 1h)) / b', {"a", "b"}),
        ("topk(10, rate(a_total[$__rate_interval]))", {"a_total"}),
    ],
)
def test_the_metrics_of_an_expression_are_found(expression: str, names: set[str]) -> None:
    assert metrics_in(expression) == names


def test_the_figures_of_a_document_are_found() -> None:
    text = "`manage_a_total{code}`, `a_total`, `b_rows`, `in_use`, `manage_owner`, `none_total`, manage_c_rows"
    wanted = {"manage_a_total", "a_total", "b_rows", "none_total"}
    assert figures_in(text, {"manage_a_total", "manage_b_rows"}) == wanted


def test_compose_runs_them_by_a_profile_of_their_own() -> None:
    compose = load_compose()
    prometheus, grafana = (compose["services"][name] for name in ("prometheus", "grafana"))
    assert prometheus["profiles"] == grafana["profiles"] == ["observe"]
    assert "./deploy/prometheus:/etc/prometheus:ro" in prometheus["volumes"]
    provider = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/boards.yml").read_text())["providers"][0]
    assert f"./deploy/grafana:{provider['options']['path']}:ro" in grafana["volumes"]
    sources = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())
    assert sources["datasources"][0]["url"] == "http://prometheus:9090"
    scraped = {
        (each["job_name"], each["dns_sd_configs"][0]["names"][0], each["dns_sd_configs"][0]["port"])
        for each in yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    }
    # The worker on the port that is its default, the API on the one that its command names.
    assert scraped == {("manage-api", "api", 8000), ("manage-worker", "worker", Settings().metrics_port)}
    assert "--port=8000" in compose["services"]["api"]["command"]
    # Whoever reaches Grafana only looks.
    assert grafana["environment"]["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


def test_the_plan_has_the_bytes_of_a_packet_that_were_measured() -> None:
    measured = re.search(
        r"the packet itself takes ([\d,]+) bytes and ([\d,]+) of indexes, its row of readings ([\d,]+) and ([\d,]+), "
        r"its two capability events ([\d,]+) and ([\d,]+)\.",
        flowing("performance.md"),
    )
    assert measured is not None
    packet, index, row, row_index, events, events_index = (int(each.replace(",", "")) for each in measured.groups())
    parts = (packet + index, row + row_index, events + events_index)
    kinds = zip(parts, ("packet", "readings", "events"), strict=True)
    planned = ", ".join(f"{size:,} {kind}" for size, kind in kinds)
    assert f"| {planned} | {sum(parts):,} |" in flowing("scale.md")


def test_the_plan_has_rates_that_were_measured() -> None:
    needs, cell = flowing("scale.md").split("A cell's packets were run", 1)
    rates = re.findall(r"([\d,.]*\d)[^|\d]*\*m\*", needs.split("## What one machine does", 1)[1])
    assert len(rates) > 8
    measured = flowing("performance.md") + flowing("operations.md") + cell
    assert [each for each in rates if not re.search(rf"(?<![\d,.]){re.escape(each)}(?![\d,])", measured)] == []
