"""No answer of the API and no export has a simulated value without saying which run it is of."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from runtime.settings import Settings
from tests.access.routes import STREAMS, all_routes
from tests.factories.scenario_sites import make_depots, run_into_remediation, run_scenario
from tests.helpers.live import http_client, serving, working

MEASURED = frozenset({"observed_at", "capacity_w", "avg_w", "mean", "statuses", "last_seen_at"})
"""What an object of an answer has where it tells of something that packets brought."""
UNSENT = ("AWAITING", "RELEASED")
"""What a circuit's capacity is by the configuration alone, whatever packets say."""
OWN = frozenset({
    "get_scenario_run", "list_scenario_run_steps", "get_scenario_run_evidence", "get_scenario_run_report_html",
    "get_scenario_run_report_xml", "compare_scenario_runs", "list_scenario_runs",
})  # fmt: skip
"""The answers about runs themselves."""


@pytest_asyncio.fixture
async def live(
    engine: AsyncEngine, client: Client, database_url: str, task_queue: str
) -> AsyncGenerator[httpx.AsyncClient]:
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue)
    async with (
        serving(settings) as there,
        working(client, engine, task_queue, api_url=there),
        http_client(there) as api,
    ):
        yield api


def measured(found: Any) -> Iterator[dict[str, Any]]:
    """Every object of an answer that tells of something that packets brought."""
    if isinstance(found, dict):
        if any(found.get(name) is not None for name in MEASURED):
            yield found
        for each in found.values():
            yield from measured(each)
    elif isinstance(found, list):
        for each in found:
            yield from measured(each)


def marks_in(found: dict[str, Any]) -> list[Any]:
    """The runs that an object says it is of; None where it says that it is of none."""
    if "simulated" in found:
        return [each["simulated_by"] for each in found["simulated"]]
    mark = found.get("simulated_by", "not told")
    return mark if isinstance(mark, list) else [mark]


async def things_of(api: httpx.AsyncClient, depot_id: str) -> dict[str, str]:
    """One of everything that an address can name, of a depot that a scenario drives."""

    async def items(path: str, **query: str) -> list[dict[str, Any]]:
        return (await api.get(path, params=query)).raise_for_status().json()["items"]

    (binding,) = await items("/api/controller-bindings", depot_id=depot_id)
    device_id = binding["device"]["device_id"]
    circuits = await items(f"/api/depots/{depot_id}/circuits")
    return {
        "depot_id": depot_id,
        "microgrid_id": binding["microgrid_id"],
        "circuit_id": next(each["circuit_id"] for each in circuits if each["name"] == "Charging"),
        "gateway_id": binding["device"]["gateway_id"],
        "device_id": device_id,
        "power_source_id": (await items("/api/power-sources", depot_id=depot_id))[0]["power_source_id"],
        "sensor_action_id": (await items(f"/api/devices/{device_id}/sensor-actions"))[0]["sensor_action_id"],
        "binding_id": binding["binding_id"],
    }


async def test_every_answer_marks_what_is_simulated(live: httpx.AsyncClient) -> None:
    depot_id, stopped = await make_depots(str(live.base_url), 2)
    begun = datetime.now(UTC) - timedelta(minutes=1)
    run, _ = await run_scenario(live, depot_id, "quick-look")
    run_ids = {run["run_id"], (await run_into_remediation(live, stopped))["run_id"]}
    things = await things_of(live, depot_id)
    later = datetime.now(UTC).isoformat()
    queries: dict[str, dict[str, Any]] = {
        "list_packets": {"gateway_id": things["gateway_id"]},
        "get_capability_status": {"as_of": later},
        "list_capability_status_transitions": {"capability": "DER"},
        "get_circuit_capacity": {"as_of": later},
        "get_next_packet": {"after": begun.isoformat()},
        "get_series": {
            "series": [
                f"device:{things['device_id']}:SOC",
                f"circuit:{things['circuit_id']}:AVAILABLE_CHARGING_CAPACITY",
            ],
        },
    }
    told: dict[str, int] = {}
    routes = [
        each
        for each in all_routes()
        if each.method == "GET" and each.is_api and each.parameters <= things.keys()
        and each.name not in STREAMS | OWN
    ]  # fmt: skip
    # As it is now, and as of a moment, where the route knows both.
    asked = [(each, queries.get(each.name, {})) for each in routes]
    asked += [(each, {}) for each in routes if "as_of" in queries.get(each.name, {})]
    for route, query in asked:
        path = route.path.replace(":uuid", "").format_map(things)
        answer = await live.get(path, params=query, headers={"accept": "application/json"})
        if answer.headers.get("content-type", "").startswith("text/csv"):
            rows = list(csv.DictReader(io.StringIO(answer.text)))
            assert rows, route
            told[route.name] = len(rows)
            # Before the first packet of the run, its circuit waited for one.
            runs = {(each["scenario_run_id"], each["scenario"]) for each in rows if each.get("mode") not in UNSENT}
            assert runs <= {(run_id, "quick-look") for run_id in run_ids}, route
            continue
        if answer.headers.get("content-type") != "application/json":
            continue
        found = [each for each in measured(answer.json()) if each.get("mode") not in UNSENT]
        told[route.name] = len(found)
        for each in found:
            assert each.get("simulated") != [], (route, each)
            assert marks_in(each), (route, each)
            for mark in marks_in(each):
                assert isinstance(mark, dict), (route, each)
                assert mark["scenario"] == "quick-look", (route, each)
                assert mark["run_id"] in run_ids, (route, each)
    # It was not silence that passed.
    shown = {name for name, count in told.items() if count}
    assert shown >= {
        "get_capability_status", "list_capability_status_history",
        "list_capability_status_transitions", "get_circuit_capacity",
        "list_circuit_capacity_history", "get_depot_load", "get_power_source", "list_power_sources", "list_packets",
        "list_device_measurands", "list_remediations", "get_next_packet", "get_series",
    }  # fmt: skip
    assert {each for each in shown if each.startswith("export_")}, told
